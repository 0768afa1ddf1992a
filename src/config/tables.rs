//! Each table's keys, defaults and bounds (SPEC 6).

use crate::config::delivery;
use crate::config::kafka;
use crate::config::problem::Problem;
use crate::config::reader::{Section, among};
use crate::config::tree::Tree;
use crate::config::*;
use serde_json::Value;
use std::net::SocketAddr;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// No setting is longer than this: it keeps sums of times far from overflow.
const LONGEST: i64 = 3_650 * DAY;

/// Key, headers and framing of a record beside its value.
const RECORD_OVERHEAD: usize = 16 << 10;

const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];
const ENVIRONMENTS: [&str; 3] = ["production", "staging", "development"];
const CHANNELS: [&str; 5] = ["slack", "email", "sms", "pagerduty", "webhook"];

/// Reads every table; what is wrong goes to `problems`, and a default stands in for it.
pub fn read(mut tree: Tree, problems: &mut Vec<Problem>) -> Config {
    let tree = &mut tree;
    let config = Config {
        roles: roles(Section::open(tree, "", problems)),
        kafka: kafka::read(Section::open(tree, "kafka", problems)),
        topics: topics(Section::open(tree, "topics", problems)),
        engine: engine(Section::open(tree, "engine", problems)),
        dedup: dedup(Section::open(tree, "dedup", problems)),
        severity: severity(Section::open(tree, "severity", problems)),
        aliases: Aliases {
            environment: aliases(
                Section::open(tree, "aliases.environment", problems),
                &ENVIRONMENTS,
                &[("prod", "production"), ("stg", "staging"), ("stage", "staging"), ("dev", "development")],
            ),
            severity: aliases(
                Section::open(tree, "aliases.severity", problems),
                &SEVERITIES,
                &[
                    ("warning", "medium"),
                    ("warn", "medium"),
                    ("error", "high"),
                    ("p1", "critical"),
                    ("p2", "high"),
                    ("p3", "medium"),
                    ("p4", "low"),
                    ("p5", "info"),
                ],
            ),
        },
        correlation: correlation(Section::open(tree, "correlation", problems)),
        catch_up: catch_up(Section::open(tree, "catch_up", problems)),
        flapping: flapping(Section::open(tree, "flapping", problems)),
        rules: rules(Section::open(tree, "rules", problems)),
        api: api(Section::open(tree, "api", problems)),
        limits: limits(Section::open(tree, "limits", problems)),
        telemetry: telemetry(Section::open(tree, "telemetry", problems)),
        delivery: delivery::read(tree, problems),
    };
    if config.limits.record_max + RECORD_OVERHEAD > kafka::message_max(&config.kafka) {
        problems.push(Problem {
            key: "limits.record_max".to_owned(),
            place: None,
            message: format!("{} bytes and a header do not fit a Kafka message", config.limits.record_max),
            help: "raise \"message.max.bytes\" in [kafka], and on the brokers, too".to_owned(),
        });
    }
    // `[aliases]` holds tables alone.
    Section::open(tree, "aliases", problems).finish();
    config
}

fn roles(mut table: Section<'_>) -> Vec<Role> {
    let choices = [("engine", Role::Engine), ("delivery", Role::Delivery), ("api", Role::Api)];
    let mut roles = Vec::new();
    match table.texts("roles") {
        None => roles.extend(choices.iter().map(|(_, role)| *role)),
        Some((names, place)) => {
            for name in &names {
                match choices.iter().find(|(known, _)| known == name) {
                    Some((_, role)) if !roles.contains(role) => roles.push(*role),
                    Some(_) => {}
                    None => {
                        let help = among(name, choices.iter().map(|(name, _)| *name));
                        table.wrong("roles", Some(place.clone()), format!("{name:?} is no role"), help);
                    }
                }
            }
            if names.is_empty() {
                let help = "leave it out for all of engine, delivery, api".to_owned();
                table.wrong("roles", Some(place), "is empty, so nothing would run".to_owned(), help);
            }
        }
    }
    table.finish();
    roles
}

