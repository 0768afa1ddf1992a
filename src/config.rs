//! The configuration as plain data: one TOML file, environment over it (SPEC 6).

use std::collections::BTreeMap;

/// Milliseconds; in TOML a string such as `"15m"`, `"50ms"`, `"24h"`, `"7d"`; `"0"` = off.
pub type Duration = i64;

#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub roles: Vec<Role>,
    /// Passed to librdkafka as they stand.
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
    pub limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Engine,
    Delivery,
    Api,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Topics {
    pub prefix: String,
    pub partitions: u32,
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

#[derive(Clone, Debug, PartialEq)]
pub struct Engine {
    /// 0: one per core.
    pub workers: u32,
    pub commit_interval: Duration,
    pub idle_commit_interval: Duration,
    pub publish_interval: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dedup {
    pub window: Duration,
    pub anchor: Anchor,
    pub reopen_within: Duration,
    pub stale_after: Duration,
    pub close_after: Duration,
    pub keep_closed: Duration,
    pub alertmanager_alertname: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    FirstSeen,
    LastSeen,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SeverityConfig {
    /// A canonical severity name.
    pub default: String,
}

/// Spellings, lower-case, to canonical names (SPEC 3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Aliases {
    pub environment: BTreeMap<String, String>,
    pub severity: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    pub hold: Duration,
    pub orphan_grace: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct CatchUp {
    pub max: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Flapping {
    pub reopens: u32,
    pub stable: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    pub dir: std::path::PathBuf,
    pub watch: bool,
    /// `[{ type = "slack", config = { channel = "#ops" } }]` as JSON.
    pub default_channels: Vec<serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Api {
    pub listen: String,
    pub public_url: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Bytes.
    pub alert: usize,
    pub nesting: usize,
    pub labels: usize,
    pub sources: usize,
    /// Alerts and bytes of one webhook body.
    pub body_alerts: usize,
    pub body_bytes: usize,
    pub open_incidents: usize,
    pub closed_ids: usize,
    pub record_max: usize,
}
