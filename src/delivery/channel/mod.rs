//! The channels: one attempt to bring one message to one target (SPEC 7).
//!
//! Nothing here waits, repeats or remembers: that is the caller's, by what [`Sent`] says. Around what is sent:
//!
//! - `message`: the seam; `view`, `text`, `link`: a message as its readers need it
//! - `slack`, `email`, `sms`, `pagerduty`, `webhook` (the executor's call too), `signature`: what each takes and answers
//! - `client`, `resolver`, `guard`, `roots`: HTTP through the guard, with an end to every wait
//! - `secrets`: names to texts, and texts that must not be shown
//!
//! Invariant: a secret, or what of a URL may be one, stands in no [`Sent`].

mod client;
mod email;
mod guard;
mod link;
mod message;
mod pagerduty;
mod resolver;
mod roots;
#[cfg(test)]
mod sample;
mod secrets;
mod signature;
mod slack;
mod sms;
mod text;
mod view;
mod webhook;

use crate::{config, traces};
use reqwest::Url;
use secrets::{Hidden, Opened, Secrets};
use serde_json::Value;
use std::time::Duration;
use tracing::{Instrument, field};

pub use message::{Executed, Kind, Message, Outcome, Sent, Target, Thread};
pub use resolver::{Looking, Lookup, system};
pub use roots::Roots;

/// A reason is at most as long, in characters: it goes into receipts and headers.
const REASON: usize = 1_000;

/// All channels, ready to send; to be shared behind an `Arc`.
pub struct Channels {
    http: client::Http,
    slack: slack::Slack,
    slack_token: Option<config::Secret>,
    email: email::Email,
    email_password: Option<config::Secret>,
    sms: config::Sms,
    pagerduty: config::PagerDuty,
    secrets: Secrets,
    /// Without a slash at its end; none: no links to incidents.
    public_url: Option<String>,
}

/// What is wrong with the settings: names the setting and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ChannelsError(String);

impl Channels {
    /// `public_url` is `api.public_url`. Reads `delivery.ca_file` and the system's authorities; opens no connection. What is
    /// wrong with one channel alone is said by that channel's refusals, for the others must go on.
    pub fn new(delivery: &config::Delivery, public_url: Option<&str>) -> Result<Channels, ChannelsError> {
        Channels::with_lookup(delivery, public_url, system())
    }

    /// As [`Channels::new`], with another way from names to addresses than the system's.
    pub fn with_lookup(delivery: &config::Delivery, public_url: Option<&str>, lookup: Lookup) -> Result<Channels, ChannelsError> {
        let allowed = guard::Guard::new(&delivery.allow_list);
        let guard = allowed.map_err(|block| ChannelsError(format!("delivery.allow_list: {block:?} is no CIDR block")))?;
        let proxy = match delivery.proxy.as_deref().map(Url::parse) {
            None => None,
            Some(Ok(proxy)) => Some(proxy),
            Some(Err(error)) => return Err(ChannelsError(format!("delivery.proxy is no URL: {error}"))),
        };
        let timeout = Duration::from_millis(u64::try_from(delivery.timeout).unwrap_or_default());
        let roots = roots::Roots::load(delivery.ca_file.as_deref()).map_err(ChannelsError)?;
        let resolver = resolver::Resolver::new(guard, lookup, proxy.as_ref());
        Ok(Channels {
            http: client::Http::new(resolver, &roots, proxy.as_ref(), timeout).map_err(ChannelsError)?,
            slack: slack::Slack::new(&delivery.slack),
            slack_token: delivery.slack.token.clone(),
            email: email::Email::new(&delivery.email, roots, timeout),
            email_password: delivery.email.password.clone(),
            sms: delivery.sms.clone(),
            pagerduty: delivery.pagerduty.clone(),
            secrets: Secrets::new(delivery.secrets_dir.as_deref(), of_settings(delivery)),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
        })
    }

