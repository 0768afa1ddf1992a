//! Slack: `chat.postMessage`, and what its answers mean.

mod body;
mod mrkdwn;

use crate::config;
use crate::delivery::channel::client::Http;
use crate::delivery::channel::message::{Message, Sent, Thread};
use crate::delivery::channel::secrets::Opened;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::Value;

pub struct Slack {
    url: Result<Url, String>,
}

/// Where the opened options have `delivery.slack.token`.
pub const TOKEN: &str = "token";

#[derive(Deserialize)]
struct Said {
    ok: bool,
    error: Option<String>,
    channel: Option<String>,
    ts: Option<String>,
    response_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    messages: Vec<String>,
}

impl Slack {
    pub fn new(slack: &config::Slack) -> Slack {
        let url = format!("{}/chat.postMessage", slack.base_url);
        let url = Url::parse(&url).map_err(|error| format!("delivery.slack.base_url is no URL: {error}"));
        Slack { url }
    }

    pub async fn send(
        &self,
        http: &Http,
        message: &Message,
        opened: &Opened,
        thread: Option<&Thread>,
        link: Option<&str>,
    ) -> Sent {
        let refused = |why: &str| Sent::Refused { why: why.to_owned() };
        let url = match &self.url {
            Ok(url) => url,
            Err(why) => return refused(why),
        };
        let Some(token) = opened.config.get(TOKEN).and_then(Value::as_str) else {
            return refused("delivery.slack.token is not set: give the bot's token, xoxb-…");
        };
        let Some(channel) = opened.config.get("channel").and_then(Value::as_str).filter(|channel| !channel.is_empty()) else {
            return refused("the slack target names no `channel`");
        };
        let mention = opened.config.get("mention").and_then(Value::as_str);
        let mut thread = thread;
        loop {
            let body = body::of(message, channel, mention, thread, link);
            // Without the character set Slack warns.
            let request = http
                .request(Method::POST, url.clone(), &message.action_id)
                .bearer_auth(token)
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .json(&body);
            let answer = match http.ask(request).await {
                Ok(answer) => answer,
                Err(sent) => return sent,
            };
            let said = serde_json::from_slice::<Said>(&answer.body);
            let error = said.as_ref().ok().and_then(|said| said.error.clone());
            if let Err(sent) = answer.unless_accepted(&error.unwrap_or_else(|| answer.excerpt())) {
                return sent;
            }
            let Ok(said) = said else {
                let why = format!("answered 200 without Slack's JSON: {}", answer.excerpt());
                return Sent::Again { after: answer.retry_after, why };
            };
            if said.ok {
                let ts = said.ts.unwrap_or_default();
                let opened_here = Thread { channel: said.channel.unwrap_or_else(|| channel.to_owned()), ts: ts.clone() };
                let thread = thread.cloned().unwrap_or(opened_here);
                return Sent::Delivered {
                    thread: Some(thread).filter(|thread| !thread.ts.is_empty()),
                    detail: format!("ts {ts}"),
                };
            }
            let error = said.error.unwrap_or_else(|| "no error named".to_owned());
            if is_thread_gone(&error) && thread.take().is_some() {
                // Whoever deleted the thread did not mean to miss what comes after it.
                continue;
            }
            let more = said.response_metadata.map(|more| more.messages.join("; ")).filter(|more| !more.is_empty());
            let why = match more.as_deref().or(remedy(&error)) {
                Some(more) => format!("Slack says {error}: {more}"),
                None => format!("Slack says {error}"),
            };
            return if is_transient(&error) { Sent::Again { after: answer.retry_after, why } } else { Sent::Refused { why } };
        }
    }
}

fn is_thread_gone(error: &str) -> bool {
    matches!(error, "thread_not_found" | "message_not_found" | "cannot_reply_to_message" | "invalid_thread_ts" | "thread_locked")
}

fn is_transient(error: &str) -> bool {
    matches!(
        error,
        "ratelimited"
            | "rate_limited"
            | "message_limit_exceeded"
            | "internal_error"
            | "fatal_error"
            | "service_unavailable"
            | "request_timeout"
            | "team_added_to_org"
            | "accesslimited"
    )
}

fn remedy(error: &str) -> Option<&'static str> {
    Some(match error {
        "channel_not_found" => "no such channel, or a private one that the app is not in: check its name, invite the app",
        "not_in_channel" => "invite the app to the channel, or give it the scope chat:write.public",
        "is_archived" => "the channel is archived: name another",
        "missing_scope" => "give the app the scope chat:write",
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            "the token is not valid: renew delivery.slack.token"
        }
        "msg_too_long" | "msg_blocks_too_long" => "the message is too long for Slack",
        _ => return None,
    })
}
