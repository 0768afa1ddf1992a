//! From an action to those who are told, and from a target that fails to the one that stands in for it (SPEC 4.6, 7).

use crate::codec::{Posted, PostedKind};
use crate::config::{Executor, Fallback};
use crate::delivery::channel::Target;
use crate::model::{Person, Severity, TargetKind};
use serde_json::{Map, Value, json};

/// One target of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Leg {
    pub target: Target,
    /// As receipts and people name it.
    pub label: String,
    /// Why nothing can be sent to it at all.
    pub unreachable: Option<String>,
}

impl Leg {
    fn to(target: Target) -> Leg {
        Leg { label: target.label(), target, unreachable: None }
    }
}

/// What a remediation goes to stands under this name in metrics; it is no channel of a rule's.
pub const EXECUTOR: &str = "executor";

/// Whom an action goes to; empty for an escalation that reaches nobody, which its decision says.
pub fn legs(posted: &Posted, executor: &Executor) -> Vec<Leg> {
    match &posted.what {
        PostedKind::Notification { channel, .. } => {
            let target = Target { channel: channel.kind.clone(), config: channel.config.0.clone() };
            target.split().into_iter().map(Leg::to).collect()
        }
        PostedKind::Escalation { targets } => {
            targets.iter().flat_map(|person| of_person(person, posted.severity)).map(with_label).collect()
        }
        PostedKind::Remediation { .. } => executor_target(executor).into_iter().map(Leg::to).collect(),
    }
}

fn executor_target(executor: &Executor) -> Option<Target> {
    let mut config = Map::new();
    config.insert("url".to_owned(), json!(executor.webhook_url.as_ref()?));
    if let Some(name) = &executor.secret {
        config.insert("secret".to_owned(), json!({ "$secret": name }));
    }
    Some(Target { channel: "webhook".to_owned(), config })
}

fn with_label((target, person): (Result<Target, String>, &Person)) -> Leg {
    match target {
        Ok(target) => Leg::to(target),
        Err(why) => {
            Leg { target: target_of("email", "recipients", json!([person.id])), label: person.id.clone(), unreachable: Some(why) }
        }
    }
}

/// Critical to a user: SMS and e-mail; else e-mail. Who has no e-mail address is told by whatever else is known.
fn of_person(person: &Person, severity: Severity) -> Vec<(Result<Target, String>, &Person)> {
    let email = person.email.as_ref().map(|address| target_of("email", "recipients", json!([address])));
    let sms = person.phone.as_ref().map(|number| target_of("sms", "phone_numbers", json!([number])));
    let slack = person.slack.as_ref().map(|id| target_of("slack", "channel", json!(id)));
    let found: Vec<Target> = match person.kind {
        TargetKind::SlackChannel => vec![target_of("slack", "channel", json!(person.id))],
        _ if severity == Severity::Critical && (sms.is_some() || email.is_some()) => sms.into_iter().chain(email).collect(),
        _ => email.or(sms).or(slack).into_iter().collect(),
    };
    if found.is_empty() {
        let why = format!("{} has no e-mail address, telephone or Slack id: add one in users.toml", person.id);
        return vec![(Err(why), person)];
    }
    found.into_iter().map(|target| (Ok(target), person)).collect()
}

fn target_of(channel: &str, key: &str, value: Value) -> Target {
    Target { channel: channel.to_owned(), config: [(key.to_owned(), value)].into_iter().collect() }
}

