//! What becomes of a page whose receiver misbehaves.

use super::receiver::{Answer, Receiver, deaf, nobody, ok};
use super::{ACTION, again, channels, delivered, message, refused};
use incidentd::delivery::channel::{Channels, Executed, Outcome, Sent, Thread};
use serde_json::json;
use std::time::{Duration, Instant};

fn say(status: u16) -> Answer {
    Answer::Say(status, "", "no\r\nthanks".to_owned())
}

async fn hook(answer: Answer) -> (Sent, Receiver) {
    let receiver = Receiver::start(vec![answer]).await;
    let sent = channels("").send(&message("webhook", json!({"url": receiver.url("/hook")})), None).await;
    (sent, receiver)
}

#[tokio::test]
async fn a_status_decides() {
    for status in [200, 201, 202, 204] {
        delivered(&hook(say(status)).await.0);
    }
    for status in [408, 429, 500, 502, 503, 504] {
        again(&hook(say(status)).await.0, &format!("answered {status}: no thanks"));
    }
    for status in [400, 401, 403, 404, 410, 413, 422] {
        refused(&hook(say(status)).await.0, &format!("answered {status}: no thanks"));
    }
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    for (status, header) in [(429, "Retry-After: 17\r\n"), (503, "retry-after: 17\r\n")] {
        let (sent, _) = hook(Answer::Say(status, header, String::new())).await;
        assert_eq!(sent, Sent::Again { after: Some(Duration::from_secs(17)), why: format!("answered {status}") });
    }
}

#[tokio::test]
async fn whatever_does_not_answer_ends_in_time() {
    for (answer, words) in [
        (Answer::Hang, "no answer within 1s"),
        (Answer::DripHead, "no answer within 1s"),
        (Answer::Close, "the connection broke"),
        (Answer::Reset, "the connection broke"),
    ] {
        let begun = Instant::now();
        let (sent, receiver) = hook(answer.clone()).await;
        again(&sent, words);
        assert!(begun.elapsed() < Duration::from_secs(3), "{answer:?} took {:?}", begun.elapsed());
        assert_eq!(receiver.requests().len(), 1, "no retry of its own");
    }
    let sent = channels("").send(&message("webhook", json!({"url": format!("http://{}/", nobody().await)})), None).await;
    again(&sent, "no connection");
    let sent = channels("").send(&message("webhook", json!({"url": format!("https://{}/", deaf().await)})), None).await;
    again(&sent, "no answer");
}

#[tokio::test]
async fn an_accepted_page_is_accepted_whatever_its_body_does() {
    for answer in [Answer::DripBody(200), Answer::Flood(202)] {
        let begun = Instant::now();
        delivered(&hook(answer.clone()).await.0);
        assert!(begun.elapsed() < Duration::from_secs(3), "{answer:?} took {:?}", begun.elapsed());
    }
    again(&hook(Answer::Flood(500)).await.0, "answered 500: xxx");
    // Slack's answer is in the body: one that never ends is none.
    let slack = Receiver::start(vec![Answer::DripBody(200)]).await;
    again(&slack_send(&slack, None).await, "no answer within 1s");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = Receiver::start(vec![ok("")]).await;
    for status in [301, 302, 307, 308] {
        let head: &'static str = format!("location: {}\r\n", inside.url("/latest/meta-data")).leak();
        let (sent, _) = hook(Answer::Say(status, head, String::new())).await;
        refused(&sent, "a redirect, and none is followed");
    }
    assert!(inside.requests().is_empty());
}

fn slack(receiver: &Receiver) -> Channels {
    channels(&format!("[delivery.slack]\ntoken = \"xoxb-1\"\nbase_url = \"{}\"", receiver.url("/api")))
}

async fn slack_send(receiver: &Receiver, thread: Option<&Thread>) -> Sent {
    slack(receiver).send(&message("slack", json!({"channel": "#ops"})), thread).await
}