fn topics(mut table: Section<'_>) -> Topics {
    let topics = Topics {
        prefix: table.text("prefix", ""),
        // An incident id names its partition in four hex digits.
        partitions: table.count("partitions", 12, 1..=65_535) as u32,
        action_partitions: table.count("action_partitions", 3, 1..=65_535) as u32,
        replication: Some(table.count("replication", 0, 1..=100) as u32).filter(|replication| *replication != 0),
        alerts: table.text("alerts", "alerts"),
        commands: table.text("commands", "commands"),
        events: table.text("events", "events"),
        incidents: table.text("incidents", "incidents"),
        silences: table.text("silences", "silences"),
        notifications: table.text("notifications", "notifications"),
        escalations: table.text("escalations", "escalations"),
        remediations: table.text("remediations", "remediations"),
        decisions: table.text("decisions", "decisions"),
        dead_letters: table.text("dead_letters", "dead-letters"),
        state: table.text("state", "incidentd-state"),
        inbox: table.text("inbox", "incidentd-inbox"),
        replies: table.text("replies", "incidentd-replies"),
        delivery: table.text("delivery", "incidentd-delivery"),
    };
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for (key, name) in topics.names() {
        let full = format!("{}{name}", topics.prefix);
        let legal = full.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !legal || full.len() > 249 || full == "." || full == ".." {
            let help = "Kafka takes up to 249 letters, digits, `.`, `_` and `-`".to_owned();
            table.wrong(key, None, format!("{full:?} is no topic name"), help);
        }
        if let Some(other) = seen.insert(full, key) {
            let help = format!("`{other}` has that name too: give each topic its own");
            table.wrong(key, None, format!("{name:?} is taken"), help);
        }
    }
    table.finish();
    topics
}

impl Topics {
    /// Key of `[topics]` and name, without the prefix.
    pub fn names(&self) -> [(&'static str, &str); 14] {
        [
            ("alerts", &self.alerts),
            ("commands", &self.commands),
            ("events", &self.events),
            ("incidents", &self.incidents),
            ("silences", &self.silences),
            ("notifications", &self.notifications),
            ("escalations", &self.escalations),
            ("remediations", &self.remediations),
            ("decisions", &self.decisions),
            ("dead_letters", &self.dead_letters),
            ("state", &self.state),
            ("inbox", &self.inbox),
            ("replies", &self.replies),
            ("delivery", &self.delivery),
        ]
    }
}

fn engine(mut table: Section<'_>) -> Engine {
    let commit_interval = table.duration("commit_interval", 50, 1..=5 * SECOND);
    let engine = Engine {
        workers: table.count("workers", 0, 0..=256) as u32,
        commit_interval,
        idle_commit_interval: table.duration("idle_commit_interval", SECOND.max(commit_interval), 1..=5 * SECOND),
        publish_interval: table.duration("publish_interval", 10 * SECOND, 0..=HOUR),
    };
    if engine.idle_commit_interval < engine.commit_interval {
        let message = format!(
            "\"{}\" is shorter than commit_interval, \"{}\"",
            duration_text(engine.idle_commit_interval),
            duration_text(engine.commit_interval)
        );
        table.wrong("idle_commit_interval", None, message, "make it at least as long".to_owned());
    }
    table.finish();
    engine
}

fn dedup(mut table: Section<'_>) -> Dedup {
    let dedup = Dedup {
        window: table.duration("window", 15 * MINUTE, 0..=LONGEST),
        anchor: table.choice("anchor", Anchor::FirstSeen, &[("first_seen", Anchor::FirstSeen), ("last_seen", Anchor::LastSeen)]),
        reopen_within: table.duration("reopen_within", 5 * MINUTE, 0..=LONGEST),
        stale_after: table.duration("stale_after", 24 * HOUR, 0..=LONGEST),
        close_after: table.duration("close_after", 24 * HOUR, 0..=LONGEST),
        keep_closed: table.duration("keep_closed", 7 * DAY, 0..=LONGEST),
        alertmanager_alertname: table.flag("alertmanager_alertname", true),
    };
    table.finish();
    dedup
}

fn severity(mut table: Section<'_>) -> SeverityConfig {
    let default = table.choice("default", "medium", &SEVERITIES.map(|name| (name, name))).to_owned();
    table.finish();
    SeverityConfig { default }
}

fn aliases(mut table: Section<'_>, canonical: &[&'static str], defaults: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut aliases: BTreeMap<String, String> =
        defaults.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    for (word, node) in table.rest() {
        match node.value.as_str().filter(|name| canonical.contains(name)) {
            Some(name) => {
                aliases.insert(word.to_lowercase(), name.to_owned());
            }
            None => {
                let help = among(node.value.as_str().unwrap_or_default(), canonical.iter().copied());
                table.wrong(&word, Some(node.place), format!("{} is not one it can stand for", node.value), help);
            }
        }
    }
    aliases
}

