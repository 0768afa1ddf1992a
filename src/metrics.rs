//! Every metric: its name, its labels, what it means, and its buckets (SPEC 6).
//!
//! Invariant: a counter rises only after the commit of the transaction that it counts (ARCHITECTURE 3), so that an aborted
//! one counts nothing and a restart counts nothing twice.

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

pub const ALERTS: &str = "incidentd_alerts_total";
pub const COMMANDS: &str = "incidentd_commands_total";
pub const EVENTS: &str = "incidentd_events_total";
pub const REPLIES: &str = "incidentd_replies_total";
pub const INCIDENTS_OPEN: &str = "incidentd_incidents_open";
pub const INCIDENTS_UNROUTED: &str = "incidentd_incidents_unrouted_total";
pub const ACTIONS: &str = "incidentd_actions_total";
pub const RULE_EVALUATIONS: &str = "incidentd_rule_evaluations_total";
pub const RULE_EVALUATION_SECONDS: &str = "incidentd_rule_evaluation_seconds";
pub const ALERT_TO_ACTION_SECONDS: &str = "incidentd_alert_to_action_seconds";
pub const TRANSACTIONS: &str = "incidentd_transactions_total";
pub const TRANSACTION_SECONDS: &str = "incidentd_transaction_seconds";
pub const CONSUMER_LAG: &str = "incidentd_consumer_lag";
pub const DEAD_LETTERS: &str = "incidentd_dead_letters_total";
pub const STATE_RESTORE_SECONDS: &str = "incidentd_state_restore_seconds";
pub const SHARDS: &str = "incidentd_shards";
pub const TIMERS_PENDING: &str = "incidentd_timers_pending";
pub const RULES_INFO: &str = "incidentd_rules_info";
pub const RULES_LOADED: &str = "incidentd_rules_loaded";
pub const RULES_RELOAD: &str = "incidentd_rules_reload_total";
pub const BOARD: &str = "incidentd_board_records";
pub const HTTP_REQUESTS: &str = "incidentd_http_requests_total";
pub const HTTP_REQUEST_SECONDS: &str = "incidentd_http_request_seconds";
pub const DELIVERIES: &str = "incidentd_deliveries_total";
pub const DELIVERY_SECONDS: &str = "incidentd_delivery_seconds";
pub const CIRCUIT_BREAKER_STATE: &str = "incidentd_circuit_breaker_state";
pub const HEARTBEATS: &str = "incidentd_heartbeats_total";
pub const HTTP_EVENT_STREAMS: &str = "incidentd_http_event_streams";
pub const TRACE_EXPORTS: &str = "incidentd_trace_exports_total";
pub const BUILD_INFO: &str = "incidentd_build_info";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Counter,
    Gauge,
    /// Upper bounds of its buckets, in seconds.
    Histogram(&'static [f64]),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// A rule's closure: microseconds, until the deadline stops it.
const EVALUATION: &[f64] = &[1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 0.01, 0.05, 0.1];
/// A transaction: a few milliseconds, up to its time-out.
const TRANSACTION: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// What a person waits for. The aim is 150 ms.
const ACTION: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// A read is below a millisecond, a write waits for a commit, and for 2 s at most.
const REQUEST: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Up to three attempts of a fallback's fallback.
const DELIVERY: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
const RESTORE: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

const fn metric(name: &'static str, kind: Kind, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind, labels, help }
}

pub const TABLE: &[Metric] = &[
    metric(
        ALERTS,
        Kind::Counter,
        &["outcome"],
        "Alerts read, by what became of them: created, merged, reopened, resolved, refreshed, ignored, rejected, forwarded.",
    ),
    metric(
        COMMANDS,
        Kind::Counter,
        &["command", "outcome"],
        "Commands read, by name and what became of them: done, ignored, refused, rejected, forwarded.",
    ),
    metric(
        EVENTS,
        Kind::Counter,
        &["kind", "outcome"],
        "Records of events, change or measurement, by what became of them: done, ignored, refused, rejected, forwarded.",
    ),
    metric(
        REPLIES,
        Kind::Counter,
        &["outcome"],
        "Records that asked for an answer: sent, or unanswerable where reply-to names no partition or request-id is missing.",
    ),
    metric(INCIDENTS_OPEN, Kind::Gauge, &["severity", "status"], "Incidents in this process's shards that are not closed."),
    metric(
        INCIDENTS_UNROUTED,
        Kind::Counter,
        &[],
        "Critical or high incidents that no rule acted for and that went to default_channels. Above 0: a rule is missing.",
    ),
    metric(
        ACTIONS,
        Kind::Counter,
        &["kind", "rule"],
        "Actions written, by kind and rule; rule is default_channels where none acted.",
    ),
    metric(
        RULE_EVALUATIONS,
        Kind::Counter,
        &["rule", "result"],
        "Rules evaluated for an event: acted, or the reason why not as in the decisions topic.",
    ),
    metric(
        RULE_EVALUATION_SECONDS,
        Kind::Histogram(EVALUATION),
        &[],
        "Time that the rules of one event took, closures included.",
    ),
    metric(
        ALERT_TO_ACTION_SECONDS,
        Kind::Histogram(ACTION),
        &[],
        "From the Kafka timestamp of an alert to the commit of the action that it caused.",
    ),
    metric(TRANSACTIONS, Kind::Counter, &["outcome"], "Kafka transactions: committed or aborted."),
    metric(TRANSACTION_SECONDS, Kind::Histogram(TRANSACTION), &[], "Time from begin to the end of the commit of a transaction."),
    metric(
        CONSUMER_LAG,
        Kind::Gauge,
        &["topic", "partition"],
        "Records between the committed position and the end of a partition.",
    ),
    metric(DEAD_LETTERS, Kind::Counter, &["stage"], "Records written to dead-letters, by the stage that refused them."),
    metric(
        STATE_RESTORE_SECONDS,
        Kind::Histogram(RESTORE),
        &[],
        "Time that rebuilding newly assigned shards from the changelog took.",
    ),
    metric(SHARDS, Kind::Gauge, &[], "Shards that this process holds."),
    metric(TIMERS_PENDING, Kind::Gauge, &[], "Timers that wait in this process's shards."),
    metric(RULES_INFO, Kind::Gauge, &["hash"], "1 for the hash of the rule set in force, 0 for those before it."),
    metric(RULES_LOADED, Kind::Gauge, &["kind"], "Rules in force, by kind."),
    metric(
        RULES_RELOAD,
        Kind::Counter,
        &["outcome"],
        "Reloads of the rules folder: applied, unchanged or rejected. A rejected set leaves the old one in force.",
    ),
    metric(BOARD, Kind::Gauge, &["kind"], "What the API's picture holds, by kind: incidents, silences, or unreadable records."),
    metric(HTTP_REQUESTS, Kind::Counter, &["method", "route", "status"], "HTTP requests served, by method, route and status."),
    metric(HTTP_REQUEST_SECONDS, Kind::Histogram(REQUEST), &["route"], "From a request's headers to its answer's."),
    metric(
        DELIVERIES,
        Kind::Counter,
        &["channel", "outcome"],
        "What came of each target of an action: delivered, exhausted (three attempts failed), refused, breaker_open, \
         crowded (the target takes less than comes); \
         update_failed for a line in a thread. What is not delivered goes to the fallback, or to dead-letters.",
    ),
    metric(
        DELIVERY_SECONDS,
        Kind::Histogram(DELIVERY),
        &[],
        "From the Kafka timestamp of an action to its arrival at a target, retries and fallbacks included.",
    ),
    metric(
        CIRCUIT_BREAKER_STATE,
        Kind::Gauge,
        &["channel", "target"],
        "Of targets whose breaker has opened since the start: 0 closed, 1 open, 2 half-open.",
    ),
    metric(
        HEARTBEATS,
        Kind::Counter,
        &["outcome"],
        "Calls of delivery.heartbeat.url: sent, failed, or withheld because delivery is not ready.",
    ),
    metric(HTTP_EVENT_STREAMS, Kind::Gauge, &[], "Pages that are open and told of changes."),
    metric(
        TRACE_EXPORTS,
        Kind::Counter,
        &["outcome"],
        "Batches of spans for the OpenTelemetry collector: sent, or failed; those that failed are dropped.",
    ),
    metric(BUILD_INFO, Kind::Gauge, &["version"], "Always 1; the version of incidentd."),
];

/// Renders what was recorded, as Prometheus reads it.
#[derive(Clone)]
pub struct Exporter {
    handle: PrometheusHandle,
}

impl Exporter {
    /// Makes the process's recorder and describes every metric. Once in a process.
    pub fn install() -> Result<Exporter, BuildError> {
        let handle = builder()?.install_recorder()?;
        describe();
        Ok(Exporter { handle })
    }

    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds the samples of histograms into their buckets. To be called every few seconds, or memory grows between scrapes.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    TABLE.iter().try_fold(PrometheusBuilder::new(), |builder, metric| match metric.kind {
        Kind::Histogram(buckets) => builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets),
        _ => Ok(builder),
    })
}