/// Who stands in for a target of `channel` that failed: slack → email, sms → email, email → webhook. Where a link of the chain has no
/// configured receiver the next one is taken.
pub fn fallback(channel: &str, configured: &Fallback) -> Option<Target> {
    let email = || {
        let recipients = Some(&configured.recipients).filter(|recipients| !recipients.is_empty())?;
        Some(target_of("email", "recipients", json!(recipients)))
    };
    let webhook = || Some(target_of("webhook", "url", json!(configured.webhook_url.as_ref()?)));
    match channel {
        "slack" | "sms" => email().or_else(webhook),
        "email" => webhook(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ActionId, Channel, IncidentId, Metadata, RuleEvent, Time};

    fn posted(severity: Severity, what: PostedKind) -> Posted {
        Posted {
            id: ActionId("act_1".to_owned()),
            incident_id: IncidentId { partition: 0, hash: 1 },
            rule: "r".to_owned(),
            event: RuleEvent::Triggered,
            created_at: Time(0),
            service_id: "chat".to_owned(),
            severity,
            what,
        }
    }

    fn person(kind: TargetKind, email: Option<&str>, phone: Option<&str>, slack: Option<&str>) -> Person {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Person { kind, id: "ann".to_owned(), email: owned(email), phone: owned(phone), slack: owned(slack) }
    }

    fn told(severity: Severity, person: Person) -> Vec<String> {
        let posted = posted(severity, PostedKind::Escalation { targets: vec![person] });
        let tell = |leg: Leg| match leg.unreachable {
            Some(why) => why,
            None => format!("{} {}", leg.target.channel, leg.label),
        };
        legs(&posted, &Executor::default()).into_iter().map(tell).collect()
    }

    #[test]
    fn people_are_told_by_severity_and_by_what_is_known_of_them() {
        use TargetKind::{SlackChannel, User};
        let (mail, phone, slack) = (Some("a@x.org"), Some("+49"), Some("U1"));
        for (severity, person, expected) in [
            (Severity::Critical, person(User, mail, phone, slack), vec!["sms +49", "email a@x.org"]),
            (Severity::High, person(User, mail, phone, slack), vec!["email a@x.org"]),
            (Severity::Critical, person(User, mail, None, slack), vec!["email a@x.org"]),
            (Severity::Critical, person(User, None, phone, None), vec!["sms +49"]),
            (Severity::Low, person(User, None, phone, slack), vec!["sms +49"]),
            (Severity::Critical, person(User, None, None, slack), vec!["slack U1"]),
            (Severity::Critical, person(SlackChannel, mail, phone, None), vec!["slack ann"]),
        ] {
            assert_eq!(told(severity, person), expected, "{severity:?}");
        }
        assert!(told(Severity::High, person(User, None, None, None))[0].contains("users.toml"));
    }

    #[test]
    fn sms_to_several_is_several_and_a_remediation_goes_to_the_executor_alone() {
        let numbers = json!({ "phone_numbers": ["+1", "+2"] }).as_object().cloned().unwrap();
        let channel = Channel { kind: "sms".to_owned(), config: Metadata(numbers) };
        let sms = posted(Severity::Low, PostedKind::Notification { channel, incident_ids: vec![], alone: true });
        assert_eq!(legs(&sms, &Executor::default()).len(), 2);
        let remedy = posted(Severity::Low, PostedKind::Remediation { verify_until: Time(0) });
        assert_eq!(legs(&remedy, &Executor::default()), []);
        let executor = Executor { webhook_url: Some("https://fix.example.com/run".to_owned()), secret: Some("FIX".to_owned()) };
        let to = &legs(&remedy, &executor)[0];
        assert_eq!(
            Value::Object(to.target.config.clone()),
            json!({ "url": "https://fix.example.com/run", "secret": { "$secret": "FIX" } })
        );
    }

    #[test]
    fn the_chain_passes_over_links_that_nobody_configured() {
        let both = Fallback { recipients: vec!["ops@x.org".to_owned()], webhook_url: Some("https://x.org/f".to_owned()) };
        let only_webhook = Fallback { recipients: vec![], ..both.clone() };
        let only_mail = Fallback { webhook_url: None, ..both.clone() };
        let none = Fallback { webhook_url: None, ..only_webhook.clone() };
        for (channel, configured, expected) in [
            ("slack", &both, Some("email")),
            ("sms", &both, Some("email")),
            ("email", &both, Some("webhook")),
            ("webhook", &both, None),
            ("pagerduty", &both, None),
            ("slack", &only_webhook, Some("webhook")),
            ("sms", &only_webhook, Some("webhook")),
            ("email", &only_mail, None),
            ("slack", &none, None),
        ] {
            let found = fallback(channel, configured).map(|target| target.channel);
            assert_eq!(found.as_deref(), expected, "{channel}");
        }
    }
}
