//! A plain HTTP client: status, headers and JSON of each answer.

use crate::support::wait_until;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Method, Request};

pub struct Client {
    agent: Agent,
    pub url: String,
    pub token: Option<String>,
}

pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text))
    }

    /// The JSON of an answer with that status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// The detail of a problem document with that status, which names `field`.
    pub fn problem(&self, status: u16, field: Option<&str>) -> String {
        let problem = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/problem+json", "{problem}");
        assert_eq!(problem["status"], json!(status));
        assert_eq!(problem.get("field").and_then(Value::as_str), field, "{problem}");
        problem["detail"].as_str().filter(|detail| !detail.is_empty()).expect("a detail").to_owned()
    }
}

impl Client {
    pub fn new(url: &str) -> Client {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .allow_non_standard_methods(true);
        Client { agent: config.build().into(), url: url.to_owned(), token: None }
    }

    pub fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..Client::new(&self.url) }
    }

    pub fn wait_ready(&self) {
        wait_until("the service is ready", Duration::from_secs(60), || (self.get("/readyz").status == 200).then_some(()));
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, &[])
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body.to_string().as_bytes()), &[("content-type", "application/json")])
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, Some(body.to_string().as_bytes()), &[("content-type", "application/json")])
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, &[])
    }

    pub fn send(&self, method: &str, path: &str, body: Option<&[u8]>, headers: &[(&str, &str)]) -> Answer {
        let method: Method = method.parse().expect("a method");
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = match body {
            Some(body) => self.agent.run(request.body(body).expect("a request")),
            None => self.agent.run(request.body(()).expect("a request")),
        };
        let mut response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
        let text = response.body_mut().read_to_string().expect("a text");
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), text }
    }
}

/// An alert that opens an incident of its own.
pub fn alert(service: &str, title: &str) -> Value {
    json!({
        "service_id": service, "title": title, "severity": "critical", "category": "model_performance",
        "labels": {"metric_type": "latency", "model_id": "gpt-4"}, "metadata": {"threshold": 5.0, "current_value": 7.5},
    })
}