/// Help for all, and a first 0 for whatever has no labels or known ones: a rate needs a value before the first event.
fn describe() {
    for metric in TABLE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
        match metric.kind {
            Kind::Counter if metric.labels.is_empty() => metrics::counter!(metric.name).increment(0),
            Kind::Gauge if metric.labels.is_empty() => metrics::gauge!(metric.name).set(0.0),
            _ => {}
        }
    }
    for outcome in ["created", "merged", "reopened", "resolved", "refreshed", "ignored", "rejected", "forwarded"] {
        metrics::counter!(ALERTS, "outcome" => outcome).increment(0);
    }
    for outcome in ["committed", "aborted"] {
        metrics::counter!(TRANSACTIONS, "outcome" => outcome).increment(0);
    }
    for outcome in ["sent", "unanswerable"] {
        metrics::counter!(REPLIES, "outcome" => outcome).increment(0);
    }
    for outcome in ["applied", "unchanged", "rejected"] {
        metrics::counter!(RULES_RELOAD, "outcome" => outcome).increment(0);
    }
    for stage in ["decode", "inbox", "command", "event", "delivery"] {
        metrics::counter!(DEAD_LETTERS, "stage" => stage).increment(0);
    }
    for outcome in ["sent", "failed", "withheld"] {
        metrics::counter!(HEARTBEATS, "outcome" => outcome).increment(0);
    }
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `promtool check metrics` wants of names and helps.
    #[test]
    fn names_follow_the_conventions() {
        for metric in TABLE {
            assert!(metric.name.starts_with("incidentd_"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_seconds"), matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
            assert!(["_count", "_sum", "_bucket"].iter().all(|suffix| !metric.name.ends_with(suffix)), "{}", metric.name);
            if let Kind::Histogram(buckets) = metric.kind {
                assert!(buckets.is_sorted(), "{}", metric.name);
            }
        }
    }

    #[test]
    fn a_scrape_shows_help_type_and_a_first_zero() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::histogram!(TRANSACTION_SECONDS).record(0.003);
        });
        let text = handle.render();
        for line in [
            "# TYPE incidentd_alerts_total counter",
            "incidentd_alerts_total{outcome=\"created\"} 0",
            "incidentd_incidents_unrouted_total 0",
            "# TYPE incidentd_transaction_seconds histogram",
            "incidentd_transaction_seconds_bucket{le=\"0.0025\"} 0",
            "incidentd_transaction_seconds_bucket{le=\"0.005\"} 1",
            "incidentd_transaction_seconds_count 1",
            "incidentd_shards 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(text.contains("# HELP incidentd_alerts_total Alerts read"), "{text}");
    }
}
