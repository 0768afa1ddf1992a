//! E-mail to a real mail server, aiosmtpd: what arrives, over TLS or not, and what its refusals mean.

use super::counterparts::script;
use super::tls::Authority;
use super::{ACTION, INCIDENT, again, delivered, message, refused, settings};
use incidentd::delivery::channel::{Channels, Message, Sent};
use mail_parser::MessageParser;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

pub struct MailServer {
    child: Child,
    pub port: u16,
    messages: Receiver<Value>,
}

impl MailServer {
    pub fn start(asked: Value) -> MailServer {
        let mut child = script("smtpd.py").arg(asked.to_string()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().expect("the mail server has started").unwrap().parse().unwrap();
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        MailServer { child, port, messages }
    }

    /// The next one that it took; none within a second.
    fn message(&self) -> Option<Value> {
        self.messages.recv_timeout(Duration::from_secs(1)).ok()
    }

    pub fn took(&self) -> Value {
        self.messages.recv_timeout(Duration::from_secs(10)).expect("a message has arrived")
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `more` are lines of `[delivery]`, `email` of `[delivery.email]`; the server's name is localhost.
async fn send(url: &str, more: &str, email: &str, message: &Message) -> Sent {
    let text =
        format!("timeout = \"5s\"\n{more}\n[delivery.email]\nsmtp = \"{url}\"\nfrom = \"Pager <pager@example.com>\"\n{email}");
    Channels::new(&settings(&text), Some(super::PUBLIC_URL)).unwrap().send(message, None).await
}

fn mail() -> Message {
    message("email", json!({"recipients": ["alice@example.org", "Bob <bob@example.org>"], "cc": "carol@example.org"}))
}

#[tokio::test]
async fn a_page_arrives_whole_and_its_retry_has_the_same_id() {
    let server = MailServer::start(json!({}));
    let url = format!("smtp://localhost:{}", server.port);
    let mut ids = Vec::new();
    for _ in 0..2 {
        delivered(&send(&url, "", "", &mail()).await);
        let took = server.took();
        assert_eq!(took["from"], "pager@example.com");
        assert_eq!(took["to"], json!(["alice@example.org", "bob@example.org", "carol@example.org"]));
        let bytes = took["message"].as_str().unwrap().to_owned();
        let parsed = MessageParser::default().parse(bytes.as_bytes()).unwrap();
        assert_eq!(parsed.subject(), Some("[CRITICAL] Latency <high> & rising: Задержка"));
        assert_eq!(parsed.references().as_text(), Some(format!("{INCIDENT}@example.com").as_str()));
        assert!(parsed.date().is_some());
        let link = format!("{}/incidents/{INCIDENT}", super::PUBLIC_URL);
        assert!(parsed.body_text(0).unwrap().contains(&link) && parsed.body_html(0).unwrap().contains(&link));
        ids.push(parsed.message_id().unwrap().to_owned());
    }
    assert_eq!(ids[0], ids[1]);
    assert!(ids[0].starts_with(ACTION) && ids[0].ends_with("@example.com"), "{ids:?}");
}

#[tokio::test]
async fn no_header_is_slipped_in_by_an_alert() {
    let server = MailServer::start(json!({}));
    let evil = "x\r\nBcc: all@example.org\r\n\r\nbody\r\n.\r\nMAIL FROM:<x@x.org>";
    let mut mail = message("email", json!({"recipients": ["alice@example.org"], "subject_template": "{{title}}"}));
    std::sync::Arc::make_mut(&mut mail.record)["incident"]["title"] = json!(evil);
    std::sync::Arc::make_mut(&mut mail.record)["incident"]["description"] = json!(evil);
    delivered(&send(&format!("smtp://localhost:{}", server.port), "", "", &mail).await);
    let took = server.took();
    assert_eq!(took["to"], json!(["alice@example.org"]));
    let bytes = took["message"].as_str().unwrap().to_owned();
    let parsed = MessageParser::default().parse(bytes.as_bytes()).unwrap();
    assert!(parsed.bcc().is_none());
    assert_eq!(parsed.subject(), Some("x Bcc: all@example.org body . MAIL FROM:<x@x.org>"));
    assert!(parsed.body_text(0).unwrap().contains("MAIL FROM:<x@x.org>"), "nothing of the description is lost");
    assert_eq!(server.message(), None, "one message, not two");
}

#[tokio::test]
async fn tls_by_the_url() {
    let authority = Authority::new();
    let (certificate, key) = authority.files("localhost");
    let trusted = format!("ca_file = {:?}", authority.file());
    let starttls = MailServer::start(json!({"certificate": certificate, "key": key}));
    let implicit = MailServer::start(json!({"certificate": certificate, "key": key, "implicit": true}));
    let plain = MailServer::start(json!({}));

    for query in ["", "?tls=opportunistic", "?tls=required"] {
        delivered(&send(&format!("smtp://localhost:{}{query}", starttls.port), &trusted, "", &mail()).await);
        assert_eq!(starttls.took()["tls"], true, "{query}");
    }
    delivered(&send(&format!("smtps://localhost:{}", implicit.port), &trusted, "", &mail()).await);
    implicit.took();
    delivered(&send(&format!("smtp://localhost:{}?tls=none", starttls.port), &trusted, "", &mail()).await);
    assert_eq!(starttls.took()["tls"], false);

    // What was asked for is not given up in silence.
    refused(&send(&format!("smtp://localhost:{}?tls=required", plain.port), &trusted, "", &mail()).await, "the mail server");
    for url in [format!("smtp://localhost:{}", starttls.port), format!("smtps://localhost:{}", implicit.port)] {
        refused(&send(&url, "", "", &mail()).await, "its certificate is not trusted");
    }
    refused(&send(&format!("smtp://127.0.0.1:{}", starttls.port), &trusted, "", &mail()).await, "its certificate is not trusted");
    assert!(plain.message().is_none() && starttls.message().is_none() && implicit.message().is_none());
    refused(&send("smtp://localhost:25?tls=maybe", "", "", &mail()).await, "tls=maybe is not known");
}

#[tokio::test]
async fn authentication_is_over_tls_and_its_failure_shows_no_password() {
    let authority = Authority::new();
    let (certificate, key) = authority.files("localhost");
    let trusted = format!("ca_file = {:?}", authority.file());
    let server = MailServer::start(json!({"certificate": certificate, "key": key, "user": "pager", "password": "p@ss word"}));
    let url = format!("smtp://localhost:{}", server.port);
    let right = "username = \"pager\"\npassword = \"p@ss word\"";
    delivered(&send(&url, &trusted, right, &mail()).await);
    assert_eq!(server.took()["tls"], true);
    delivered(&send(&format!("smtp://pager:p%40ss%20word@localhost:{}", server.port), &trusted, "", &mail()).await);
    server.took();
    let sent = send(&url, &trusted, "username = \"pager\"\npassword = \"hunter2hunter2\"", &mail()).await;
    refused(&sent, "535");
    assert!(!format!("{sent:?}").contains("hunter2"), "{sent:?}");
    refused(&send(&url, &trusted, "", &mail()).await, "530");
    refused(&send(&url, &trusted, "username = \"pager\"", &mail()).await, "delivery.email.password is not set");
    // A password is never sent in the clear, unless the URL says so.
    let plain = MailServer::start(json!({"user": "pager", "password": "p@ss word"}));
    refused(&send(&format!("smtp://localhost:{}", plain.port), "", right, &mail()).await, "the mail server");
}

#[tokio::test]
async fn one_wrong_address_keeps_the_page_from_nobody_else() {
    let server = MailServer::start(json!({"refuse": ["bob@example.org"], "busy": ["late@example.org"]}));
    let url = format!("smtp://localhost:{}", server.port);
    let sent = send(&url, "", "", &mail()).await;
    refused(&sent, "sent to the others, but not to bob@example.org: the mail server answered 550");
    assert_eq!(server.took()["to"], json!(["alice@example.org"]));
    assert_eq!(server.took()["to"], json!(["carol@example.org"]));

    let only = |address: &str| message("email", json!({"recipients": [address]}));
    refused(&send(&url, "", "", &only("bob@example.org")).await, "550");
    again(&send(&url, "", "", &only("late@example.org")).await, "450");
    refused(&send(&url, "", "", &only("no address")).await, "is no e-mail address");
    let sent =
        send(&url, "", "", &message("email", json!({"recipients": ["alice@example.org", "x@y@z", "a@b\r\nBcc: c@d"]}))).await;
    refused(&sent, "sent to the others, but \"x@y@z\" is no e-mail address");
    assert_eq!(server.took()["to"], json!(["alice@example.org"]));
    assert_eq!(server.message(), None);
}

#[tokio::test]
async fn a_server_that_fails_or_does_not_answer_is_tried_again() {
    let busy = MailServer::start(json!({"data": "451 4.3.0 try later"}));
    again(&send(&format!("smtp://localhost:{}", busy.port), "", "", &mail()).await, "451");
    let full = MailServer::start(json!({"data": "554 5.7.1 spam"}));
    refused(&send(&format!("smtp://localhost:{}", full.port), "", "", &mail()).await, "554");
    let nobody = super::receiver::nobody().await;
    again(&send(&format!("smtp://{nobody}"), "", "", &mail()).await, "the mail server");
    let deaf = super::receiver::deaf().await;
    let text = format!("timeout = \"300ms\"\n[delivery.email]\nsmtp = \"smtp://{deaf}\"\nfrom = \"p@example.com\"");
    let sent = Channels::new(&settings(&text), None).unwrap().send(&mail(), None).await;
    again(&sent, "within 300ms");
}
