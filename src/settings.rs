//! From the configuration to what the pure parts go by: they know no configuration file.

use crate::config::{Anchor, Config};
use crate::model::{Channel, Severity};
use crate::{codec, engine, rules};

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
        hold: config.correlation.hold,
        orphan_grace: config.correlation.orphan_grace,
        flapping_reopens: u64::from(config.flapping.reopens),
        flapping_stable: config.flapping.stable,
        max_silences: config.limits.silences,
        max_related: config.limits.related,
        max_receipts: config.limits.receipts,
        max_digest: config.limits.digest_incidents,
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

/// How much a rule's script may use where the rules are in force. A closure that fails on a sample is let through with a
/// warning, for it fails open: a set that pages too much is better than none.
pub fn rule_limits() -> rules::Limits {
    rules::Limits { refuse_failing: false, ..rule_check_limits() }
}

/// The same for a worker, which loads what was checked before it was handed on.
pub fn worker_rule_limits() -> rules::Limits {
    rules::Limits { checked: true, ..rule_limits() }
}

/// The same for `rules check` and for a reload, where what fails on a sample is refused and the old set stays.
pub fn rule_check_limits() -> rules::Limits {
    rules::Limits { clock: Some(thread_micros), ..rules::Limits::default() }
}

/// Microseconds of processor time of this thread: on a busy machine wall time would stop honest scripts.
fn thread_micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours that outlives the call.
    match unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) } {
        0 => time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000,
        // Without a clock operations alone count.
        _ => 0,
    }
}
