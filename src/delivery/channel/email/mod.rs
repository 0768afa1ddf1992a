//! E-mail: one message to all recipients of a target, by SMTP.

mod body;
mod letter;
mod smtp;
mod subject;

use crate::config;
use crate::delivery::channel::message::{Message, Sent};
use crate::delivery::channel::roots::Roots;
use crate::delivery::channel::secrets::Opened;
use lettre::Address;
use lettre::message::Mailbox;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Where the opened options have `delivery.email.password`.
pub const PASSWORD: &str = "password";

pub struct Email {
    settings: config::Email,
    roots: Roots,
    timeout: Duration,
    /// With the password that it is for, which may be a file that changes.
    made: Mutex<Option<(Option<String>, Made)>>,
    from: Result<Mailbox, String>,
}

/// Or which setting is missing or wrong.
type Made = Result<Arc<smtp::Server>, String>;

impl Email {
    /// `timeout` is for one attempt at one message.
    pub fn new(email: &config::Email, roots: Roots, timeout: Duration) -> Email {
        let from = match &email.from {
            Some(from) => from.parse().map_err(|error| format!("delivery.email.from is no address: {error}")),
            None => Err("delivery.email.from is not set: give the address that pages come from".to_owned()),
        };
        Email { settings: email.clone(), roots, timeout, made: Mutex::default(), from }
    }

    /// The connections are kept as long as the password stays the same.
    fn server(&self, password: Option<&str>) -> Made {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, server)) = &*made
            && of.as_deref() == password
        {
            return server.clone();
        }
        let server = smtp::Server::new(&self.settings, password, &self.roots, self.timeout).map(Arc::new);
        *made = Some((password.map(str::to_owned), server.clone()));
        server
    }

    pub async fn send(&self, message: &Message, opened: &Opened, link: Option<&str>) -> Sent {
        let password = opened.config.get(PASSWORD).and_then(Value::as_str);
        let (server, from) = match (self.server(password), &self.from) {
            (Ok(server), Ok(from)) => (server, from),
            (Err(why), _) => return Sent::Refused { why },
            (_, Err(why)) => return Sent::Refused { why: why.clone() },
        };
        let recipients = Recipients::of(opened);
        if recipients.to.is_empty() && recipients.cc.is_empty() {
            let wrong = recipients.wrong.join("; ");
            let why = if wrong.is_empty() { "the email target names no `recipients`".to_owned() } else { wrong };
            return Sent::Refused { why };
        }
        let template = opened.config.get("subject_template").and_then(Value::as_str);
        let letter = match letter::write(message, from, &recipients.to, &recipients.cc, template, link, SystemTime::now()) {
            Ok(letter) => letter,
            Err(why) => return Sent::Refused { why },
        };
        let addresses: Vec<Address> = recipients.to.iter().chain(&recipients.cc).map(|mailbox| mailbox.email.clone()).collect();
        match server.send(from.email.clone(), addresses, &letter).await {
            // Whoever could be told is told; that the others were not is for somebody to hear.
            Sent::Delivered { .. } if !recipients.wrong.is_empty() => {
                Sent::Refused { why: format!("sent to the others, but {}", recipients.wrong.join("; ")) }
            }
            sent => sent,
        }
    }
}

/// Who is written to; an address that is none keeps no other from being written to.
struct Recipients {
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    wrong: Vec<String>,
}

impl Recipients {
    fn of(opened: &Opened) -> Recipients {
        let mut wrong = Vec::new();
        let mut read = |key: &str| {
            let mut mailboxes: Vec<Mailbox> = Vec::new();
            let texts = match opened.config.get(key) {
                Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
                Some(Value::String(one)) => vec![one.as_str()],
                _ => Vec::new(),
            };
            for text in texts {
                match text.trim().parse::<Mailbox>() {
                    Ok(mailbox) if mailboxes.iter().any(|other| other.email == mailbox.email) => {}
                    Ok(mailbox) => mailboxes.push(mailbox),
                    Err(error) => wrong.push(format!("{text:?} is no e-mail address: {error}")),
                }
            }
            mailboxes
        };
        let (to, cc) = (read("recipients"), read("cc"));
        Recipients { to, cc, wrong }
    }
}