#[tokio::test]
async fn slack_says_errors_with_200() {
    for (answer, retried) in [
        (r#"{"ok":false,"error":"channel_not_found"}"#, false),
        (r#"{"ok":false,"error":"invalid_auth"}"#, false),
        (r#"{"ok":false,"error":"is_archived"}"#, false),
        (r#"{"ok":false,"error":"invalid_arguments","response_metadata":{"messages":["[ERROR] no"]}}"#, false),
        (r#"{"ok":false,"error":"ratelimited"}"#, true),
        (r#"{"ok":false,"error":"internal_error"}"#, true),
        ("<html>maintenance</html>", true),
        ("", true),
    ] {
        let receiver = Receiver::start(vec![ok(answer)]).await;
        let sent = slack_send(&receiver, None).await;
        assert_eq!(matches!(sent, Sent::Again { .. }), retried, "{answer}: {sent:?}");
        assert_eq!(matches!(sent, Sent::Refused { .. }), !retried, "{answer}: {sent:?}");
    }
    let receiver =
        Receiver::start(vec![Answer::Say(429, "retry-after: 30\r\n", r#"{"ok":false,"error":"ratelimited"}"#.to_owned())]).await;
    let why = "answered 429: ratelimited".to_owned();
    assert_eq!(slack_send(&receiver, None).await, Sent::Again { after: Some(Duration::from_secs(30)), why });
}

#[tokio::test]
async fn slacks_thread_is_what_slack_says_and_a_deleted_one_hides_no_page() {
    let said = r#"{"ok":true,"channel":"C01OPS","ts":"1772355600.000100"}"#;
    let receiver = Receiver::start(vec![ok(said)]).await;
    let opened = Thread { channel: "C01OPS".to_owned(), ts: "1772355600.000100".to_owned() };
    let Sent::Delivered { thread, .. } = slack_send(&receiver, None).await else { panic!("delivered") };
    assert_eq!(thread, Some(opened.clone()));

    let receiver = Receiver::start(vec![ok(r#"{"ok":false,"error":"thread_not_found"}"#), ok(said)]).await;
    delivered(&slack_send(&receiver, Some(&opened)).await);
    let threads: Vec<_> = receiver.requests().iter().map(|request| request.json().get("thread_ts").cloned()).collect();
    assert_eq!(threads, [Some(json!("1772355600.000100")), None]);
}

#[tokio::test]
async fn each_attempt_carries_the_actions_id_and_a_retry_is_the_same_bytes() {
    let receiver = Receiver::start(vec![say(500), say(200)]).await;
    let channels = channels("");
    let message = message("webhook", json!({"url": receiver.url("/hook?x=1"), "method": "PUT", "headers": {"X-Team": "llm"}}));
    again(&channels.send(&message, None).await, "500");
    delivered(&channels.send(&message, None).await);
    let requests = receiver.requests();
    assert_eq!(requests[0].body, requests[1].body);
    for request in &requests {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/hook?x=1"));
        assert_eq!((request.header("webhook-id"), request.header("idempotency-key")), (ACTION, ACTION));
        assert_eq!((request.header("x-team"), request.header("content-type")), ("llm", "application/json"));
        assert_eq!(request.json()["incident"]["title"], message.record["incident"]["title"]);
        assert_eq!(request.json().get("channel"), None);
    }
}

#[tokio::test]
async fn a_target_that_cannot_be_is_refused_with_its_reason() {
    for (channel, config, words) in [
        ("webhook", json!({}), "no `url`"),
        ("webhook", json!({"url": "hooks.example.com"}), "`url` is none"),
        ("webhook", json!({"url": "file:///etc/passwd"}), "only http and https"),
        ("webhook", json!({"url": "http://127.0.0.1/", "method": "DELETE"}), "POST or PUT"),
        ("webhook", json!({"url": "http://127.0.0.1/", "headers": {"Webhook-Id": "x"}}), "not theirs to set"),
        ("webhook", json!({"url": "http://127.0.0.1/", "headers": {"Host": "x"}}), "not theirs to set"),
        ("webhook", json!({"url": "http://127.0.0.1/", "headers": {"a b": "x"}}), "no name of a header"),
        ("webhook", json!({"url": "http://127.0.0.1/", "headers": {"a": "x\r\ny: z"}}), "no text of one line"),
        ("webhook", json!({"url": "http://127.0.0.1/", "secret": "not base64!"}), "Standard Webhooks"),
        ("slack", json!({"channel": "#ops"}), "delivery.slack.token"),
        ("sms", json!({"phone_numbers": ["+1"]}), "delivery.sms"),
        ("email", json!({"recipients": ["a@example.org"]}), "delivery.email.smtp"),
        ("pagerduty", json!({}), "`service_key`"),
        ("fax", json!({}), "no channel of type"),
    ] {
        refused(&channels("").send(&message(channel, config.clone()), None).await, words);
    }
}

#[tokio::test]
async fn the_executor_answers_what_became_of_it() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    for (answer, said) in [
        (ok(r#"{"outcome":"succeeded"}"#), Executed::Answered { outcome: Outcome::Succeeded, error: None }),
        (
            ok(r#"{"outcome":"failed","error":"no release"}"#),
            Executed::Answered { outcome: Outcome::Failed, error: Some("no release".to_owned()) },
        ),
        (Answer::Say(202, "", String::new()), Executed::Answered { outcome: Outcome::Started, error: None }),
        (say(500), Executed::Again { after: None, why: "answered 500: no thanks".to_owned() }),
        (say(403), Executed::Refused { why: "answered 403: no thanks".to_owned() }),
    ] {
        let receiver = Receiver::start(vec![answer]).await;
        let message = message("webhook", json!({"url": receiver.url("/run"), "secret": secret}));
        assert_eq!(channels("").execute(&message).await, said);
        super::officials::verify_signature(&receiver.request(), secret);
    }
    let receiver = Receiver::start(vec![Answer::Hang]).await;
    let executed = channels("").execute(&message("webhook", json!({"url": receiver.url("/run")}))).await;
    assert!(matches!(executed, Executed::Again { .. }), "{executed:?}");
}
