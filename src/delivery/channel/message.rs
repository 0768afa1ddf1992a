//! What is to be told to whom, and what became of one attempt: the seam between the channels and the machine around them.

use crate::delivery::channel::link;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// What a message stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An incident, a digest or a limit's notice.
    Notification,
    /// A level of a policy.
    Escalation,
    /// Work for the executor; see [`super::Channels::execute`].
    Remediation,
    /// What happened to an incident whose thread is open: a line in the thread, of no action of its own.
    Update,
}

/// One message to one target. A retry is the same message again.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The idempotency key: `webhook-id`, `Idempotency-Key`, part of the Message-ID.
    pub action_id: String,
    pub kind: Kind,
    /// As in the record: `triggered`, `resolved`, …; of an update also `note`.
    pub event: String,
    /// The action's record whole, as its topic has it (SPEC 3.5): `incident`, and by kind `incidents`, `more`, `notice`,
    /// `policy`, `level`, `targets`, `actions`. An update's has `incident`, and `entry` where it is about one entry of the
    /// timeline; without it the newest entry of the event speaks.
    pub record: Arc<Value>,
    pub target: Target,
    /// A drill: marked TEST wherever it shows.
    pub test: bool,
    /// Why it comes this way, such as `Primary channel (slack) failed: …`.
    pub note: Option<String>,
}

/// A channel's type and options in the seed's shape, secrets still `{"$secret": "NAME"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// `slack`, `email`, `sms`, `pagerduty` or `webhook`.
    pub channel: String,
    pub config: Map<String, Value>,
}

/// A conversation that later messages go to: Slack's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The id that Slack answered with, not the name in the rule.
    pub channel: String,
    pub ts: String,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Sent {
    Delivered {
        /// Where a message may be answered in a thread.
        thread: Option<Thread>,
        /// What the receiver said, for a log: `202`, `ts 1700000000.0001`.
        detail: String,
    },
    /// It may go better later: 5xx, 429, a timeout, a broken connection, a name that does not resolve.
    Again {
        /// What the receiver asks for (`Retry-After`), unbounded.
        after: Option<Duration>,
        why: String,
    },
    /// It will not go better: 4xx, a redirect, an address that the guard forbids, a missing secret or setting.
    Refused { why: String },
}

/// What became of one call of the executor.
#[derive(Clone, Debug, PartialEq)]
pub enum Executed {
    /// It has answered: what `remediation_result` says.
    Answered { outcome: Outcome, error: Option<String> },
    /// As [`Sent::Again`]. Whether work has begun may be uncertain; the executor knows a repeated call by its id.
    Again { after: Option<Duration>, why: String },
    /// As [`Sent::Refused`].
    Refused { why: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Started,
    Succeeded,
    Failed,
}

impl Target {
    /// What people may read of it, for receipts, logs and metrics: `#ops`, `alice@example.com`, `https://hooks.example.com/…`.
    /// Never a secret: paths and queries of URLs are left out.
    pub fn label(&self) -> String {
        let named = |value: &Value| match value {
            Value::String(text) if self.channel == "webhook" => link::redacted(text),
            Value::String(_) if self.channel == "pagerduty" => format!("service key {}", &self.key()[..8]),
            Value::String(text) => text.clone(),
            Value::Object(secret) => match secret.get("$secret").and_then(Value::as_str) {
                Some(name) => format!("secret {name}"),
                None => "?".to_owned(),
            },
            other => other.to_string(),
        };
        let names: Vec<String> = self.address().into_iter().flat_map(each).map(named).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    }

    /// Tells targets apart: hex of a hash of the type and of the address, whatever the other options.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.channel.as_bytes());
        for part in self.address() {
            hash.update([0]);
            hash.update(part.to_string().as_bytes());
        }
        const_hex::encode(&hash.finalize()[..16])
    }

    /// One target for each person where the channel writes to each by a message of its own (SMS), so that one that fails repeats
    /// nothing to the others. To be called before anything is sent.
    pub fn split(self) -> Vec<Target> {
        let numbers = match self.config.get("phone_numbers") {
            Some(Value::Array(numbers)) if self.channel == "sms" && numbers.len() > 1 => numbers.clone(),
            _ => return vec![self],
        };
        let one = |number| {
            let mut config = self.config.clone();
            config.insert("phone_numbers".to_owned(), Value::Array(vec![number]));
            Target { channel: self.channel.clone(), config }
        };
        numbers.into_iter().map(one).collect()
    }

    /// Does it want later events of the incident in its thread?
    pub fn wants_thread_updates(&self) -> bool {
        self.channel == "slack" && self.config.get("thread_updates") == Some(&Value::Bool(true))
    }

    fn address(&self) -> Vec<&Value> {
        let keys: &[&str] = match self.channel.as_str() {
            "slack" => &["channel"],
            "email" => &["recipients", "cc"],
            "sms" => &["phone_numbers"],
            "pagerduty" => &["service_key"],
            _ => &["url"],
        };
        keys.iter().filter_map(|key| self.config.get(*key)).collect()
    }
}

fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(channel: &str, config: Value) -> Target {
        let Value::Object(config) = config else { panic!("a map") };
        Target { channel: channel.to_owned(), config }
    }

    #[test]
    fn a_label_names_the_target_and_no_secret() {
        for (channel, config, label) in [
            ("slack", json!({"channel": "#ops", "mention": "@here"}), "#ops"),
            ("email", json!({"recipients": ["a@x.org", "b@x.org"], "cc": ["c@x.org"]}), "a@x.org, b@x.org, c@x.org"),
            ("sms", json!({"phone_numbers": "+4915550100"}), "+4915550100"),
            ("pagerduty", json!({"service_key": {"$secret": "PD_SRE"}}), "secret PD_SRE"),
            ("webhook", json!({"url": "https://u:pw@hooks.example.com:8443/T0/token?k=v"}), "https://hooks.example.com:8443/…"),
            ("webhook", json!({"url": {"$secret": "HOOK"}}), "secret HOOK"),
            ("webhook", json!({"url": "no url, a token"}), "(an unreadable URL)"),
            ("slack", json!({}), "nobody"),
        ] {
            assert_eq!(target(channel, config).label(), label);
        }
        assert!(!target("pagerduty", json!({"service_key": "R0SECRET"})).label().contains("R0"));
    }

    #[test]
    fn a_key_goes_by_the_address_alone() {
        let one = target("slack", json!({"channel": "#ops"}));
        assert_eq!(one.key(), target("slack", json!({"channel": "#ops", "mention": "@here"})).key());
        assert_ne!(one.key(), target("slack", json!({"channel": "#dev"})).key());
        assert_ne!(
            target("webhook", json!({"url": "https://x.org/a"})).key(),
            target("webhook", json!({"url": "https://x.org/b"})).key()
        );
    }

    #[test]
    fn sms_goes_to_each_number_by_itself() {
        let both = target("sms", json!({"phone_numbers": ["+1", "+2"], "send_on_resolve": true}));
        let each: Vec<_> = both.split().iter().map(Target::label).collect();
        assert_eq!(each, ["+1", "+2"]);
        assert_eq!(target("email", json!({"recipients": ["a@x.org", "b@x.org"]})).split().len(), 1);
    }
}