fn correlation(mut table: Section<'_>) -> Correlation {
    let correlation = Correlation {
        hold: table.duration("hold", 2 * SECOND, 0..=HOUR),
        orphan_grace: table.duration("orphan_grace", 6 * MINUTE, 0..=DAY),
    };
    table.finish();
    correlation
}

fn catch_up(mut table: Section<'_>) -> CatchUp {
    let catch_up = CatchUp { max: table.duration("max", 60 * SECOND, 0..=HOUR) };
    table.finish();
    catch_up
}

fn flapping(mut table: Section<'_>) -> Flapping {
    let flapping =
        Flapping { reopens: table.count("reopens", 5, 0..=1_000) as u32, stable: table.duration("stable", 15 * MINUTE, 0..=DAY) };
    table.finish();
    flapping
}

fn rules(mut table: Section<'_>) -> Rules {
    let default_channels = match table.list("default_channels") {
        None => vec![serde_json::json!({ "type": "slack", "config": { "channel": "#ops" } })],
        Some((channels, place)) => {
            let shape = "write { type = \"slack\", config = { channel = \"#ops\" } }";
            if channels.is_empty() {
                let message = "is empty, so a page that no rule takes would reach nobody".to_owned();
                table.wrong("default_channels", Some(place.clone()), message, shape.to_owned());
            }
            for channel in &channels {
                let kind = channel.get("type").and_then(Value::as_str);
                let problem = match kind {
                    None => Some((format!("{channel} has no `type`"), shape.to_owned())),
                    Some(kind) if !CHANNELS.contains(&kind) => {
                        Some((format!("{kind:?} is no channel type"), among(kind, CHANNELS.into_iter())))
                    }
                    Some(_) if !channel.get("config").is_some_and(Value::is_object) => {
                        Some((format!("{channel} has no table `config`"), shape.to_owned()))
                    }
                    Some(_) => {
                        let other =
                            channel.as_object().into_iter().flat_map(|c| c.keys()).find(|k| *k != "type" && *k != "config");
                        other.map(|key| (format!("`{key}` is no key of a channel"), shape.to_owned()))
                    }
                };
                if let Some((message, help)) = problem {
                    table.wrong("default_channels", Some(place.clone()), message, help);
                }
            }
            channels
        }
    };
    let rules = Rules { dir: PathBuf::from(table.text("dir", "rules")), watch: table.flag("watch", true), default_channels };
    table.finish();
    rules
}

fn api(mut table: Section<'_>) -> Api {
    let tokens = match table.list("tokens") {
        None => Vec::new(),
        Some((items, place)) => items
            .iter()
            .filter_map(|item| {
                token(item).map_err(|(message, help)| table.wrong("tokens", Some(place.clone()), message, help)).ok()
            })
            .collect(),
    };
    for (at, token) in tokens.iter().enumerate() {
        if tokens[..at].iter().any(|other| other.name == token.name || other.sha256 == token.sha256) {
            let help = "give each token its own name and its own text".to_owned();
            table.wrong("tokens", None, format!("{:?} stands there twice", token.name), help);
        }
    }
    let listen = table.text("listen", "127.0.0.1:8080");
    let form = "write host:port, such as \"127.0.0.1:8080\"".to_owned();
    match listen
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"))
        .unwrap_or(listen.clone())
        .parse::<SocketAddr>()
    {
        Err(_) => table.wrong("listen", None, format!("{listen:?} is no address to listen on"), form),
        Ok(address) if !address.ip().is_loopback() && tokens.is_empty() => {
            let help = "add [[api.tokens]] with name, sha256 and scopes, or listen on 127.0.0.1".to_owned();
            table.wrong("listen", None, format!("{listen:?} is open to others, and no token guards it"), help)
        }
        Ok(_) => {}
    }
    let public_url = delivery::url(&mut table, "public_url", &["http", "https"]);
    let rate_limit = table.count("rate_limit", 1_000, 0..=1_000_000) as u32;
    table.finish();
    Api { rate_limit, listen, public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()), tokens }
}

