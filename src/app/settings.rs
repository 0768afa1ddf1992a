//! What each part goes by, out of the configuration.

use crate::config::{Anchor, Config};
use crate::model::{Channel, Severity};
use crate::{codec, engine};

/// `partitions`: of the internal topics, as the cluster has them.
pub fn engine(config: &Config, partitions: u32) -> engine::Settings {
    engine::Settings {
        partitions,
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

pub fn codec(config: &Config) -> codec::Settings {
    codec::Settings {
        environment_aliases: config.aliases.environment.clone(),
        severity_aliases: config.aliases.severity.clone(),
        // The configuration takes no other name.
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

fn default_channels(config: &Config) -> Vec<Channel> {
    // Each was found to have a `type` and a map `config` when the configuration was read.
    config.rules.default_channels.iter().filter_map(|channel| serde_json::from_value(channel.clone()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_reach_the_parts() {
        let config = Config::default();
        let engine = engine(&config, 12);
        assert_eq!(engine.window, 15 * 60_000);
        assert_eq!(engine.default_channels.len(), 1);
        assert_eq!(engine.default_channels[0].config.0["channel"], "#ops");
        assert_eq!(codec(&config).severity_default, Severity::Medium);
    }
}
