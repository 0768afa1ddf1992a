//! From the configuration to what the pure parts go by: they know no configuration file.

use crate::config::{Anchor, Config};
use crate::model::{Channel, Severity};
use crate::{codec, engine, rules};
use std::sync::OnceLock;
use std::time::Instant;

/// What of `config` the engine goes by.
pub fn engine(config: &Config) -> engine::Settings {
    engine::Settings {
        partitions: config.topics.partitions,
        publish_interval: config.engine.publish_interval,
        window: config.dedup.window,
        anchor_last_seen: config.dedup.anchor == Anchor::LastSeen,
        reopen_within: config.dedup.reopen_within,
        stale_after: config.dedup.stale_after,
        close_after: config.dedup.close_after,
        keep_closed: config.dedup.keep_closed,
        max_sources: config.limits.sources,
        max_open: config.limits.open_incidents,
        max_closed: config.limits.closed_ids,
        default_channels: default_channels(config),
    }
}

/// How records are read and written.
pub fn codec(config: &Config) -> codec::Settings {
    codec::Settings {
        environment_aliases: config.aliases.environment.clone(),
        severity_aliases: config.aliases.severity.clone(),
        // The configuration took no other names.
        severity_default: Severity::named(&config.severity.default).unwrap_or(Severity::Medium),
        alertmanager_alertname: config.dedup.alertmanager_alertname,
        max_alert: config.limits.alert,
        max_nesting: config.limits.nesting,
        max_labels: config.limits.labels,
        max_body_alerts: config.limits.body_alerts,
        max_body_bytes: config.limits.body_bytes,
        record_max: config.limits.record_max,
    }
}

/// The configuration took only channels of this shape.
fn default_channels(config: &Config) -> Vec<Channel> {
    let channels = config.rules.default_channels.iter();
    channels.filter_map(|channel| serde_json::from_value(channel.clone()).ok()).collect()
}

/// How much a rule's script may use, with a clock to stop it by.
pub fn rule_limits() -> rules::Limits {
    rules::Limits { clock: Some(millis_since_start), ..rules::Limits::default() }
}

fn millis_since_start() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as u64
}
