//! Whoever is told: an HTTP server that keeps what it was sent, and answers as a test's script says.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use axum::{Router, routing::any};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What was sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    pub after: Duration,
}

impl Answer {
    pub fn of(status: u16) -> Answer {
        Answer { status, body: String::new(), after: Duration::ZERO }
    }

    /// As Slack answers what it takes; `ts` names the message.
    pub fn slack(ts: &str) -> Answer {
        Answer { body: format!(r#"{{"ok":true,"channel":"C0OPS","ts":"{ts}"}}"#), ..Answer::of(200) }
    }
}

/// What is answered to the request, which is the so-manieth.
pub type Script = Box<dyn FnMut(&Request, usize) -> Answer + Send>;

struct Shared {
    requests: Mutex<Vec<Request>>,
    script: Mutex<Script>,
}

/// Serves on loopback until dropped.
pub struct Receiver {
    shared: Arc<Shared>,
    url: String,
    runtime: Option<tokio::runtime::Runtime>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Receiver {
    pub fn start(script: impl FnMut(&Request, usize) -> Answer + Send + 'static) -> Receiver {
        let shared = Arc::new(Shared { requests: Mutex::default(), script: Mutex::new(Box::new(script)) });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free loopback port");
        let url = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
        let router = Router::new().fallback(any(take)).with_state(Arc::clone(&shared));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Receiver { shared, url, runtime: Some(runtime) }
    }

    /// Without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All that was sent, in order.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    pub fn count(&self) -> usize {
        lock(&self.shared.requests).len()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn take(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let request = Request { path: uri.path().to_owned(), headers, body: body.to_vec() };
    let answer = {
        let mut requests = lock(&shared.requests);
        requests.push(request.clone());
        let number = requests.len();
        drop(requests);
        (lock(&shared.script))(&request, number)
    };
    tokio::time::sleep(answer.after).await;
    let status = StatusCode::from_u16(answer.status).expect("a status");
    Response::builder().status(status).body(Body::from(answer.body)).expect("a response")
}