    /// One attempt. HTTP ends after `delivery.timeout`, e-mail after as much for each try at an envelope. With a thread Slack's
    /// message goes into it.
    pub async fn send(&self, message: &Message, thread: Option<&Thread>) -> Sent {
        let opened = match self.open(message).await {
            Ok(opened) => opened,
            Err(why) => return Sent::Refused { why },
        };
        let trace = tracing::info_span!(
            target: traces::TARGET,
            "send",
            otel.kind = "client",
            channel = message.target.channel.as_str(),
            action = message.action_id.as_str(),
            outcome = field::Empty,
            otel.status_code = field::Empty,
        );
        let sent = self.send_opened(message, &opened, thread).instrument(trace.clone()).await;
        match &sent {
            Sent::Delivered { .. } => trace.record("outcome", "delivered"),
            Sent::Again { .. } => trace.record("outcome", "again").record("otel.status_code", "ERROR"),
            Sent::Refused { .. } => trace.record("outcome", "refused").record("otel.status_code", "ERROR"),
        };
        let shown = |text: String| text::cut(&opened.hidden.hide(&text), REASON);
        match sent {
            Sent::Delivered { thread, detail } => Sent::Delivered { thread, detail: shown(detail) },
            Sent::Again { after, why } => Sent::Again { after, why: shown(why) },
            Sent::Refused { why } => Sent::Refused { why: shown(why) },
        }
    }

    async fn send_opened(&self, message: &Message, opened: &Opened, thread: Option<&Thread>) -> Sent {
        let link = self.link(message);
        let link = link.as_deref();
        match message.target.channel.as_str() {
            "slack" => self.slack.send(&self.http, message, opened, thread, link).await,
            "email" => self.email.send(message, opened, link).await,
            "sms" => sms::send(&self.sms, &self.http, message, opened, link).await,
            "pagerduty" => pagerduty::send(&self.pagerduty, &self.http, message, opened, link).await,
            "webhook" => webhook::send(&self.http, message, opened).await,
            other => {
                let known = "slack, email, sms, pagerduty and webhook are known";
                Sent::Refused { why: format!("there is no channel of type {other:?}: {known}") }
            }
        }
    }

    /// One call of the executor of remediations, signed like a webhook: `target` is a webhook's (`url`, `headers`?, `secret`?).
    pub async fn execute(&self, message: &Message) -> Executed {
        let opened = match self.open(message).await {
            Ok(opened) => opened,
            Err(why) => return Executed::Refused { why },
        };
        let shown = |text: String| text::cut(&opened.hidden.hide(&text), REASON);
        match webhook::execute(&self.http, message, &opened).await {
            Executed::Answered { outcome, error } => Executed::Answered { outcome, error: error.map(shown) },
            Executed::Again { after, why } => Executed::Again { after, why: shown(why) },
            Executed::Refused { why } => Executed::Refused { why: shown(why) },
        }
    }

    async fn open(&self, message: &Message) -> Result<Opened, String> {
        let mut config = message.target.config.clone();
        // The settings' own secrets are looked up beside the target's: a file of theirs may change as well.
        let of_settings = match message.target.channel.as_str() {
            "slack" => Some((slack::TOKEN, &self.slack_token)),
            "sms" => Some((sms::AUTH_TOKEN, &self.sms.auth_token)),
            "email" => Some((email::PASSWORD, &self.email_password)),
            _ => None,
        };
        if let Some((key, secret)) = of_settings {
            config.remove(key);
            config.extend(secret.iter().map(|secret| (key.to_owned(), secret.to_value())));
        }
        let mut opened = self.secrets.open(&config).await?;
        // A webhook's path is often its token, though it stands there in clear.
        if let Some(path) = opened.config.get("url").and_then(Value::as_str).and_then(link::path) {
            opened.hidden.add(&path);
        }
        Ok(opened)
    }

    /// The incident's page.
    fn link(&self, message: &Message) -> Option<String> {
        let view = view::View::of(message);
        let id = Some(view.incident_id()).filter(|id| !id.is_empty())?;
        self.public_url.as_ref().map(|url| format!("{url}/incidents/{id}"))
    }
}

/// What of the settings must not be shown.
fn of_settings(delivery: &config::Delivery) -> Hidden {
    let mut hidden = Hidden::default();
    for secret in [&delivery.slack.token, &delivery.sms.auth_token, &delivery.email.password].into_iter().flatten() {
        if let config::Secret::Text(text) = secret {
            hidden.add(text);
        }
    }
    for url in [&delivery.email.smtp, &delivery.proxy].into_iter().flatten() {
        if let Some(password) = Url::parse(url).ok().as_ref().and_then(Url::password) {
            hidden.add(password);
            hidden.add(&link::decoded(password));
        }
    }
    hidden
}
