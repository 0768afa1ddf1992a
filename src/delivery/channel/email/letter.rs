//! The message as it goes over the wire: headers that thread by incident, a text and an HTML part.

use crate::delivery::channel::email::{body, subject};
use crate::delivery::channel::message::Message;
use crate::delivery::channel::view::View;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use sha2::{Digest, Sha256};
use std::time::SystemTime;

/// The bytes of the message. At a retry they differ in the date and the parts' boundary alone: the Message-ID stays.
pub fn write(
    message: &Message,
    from: &Mailbox,
    to: &[Mailbox],
    cc: &[Mailbox],
    template: Option<&str>,
    link: Option<&str>,
    at: SystemTime,
) -> Result<Vec<u8>, String> {
    let domain = from.email.domain();
    let view = View::of(message);
    // The incident's own id begins the thread; mail programs need no message by that id for it. A digest is a thread of its own.
    let thread = match view.digest().is_none() && view.notice().is_none() {
        true => format!("<{}@{domain}>", id_part(view.incident_id())),
        false => format!("<{}@{domain}>", id_part(&message.action_id)),
    };
    let mut letter = lettre::Message::builder()
        .from(from.clone())
        .subject(subject::of(message, template))
        .date(at)
        .message_id(Some(format!("<{}.{}@{domain}>", id_part(&message.action_id), digest_of(to, cc))))
        .in_reply_to(thread.clone())
        .references(thread)
        // So that nobody's absence note answers a page.
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    for mailbox in to {
        letter = letter.to(mailbox.clone());
    }
    for mailbox in cc {
        letter = letter.cc(mailbox.clone());
    }
    let parts = MultiPart::alternative_plain_html(body::text(message, link), body::html(message, link));
    let letter = letter.multipart(parts).map_err(|error| format!("the e-mail cannot be written: {error}"))?;
    Ok(letter.formatted())
}

/// One action may go to several people by a message each.
fn digest_of(to: &[Mailbox], cc: &[Mailbox]) -> String {
    let mut hash = Sha256::new();
    for mailbox in to.iter().chain(cc) {
        hash.update(mailbox.email.to_string().as_bytes());
        hash.update([0]);
    }
    const_hex::encode(&hash.finalize()[..6])
}

/// What an id may hold in a header.
fn id_part(id: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let part: String = id.chars().filter(fits).take(64).collect();
    if part.is_empty() { "none".to_owned() } else { part }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::channel::sample;
    use mail_parser::MessageParser;
    use serde_json::json;
    use std::time::{Duration, UNIX_EPOCH};

    fn letter(message: &Message, template: Option<&str>, at: u64) -> Vec<u8> {
        let from = "Incidents <pager@example.com>".parse().unwrap();
        let to = ["alice@example.org".parse().unwrap(), "Bob <bob@example.org>".parse().unwrap()];
        let cc = ["carol@example.org".parse().unwrap()];
        write(message, &from, &to, &cc, template, None, UNIX_EPOCH + Duration::from_secs(at)).unwrap()
    }

    #[test]
    fn a_message_that_threads_by_incident_and_keeps_its_id() {
        let mut message = sample::message("email", json!({}));
        let bytes = letter(&message, None, 1_772_355_602);
        let first = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(first.subject(), Some("[CRITICAL] Latency <high> & rising"));
        assert_eq!(first.date().unwrap().to_rfc3339(), "2026-03-01T09:00:02Z");
        assert_eq!(first.in_reply_to().as_text(), Some("inc_00030123456789abcdef@example.com"));
        assert_eq!(first.references().as_text(), Some("inc_00030123456789abcdef@example.com"));
        assert!(first.message_id().unwrap().starts_with("act_00112233445566778899aabbccddeeff."));
        assert_eq!(first.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
        assert!(first.body_text(0).unwrap().contains("p95 is 7.5 s"));
        assert!(first.body_html(0).unwrap().contains("Latency &lt;high&gt;"));

        let bytes = letter(&message, None, 1_772_355_699);
        let retried = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(retried.message_id(), first.message_id());

        message.action_id = "act_ffffffffffffffffffffffffffffffff".to_owned();
        message.event = "resolved".to_owned();
        let bytes = letter(&message, None, 1_772_355_700);
        let later = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(later.references().as_text(), first.references().as_text());
        assert_ne!(later.message_id(), first.message_id());
    }

    #[test]
    fn no_header_can_be_slipped_in() {
        let mut message = sample::message("email", json!({}));
        let evil = "x\r\nBcc: all@example.com\r\n\r\n<b>\u{2028}\u{85}end";
        sample::incident(&mut message)["title"] = json!(evil);
        sample::incident(&mut message)["id"] = json!(evil);
        message.action_id = evil.to_owned();
        let template = format!("{evil}{{{{title}}}}");
        for template in [None, Some(template.as_str())] {
            let bytes = letter(&message, template, 1_772_355_602);
            let parsed = MessageParser::default().parse(&bytes).unwrap();
            assert!(parsed.bcc().is_none());
            let text = String::from_utf8(bytes.clone()).unwrap();
            let head = text.split("\r\n\r\n").next().unwrap();
            assert!(head.lines().all(|line| !line.starts_with("Bcc") && !line.starts_with("<b>")), "{head}");
            assert!(parsed.subject().unwrap().contains("Bcc: all@example.com"));
        }
    }

    #[test]
    fn any_language_comes_through() {
        let mut message = sample::message("email", json!({}));
        sample::incident(&mut message)["title"] = json!("Задержка растёт — 遅延 🔥");
        let bytes = letter(&message, None, 1_772_355_602);
        assert!(bytes.is_ascii());
        assert_eq!(MessageParser::default().parse(&bytes).unwrap().subject(), Some("[CRITICAL] Задержка растёт — 遅延 🔥"));
    }
}