fn token(item: &Value) -> Result<Token, (String, String)> {
    let shape = "write { name = \"ci\", sha256 = \"<64 hex digits>\", scopes = [\"alert\"] }".to_owned();
    let Some(entries) = item.as_object() else { return Err((format!("{item} is no table"), shape)) };
    if let Some(key) = entries.keys().find(|key| !["name", "sha256", "scopes"].contains(&key.as_str())) {
        return Err((format!("`{key}` is no key of a token"), among(key, ["name", "sha256", "scopes"].into_iter())));
    }
    let text = |key: &str| entries.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let Some(name) = text("name") else { return Err(("a token has no `name`".to_owned(), shape)) };
    let sha256 = text("sha256").map(str::to_ascii_lowercase).unwrap_or_default();
    if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        let help = "take it from: printf %s \"$TOKEN\" | sha256sum".to_owned();
        return Err((format!("`sha256` of the token {name:?} is not 64 hex digits"), help));
    }
    let choices = [("read", Scope::Read), ("alert", Scope::Alert), ("operate", Scope::Operate), ("admin", Scope::Admin)];
    let mut scopes = Vec::new();
    for scope in entries.get("scopes").and_then(Value::as_array).into_iter().flatten() {
        match choices.iter().find(|(known, _)| scope.as_str() == Some(known)) {
            Some((_, scope)) => scopes.push(*scope),
            None => {
                let help = among(scope.as_str().unwrap_or_default(), choices.iter().map(|(name, _)| *name));
                return Err((format!("{scope} is no scope (token {name:?})"), help));
            }
        }
    }
    if scopes.is_empty() {
        return Err((format!("the token {name:?} has no `scopes`"), shape));
    }
    Ok(Token { name: name.to_owned(), sha256, scopes })
}

fn telemetry(mut table: Section<'_>) -> Telemetry {
    let otlp_endpoint = delivery::url(&mut table, "otlp_endpoint", &["http", "https"]);
    if let Some(endpoint) = otlp_endpoint.as_deref().filter(|endpoint| endpoint.contains(['?', '#'])) {
        let help = "write the collector's base URL, such as \"http://collector:4318\": /v1/traces is added".to_owned();
        table.wrong("otlp_endpoint", None, format!("{endpoint:?} has a query or a fragment"), help);
    }
    let telemetry = Telemetry {
        otlp_endpoint,
        service_name: table.text("service_name", "incidentd"),
        sample_percent: table.count("sample_percent", 100, 0..=100) as u8,
    };
    table.finish();
    telemetry
}

fn limits(mut table: Section<'_>) -> Limits {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    let limits = Limits {
        alert: table.size("alert", 64 * KIB, KIB..=MIB),
        nesting: table.count("nesting", 32, 4..=100) as usize,
        labels: table.count("labels", 64, 1..=1_000) as usize,
        sources: table.count("sources", 1_000, 1..=10_000) as usize,
        related: table.count("related", 20, 1..=100) as usize,
        receipts: table.count("receipts", 100, 1..=1_000) as usize,
        digest_incidents: table.count("digest_incidents", 500, 1..=5_000) as usize,
        body_alerts: table.count("body_alerts", 1_000, 1..=100_000) as usize,
        body_bytes: table.size("body_bytes", 4 * MIB, KIB..=64 * MIB),
        open_incidents: table.count("open_incidents", 500_000, 1..=100_000_000) as usize,
        silences: table.count("silences", 1_000, 1..=100_000) as usize,
        closed_ids: table.count("closed_ids", 1_000_000, 0..=100_000_000) as usize,
        record_max: table.size("record_max", 900 * KIB, 64 * KIB..=64 * MIB),
    };
    table.finish();
    limits
}
