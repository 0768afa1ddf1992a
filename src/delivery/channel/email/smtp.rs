//! The SMTP server: TLS by its URL, and what its answers mean.

use crate::config;
use crate::delivery::channel::client::{cause, untrusted};
use crate::delivery::channel::link::decoded;
use crate::delivery::channel::message::Sent;
use crate::delivery::channel::roots::Roots;
use crate::delivery::channel::text::{cut, one_line};
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::Tls;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use reqwest::Url;
use std::time::Duration;

/// Answers that an address may be the reason of: no such mailbox, a full one, one that takes nothing yet (RFC 5321, 4.2.3).
const OF_AN_ADDRESS: [u16; 8] = [450, 452, 501, 550, 551, 552, 553, 554];

pub struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    /// For one attempt at one envelope.
    timeout: Duration,
}

impl Server {
    /// `smtp://host:25` speaks STARTTLS where the server offers it, and must where there is a password; `?tls=required` and
    /// `?tls=none` say otherwise. `smtps://host:465` is TLS from the start. An answer names the setting that is wrong.
    pub fn new(email: &config::Email, password: Option<&str>, roots: &Roots, timeout: Duration) -> Result<Server, String> {
        let smtp = email.smtp.as_deref();
        let smtp = smtp.ok_or("delivery.email.smtp is not set: give the mail server, such as \"smtp://mail.example.com:587\"")?;
        let wrong = |problem: String| format!("delivery.email.smtp: {problem}");
        let url = Url::parse(smtp).map_err(|error| wrong(format!("it is no URL: {error}")))?;
        let host = url.host_str().ok_or_else(|| wrong("it names no host".to_owned()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let credentials = credentials(email, password, &url)?;
        let asked = url.query_pairs().find(|(key, _)| key == "tls").map(|(_, value)| value);
        let parameters = || roots.for_smtp(host).map_err(|error| wrong(format!("TLS cannot be set up: {error}")));
        let (tls, port) = match (url.scheme(), asked.as_deref()) {
            ("smtps", None | Some("required")) => (Tls::Wrapper(parameters()?), 465),
            ("smtp", None) if credentials.is_some() => (Tls::Required(parameters()?), 587),
            ("smtp", Some("required")) => (Tls::Required(parameters()?), 587),
            ("smtp", None | Some("opportunistic")) => (Tls::Opportunistic(parameters()?), 25),
            ("smtp", Some("none")) => (Tls::None, 25),
            (_, asked) => {
                let asked = asked.unwrap_or_default();
                return Err(wrong(format!(
                    "tls={asked} is not known: `required`, `opportunistic` or `none`, and only `required` with smtps://"
                )));
            }
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            .tls(tls)
            .timeout(Some(timeout))
            .hello_name(ClientId::Domain(hello(email)));
        if let Some((user, password)) = credentials {
            transport = transport.credentials(Credentials::new(user, password));
        }
        Ok(Server { transport: transport.build(), timeout })
    }

    /// To all at once; where the server refuses that, to each alone, so that one wrong address keeps the page from nobody else.
    pub async fn send(&self, from: Address, to: Vec<Address>, letter: &[u8]) -> Sent {
        let (all, for_an_address) = self.once(from.clone(), to.clone(), letter).await;
        if to.len() < 2 || !for_an_address {
            return all;
        }
        let mut failed = Vec::new();
        let mut transient = false;
        for (nth, address) in to.iter().enumerate() {
            let (sent, for_the_address) = self.once(from.clone(), vec![address.clone()], letter).await;
            let (why, again) = match sent {
                Sent::Delivered { .. } => continue,
                Sent::Again { why, .. } => (why, true),
                Sent::Refused { why } => (why, false),
            };
            transient |= again;
            failed.push(format!("{address}: {why}"));
            if again && !for_the_address {
                // The server itself has gone: waiting for each of the others would take as long again.
                failed.extend(to[nth + 1..].iter().map(|address| format!("{address}: not tried")));
                break;
            }
        }
        match (failed.len(), transient) {
            (0, _) => Sent::Delivered { thread: None, detail: "250, one by one".to_owned() },
            (all, true) if all == to.len() => Sent::Again { after: None, why: failed.join("; ") },
            (all, false) if all == to.len() => Sent::Refused { why: failed.join("; ") },
            // No retry, which would tell the others again.
            _ => Sent::Refused { why: format!("sent to the others, but not to {}", failed.join("; ")) },
        }
    }

    /// What became of it, and whether that may be for one address alone.
    async fn once(&self, from: Address, to: Vec<Address>, letter: &[u8]) -> (Sent, bool) {
        let envelope = match Envelope::new(Some(from), to) {
            Ok(envelope) => envelope,
            Err(error) => return (Sent::Refused { why: format!("the envelope cannot be written: {error}") }, false),
        };
        let sent = match tokio::time::timeout(self.timeout, self.transport.send_raw(&envelope, letter)).await {
            Ok(Ok(response)) => {
                let said = response.first_line().map(|line| cut(&one_line(line), 200)).unwrap_or_default();
                Sent::Delivered { thread: None, detail: format!("{} {said}", response.code()).trim_end().to_owned() }
            }
            Ok(Err(error)) => {
                let code = error.status().map(u16::from);
                return (failed(&error), code.is_some_and(|code| OF_AN_ADDRESS.contains(&code)));
            }
            Err(_) => Sent::Again { after: None, why: format!("the mail server did not take it within {:?}", self.timeout) },
        };
        (sent, false)
    }
}

fn credentials(email: &config::Email, password: Option<&str>, url: &Url) -> Result<Option<(String, String)>, String> {
    let user = email.username.clone().or_else(|| Some(decoded(url.username())).filter(|user| !user.is_empty()));
    let password = password.map(str::to_owned).or_else(|| url.password().map(decoded));
    match (user, password) {
        (Some(user), Some(password)) => Ok(Some((user, password))),
        (None, None) => Ok(None),
        (Some(_), None) => Err("delivery.email.password is not set, and username is".to_owned()),
        (None, Some(_)) => Err("delivery.email.username is not set, and password is".to_owned()),
    }
}

/// The domain of our own address: a name that the server can make something of.
fn hello(email: &config::Email) -> String {
    let address = email.from.as_deref().and_then(|from| from.parse::<lettre::message::Mailbox>().ok());
    address.map_or_else(|| "localhost".to_owned(), |mailbox| mailbox.email.domain().to_owned())
}

fn failed(error: &lettre::transport::smtp::Error) -> Sent {
    if let Some(rustls::Error::InvalidCertificate(problem)) = cause::<rustls::Error>(error) {
        return Sent::Refused { why: untrusted(problem) };
    }
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let why = match error.status() {
        Some(code) => format!("the mail server answered {code}: {}", cut(&one_line(&last.to_string()), 200)),
        None => format!("the mail server: {}", cut(&one_line(&last.to_string()), 200)),
    };
    // What the server does not offer (authentication, STARTTLS) it will not offer a second later.
    if error.is_permanent() || error.is_client() { Sent::Refused { why } } else { Sent::Again { after: None, why } }
}
