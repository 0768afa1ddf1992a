//! The configuration as plain data: one TOML file, environment over it (SPEC 6).
//!
//! `tree` gathers raw values with the place where each was written, `reader` takes typed values out of it and collects
//! everything that is wrong, `tables` knows each table's keys, defaults and bounds. Nothing here touches Kafka or a clock.

mod delivery;
mod kafka;
mod problem;
mod reader;
mod tables;
mod tree;
mod units;

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use delivery::{Breaker, Delivery, Email, Executor, Fallback, Heartbeat, PagerDuty, Slack, Sms};
pub use kafka::FIXED_PROPERTIES;
pub use problem::{Place, Problem};
pub use units::{Secret, duration_text, parse_duration};

/// Milliseconds; in TOML a string such as `"15m"`, `"50ms"`, `"24h"`, `"7d"`; `"0"` = off.
pub type Duration = i64;

/// The file's name, or nothing, and everything wrong with it: at least one problem.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", problem::report(.file.as_deref(), .problems))]
pub struct ConfigError {
    pub file: Option<PathBuf>,
    pub problems: Vec<Problem>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Config {
    pub roles: Vec<Role>,
    /// Passed to librdkafka as they stand. Secrets among them are hidden when printed.
    #[serde(serialize_with = "kafka::hide_secrets")]
    pub kafka: BTreeMap<String, String>,
    pub topics: Topics,
    pub engine: Engine,
    pub dedup: Dedup,
    pub severity: SeverityConfig,
    pub aliases: Aliases,
    pub correlation: Correlation,
    pub catch_up: CatchUp,
    pub flapping: Flapping,
    pub rules: Rules,
    pub api: Api,
    pub delivery: Delivery,
    pub telemetry: Telemetry,
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Engine,
    Delivery,
    Api,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Topics {
    /// Goes before each name.
    pub prefix: String,
    /// Of `incidents`, `decisions`, `state`, `inbox`, `alerts`, `commands`, `events`: the number of shards.
    pub partitions: u32,
    /// Of the rest.
    pub action_partitions: u32,
    /// `None`: 3, or as many as there are brokers.
    pub replication: Option<u32>,
    pub alerts: String,
    pub commands: String,
    pub events: String,
    pub incidents: String,
    pub silences: String,
    pub notifications: String,
    pub escalations: String,
    pub remediations: String,
    pub decisions: String,
    pub dead_letters: String,
    pub state: String,
    pub inbox: String,
    pub replies: String,
    pub delivery: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Engine {
    /// 0: one per core.
    pub workers: u32,
    #[serde(serialize_with = "units::write_duration")]
    pub commit_interval: Duration,
    #[serde(serialize_with = "units::write_duration")]
    pub idle_commit_interval: Duration,
    #[serde(serialize_with = "units::write_duration")]
    pub publish_interval: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Dedup {
    #[serde(serialize_with = "units::write_duration")]
    pub window: Duration,
    pub anchor: Anchor,
    #[serde(serialize_with = "units::write_duration")]
    pub reopen_within: Duration,
    #[serde(serialize_with = "units::write_duration")]
    pub stale_after: Duration,
    #[serde(serialize_with = "units::write_duration")]
    pub close_after: Duration,
    #[serde(serialize_with = "units::write_duration")]
    pub keep_closed: Duration,
    /// The alertname is one more component of the fingerprint of an Alertmanager alert without metric_type (SPEC 4.1).
    pub alertmanager_alertname: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Anchor {
    FirstSeen,
    LastSeen,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeverityConfig {
    /// A canonical severity name.
    pub default: String,
}

/// Spellings, lower-case, to canonical names (SPEC 3.1). What the file says is added to the defaults.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aliases {
    pub environment: BTreeMap<String, String>,
    pub severity: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Correlation {
    /// How long a new incident with dependencies waits before anything is said. 0: off.
    #[serde(serialize_with = "units::write_duration")]
    pub hold: Duration,
    #[serde(serialize_with = "units::write_duration")]
    pub orphan_grace: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CatchUp {
    /// For how long a shard that is behind holds actions and timers, at most.
    #[serde(serialize_with = "units::write_duration")]
    pub max: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Flapping {
    /// Reopenings an hour past which an incident flaps.
    pub reopens: u32,
    #[serde(serialize_with = "units::write_duration")]
    pub stable: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rules {
    pub dir: PathBuf,
    pub watch: bool,
    /// `[{ type = "slack", config = { channel = "#ops" } }]` as JSON; each has a known `type` and a map `config`.
    pub default_channels: Vec<serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Api {
    /// `host:port`; loopback only while there are no tokens.
    pub listen: String,
    pub public_url: Option<String>,
    pub tokens: Vec<Token>,
    /// Requests a second that one client may send, by token or address; twice as many at once. 0: no limit.
    pub rate_limit: u32,
}

/// A bearer token, known by its hash alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Token {
    pub name: String,
    /// Lower-case hex of the SHA-256 of the token's text.
    pub sha256: String,
    pub scopes: Vec<Scope>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Read,
    Alert,
    Operate,
    Admin,
}

/// Traces for an OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Telemetry {
    /// Its base URL for OTLP/HTTP, to which `/v1/traces` is added. `None`: no traces.
    #[serde(serialize_with = "delivery::without_password")]
    pub otlp_endpoint: Option<String>,
    pub service_name: String,
    /// Of the traces that begin here; a client's own go by its decision.
    pub sample_percent: u8,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Limits {
    /// Bytes.
    pub alert: usize,
    pub nesting: usize,
    pub labels: usize,
    /// Sources that one incident remembers.
    pub sources: usize,
    pub related: usize,
    pub receipts: usize,
    pub digest_incidents: usize,
    /// Alerts and bytes of one webhook body.
    pub body_alerts: usize,
    pub body_bytes: usize,
    /// Of one shard.
    pub open_incidents: usize,
    pub silences: usize,
    /// Of one shard.
    pub closed_ids: usize,
    /// Bytes of a record of ours.
    pub record_max: usize,
}

impl Config {
    /// Reads `file` (none: defaults alone), then the variables of `environment` named `INCIDENTD_…__…` over it.
    pub fn load(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
        let fail = |problems| ConfigError { file: file.map(Path::to_owned), problems };
        let text = match file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                fail(vec![Problem::of_file(
                    format!("cannot be read: {error}"),
                    "name a readable TOML file with --config, or leave it out to run on defaults and the environment",
                )])
            })?,
            None => String::new(),
        };
        Config::parse(&text, environment).map_err(fail)
    }

    /// As [`Config::load`], of a text.
    pub fn parse(text: &str, environment: impl Iterator<Item = (String, String)>) -> Result<Config, Vec<Problem>> {
        let mut problems = Vec::new();
        let tree = tree::Tree::gather(text, environment, &mut problems);
        let config = tables::read(tree, &mut problems);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    pub fn has_role(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

impl Default for Config {
    /// Every default of SPEC 6.
    fn default() -> Config {
        tables::read(tree::Tree::default(), &mut Vec::new())
    }
}

#[cfg(test)]
mod tests;
