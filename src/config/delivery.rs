//! `[delivery]` and its channels: where pages go and through what (SPEC 6, 7).

use crate::config::Duration;
use crate::config::problem::Problem;
use crate::config::reader::Section;
use crate::config::tree::Tree;
use crate::config::units::{self, Secret};
use serde::{Serialize, Serializer};
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Delivery {
    /// CIDR blocks of internal receivers that the guard against SSRF lets through.
    pub allow_list: Vec<String>,
    /// Further certificate authorities, PEM.
    pub ca_file: Option<PathBuf>,
    /// All HTTP goes through it.
    #[serde(serialize_with = "without_password")]
    pub proxy: Option<String>,
    /// For one attempt at one message, from the first lookup to the last byte of the answer.
    #[serde(serialize_with = "units::write_duration")]
    pub timeout: Duration,
    /// `secret("X")` is this folder's file X, else the variable X.
    pub secrets_dir: Option<PathBuf>,
    pub slack: Slack,
    pub pagerduty: PagerDuty,
    pub sms: Sms,
    pub email: Email,
    pub fallback: Fallback,
    pub remediation: Executor,
    pub heartbeat: Heartbeat,
    pub breaker: Breaker,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slack {
    pub token: Option<Secret>,
    pub base_url: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PagerDuty {
    pub base_url: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sms {
    pub base_url: String,
    pub account_sid: Option<String>,
    pub auth_token: Option<Secret>,
    pub from: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Email {
    /// `smtp://host:25` (STARTTLS where it is offered; `?tls=required` or `none`) or `smtps://host:465`.
    #[serde(serialize_with = "without_password")]
    pub smtp: Option<String>,
    pub from: Option<String>,
    /// With a password TLS is required unless the URL says otherwise.
    pub username: Option<String>,
    pub password: Option<Secret>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Fallback {
    /// E-mail addresses for pages whose own channel failed.
    pub recipients: Vec<String>,
    pub webhook_url: Option<String>,
}

/// Who carries out remediations, by one signed call each (SPEC 4.8). Without a URL they are left to whoever reads their topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Executor {
    pub webhook_url: Option<String>,
    /// The name of the secret that signs the calls.
    pub secret: Option<String>,
}

/// A dead man's switch: called as long as everything works.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Heartbeat {
    pub url: Option<String>,
    #[serde(serialize_with = "units::write_duration")]
    pub interval: Duration,
}

/// When a target is left alone for a while, and when it is trusted again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Breaker {
    /// Deliveries in a row that fail for good, and open it.
    pub failures: u32,
    /// How long it stays open.
    #[serde(serialize_with = "units::write_duration")]
    pub rest: Duration,
    /// Deliveries in a row that arrive while it is half-open, and close it.
    pub successes: u32,
}

/// The seed's numbers.
impl Default for Breaker {
    fn default() -> Breaker {
        Breaker { failures: 5, rest: 60_000, successes: 2 }
    }
}

pub fn read(tree: &mut Tree, problems: &mut Vec<Problem>) -> Delivery {
    let mut table = Section::open(tree, "delivery", problems);
    let allow_list = match table.texts("allow_list") {
        Some((blocks, place)) => {
            for block in blocks.iter().filter(|block| !is_cidr(block)) {
                let help = "write an address and a prefix length, such as \"10.0.0.0/8\"".to_owned();
                table.wrong("allow_list", Some(place.clone()), format!("{block:?} is no CIDR block"), help);
            }
            blocks
        }
        None => vec!["127.0.0.1/32".to_owned()],
    };
    let ca_file = table.optional_text("ca_file").map(PathBuf::from);
    let proxy = url(&mut table, "proxy", &["http", "https", "socks5"]);
    let secrets_dir = table.optional_text("secrets_dir").map(PathBuf::from);
    let timeout = table.duration("timeout", 10_000, 100..=120_000);
    table.finish();

    let mut table = Section::open(tree, "delivery.slack", problems);
    let slack = Slack { token: table.secret("token"), base_url: base_url(&mut table, "https://slack.com/api") };
    table.finish();

    let mut table = Section::open(tree, "delivery.pagerduty", problems);
    let pagerduty = PagerDuty { base_url: base_url(&mut table, "https://events.pagerduty.com") };
    table.finish();

    let mut table = Section::open(tree, "delivery.sms", problems);
    let sms = Sms {
        base_url: base_url(&mut table, "https://api.twilio.com"),
        account_sid: table.optional_text("account_sid"),
        auth_token: table.secret("auth_token"),
        from: table.optional_text("from"),
    };
    table.finish();

    let mut table = Section::open(tree, "delivery.email", problems);
    let email = Email {
        smtp: url(&mut table, "smtp", &["smtp", "smtps"]),
        from: table.optional_text("from"),
        username: table.optional_text("username"),
        password: table.secret("password"),
    };
    table.finish();

    let mut table = Section::open(tree, "delivery.fallback", problems);
    let recipients = table.texts("recipients");
    if let Some((recipients, place)) = &recipients {
        for wrong in recipients.iter().filter(|address| !address.contains('@')) {
            let help = "write e-mail addresses, such as \"ops@example.org\"".to_owned();
            table.wrong("recipients", Some(place.clone()), format!("{wrong:?} is no e-mail address"), help);
        }
    }
    let fallback = Fallback {
        recipients: recipients.map(|(recipients, _)| recipients).unwrap_or_default(),
        webhook_url: url(&mut table, "webhook_url", &["http", "https"]),
    };
    table.finish();

    let mut table = Section::open(tree, "delivery.remediation", problems);
    let webhook_url = url(&mut table, "webhook_url", &["http", "https"]);
    let remediation = Executor { webhook_url, secret: table.optional_text("secret") };
    table.finish();

    let mut table = Section::open(tree, "delivery.heartbeat", problems);
    let heartbeat = Heartbeat {
        url: url(&mut table, "url", &["http", "https"]),
        interval: table.duration("interval", 60_000, 1_000..=86_400_000),
    };
    table.finish();

    let usual = Breaker::default();
    let mut table = Section::open(tree, "delivery.breaker", problems);
    let breaker = Breaker {
        failures: table.count("failures", u64::from(usual.failures), 1..=1_000) as u32,
        rest: table.duration("rest", usual.rest, 1_000..=3_600_000),
        successes: table.count("successes", u64::from(usual.successes), 1..=1_000) as u32,
    };
    table.finish();

    Delivery {
        allow_list,
        ca_file,
        proxy,
        timeout,
        secrets_dir,
        slack,
        pagerduty,
        sms,
        email,
        fallback,
        remediation,
        heartbeat,
        breaker,
    }
}

fn base_url(table: &mut Section<'_>, default: &str) -> String {
    let url = url(table, "base_url", &["http", "https"]).unwrap_or_else(|| default.to_owned());
    url.trim_end_matches('/').to_owned()
}

/// A URL of one of `schemes` with a host, checked by its beginning alone: delivery parses it in full.
pub fn url(table: &mut Section<'_>, key: &'static str, schemes: &[&str]) -> Option<String> {
    let node = table.take(key)?;
    let text = node.value.as_str().unwrap_or_default();
    let host = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)?.strip_prefix("://"));
    if text.is_empty() && node.value.is_string() {
        return None;
    }
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/') || host.contains(char::is_whitespace)) {
        let help = format!("it begins with {}", schemes.iter().map(|s| format!("{s}://")).collect::<Vec<_>>().join(" or "));
        table.wrong(key, Some(node.place.clone()), format!("{} is no URL for this", node.value), help);
        return None;
    }
    Some(text.to_owned())
}

/// A URL as it may be printed.
pub fn without_password<S: Serializer>(url: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = url.as_deref().map(|url| match url.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
        Some((scheme, Some((user, rest)))) => {
            let user = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}:(hidden)@{rest}")
        }
        _ => url.to_owned(),
    });
    shown.serialize(serializer)
}

fn is_cidr(block: &str) -> bool {
    let Some((address, length)) = block.split_once('/') else { return false };
    let most = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}
