//! SMS through Twilio's interface: a form, Basic auth, 201.

use crate::config;
use crate::delivery::channel::client::Http;
use crate::delivery::channel::message::{Message, Sent};
use crate::delivery::channel::secrets::Opened;
use crate::delivery::channel::text::{cut, one_line};
use crate::delivery::channel::view::View;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;

/// Characters that Twilio takes, of UTF-16: it splits them into parts itself.
const MOST: usize = 1_600;
/// Of the description: a text on a phone is a reason to look, not a page to read.
const DESCRIPTION: usize = 300;
const TITLE: usize = 600;

/// Where the opened options have `delivery.sms.auth_token`.
pub const AUTH_TOKEN: &str = "auth_token";

/// Twilio's error.
#[derive(Deserialize)]
struct Said {
    sid: Option<String>,
    code: Option<i64>,
    message: Option<String>,
}

pub async fn send(sms: &config::Sms, http: &Http, message: &Message, opened: &Opened, link: Option<&str>) -> Sent {
    let token = opened.config.get(AUTH_TOKEN).and_then(Value::as_str);
    let (Some(account), Some(token), Some(from)) = (&sms.account_sid, token, &sms.from) else {
        let why = "SMS is not set up: delivery.sms wants account_sid, auth_token and from".to_owned();
        return Sent::Refused { why };
    };
    let mut url = match Url::parse(&sms.base_url) {
        Ok(url) if url.path_segments().is_some() => url,
        _ => return Sent::Refused { why: "delivery.sms.base_url is no URL".to_owned() },
    };
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["2010-04-01", "Accounts", account, "Messages.json"]);
    }
    let numbers: Vec<&str> = match opened.config.get("phone_numbers") {
        Some(Value::String(number)) => vec![number],
        Some(Value::Array(numbers)) => numbers.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let body = text(message, link);
    // A service of Twilio's chooses the sender itself.
    let sender = if from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
    let mut sent = Sent::Refused { why: "the sms target names no `phone_numbers`".to_owned() };
    let mut failed = None;
    for number in numbers {
        let request = http.request(Method::POST, url.clone(), &message.action_id).basic_auth(account, Some(token)).form(&[
            ("To", number),
            (sender, from.as_str()),
            ("Body", body.as_str()),
        ]);
        sent = one(http, request).await;
        if !matches!(sent, Sent::Delivered { .. }) && failed.is_none() {
            failed = Some(sent.clone());
        }
    }
    failed.unwrap_or(sent)
}

async fn one(http: &Http, request: reqwest::RequestBuilder) -> Sent {
    let answer = match http.ask(request).await {
        Ok(answer) => answer,
        Err(sent) => return sent,
    };
    let said = serde_json::from_slice::<Said>(&answer.body).ok();
    let problem = match said.as_ref().map(|said| (said.code, said.message.as_deref())) {
        Some((Some(code), Some(message))) => format!("{} (Twilio {code})", cut(&one_line(message), 200)),
        _ => answer.excerpt(),
    };
    match answer.unless_accepted(&problem) {
        Ok(()) => {
            let sid = said.and_then(|said| said.sid).unwrap_or_default();
            Sent::Delivered { thread: None, detail: format!("{} {sid}", answer.status.as_u16()).trim_end().to_owned() }
        }
        Err(sent) => sent,
    }
}

/// The seed's `CRITICAL: title`, then what else helps to decide whether to get up.
pub fn text(message: &Message, link: Option<&str>) -> String {
    let view = View::of(message);
    let test = if message.test { "[TEST] " } else { "" };
    let mut text = format!("{test}{}: {}", view.word(), cut(&view.line(), TITLE));
    let mut add = |line: &str| {
        if !line.is_empty() {
            text.push('\n');
            text.push_str(line);
        }
    };
    if let Some(happening) = view.happening() {
        add(&cut(&happening, DESCRIPTION));
    }
    if let Some(note) = &message.note {
        add(&cut(&one_line(note), DESCRIPTION));
    }
    if view.digest().is_none() && view.notice().is_none() {
        add(&cut(&format!("{} ({}), {}", view.text("service_id"), view.text("environment"), view.text("status")), 200));
        add(&cut(&one_line(view.text("description")), DESCRIPTION));
        // A link cut short leads nowhere, so it stands before nothing that could push it out.
        add(link.filter(|link| link.len() <= 200).unwrap_or_default());
    }
    within(text)
}

fn within(text: String) -> String {
    let mut units = 0;
    let fits = |c: &char| {
        units += c.len_utf16();
        units < MOST
    };
    let short: String = text.chars().take_while(fits).collect();
    if short.len() == text.len() { text } else { format!("{short}…") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::channel::sample;
    use serde_json::json;

    #[test]
    fn the_text_of_an_incident() {
        let message = sample::message("sms", json!({}));
        assert_eq!(
            text(&message, Some("https://i.example.com/incidents/inc_1")),
            "CRITICAL: Latency <high> & rising\nllm-gateway (production), triggered\np95 is 7.5 s\nhttps://i.example.com/incidents/inc_1"
        );
    }

    #[test]
    fn a_drill_by_way_of_the_fallback_says_both() {
        let mut message = sample::message("sms", json!({}));
        message.test = true;
        message.event = "reminder".to_owned();
        message.note = Some("Primary channel (slack) failed: timeout".to_owned());
        let text = text(&message, None);
        assert!(
            text.starts_with("[TEST] CRITICAL: Latency <high> & rising\nstill triggered\nPrimary channel (slack) failed"),
            "{text}"
        );
    }

    #[test]
    fn no_text_is_longer_than_twilio_takes() {
        let mut message = sample::message("sms", json!({}));
        message.note = Some("😀".repeat(5_000));
        for field in ["title", "description", "service_id"] {
            sample::incident(&mut message)[field] = json!("😀".repeat(5_000));
        }
        let text = text(&message, Some("https://i.example.com/incidents/inc_1"));
        assert!(text.encode_utf16().count() <= 1_600, "{}", text.encode_utf16().count());
        assert!(text.ends_with('…'));
    }
}
