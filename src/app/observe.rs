//! What the workers tell after each commit, into the metrics.

use crate::metrics as names;
use crate::model::{AlertOutcome, Severity, Status};
use crate::worker::{Committed, Gauges, Seen};
use metrics::{counter, gauge, histogram};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The gauges of each worker, by its number: a process shows their sums.
#[derive(Default)]
pub struct Observer {
    gauges: Mutex<BTreeMap<usize, Gauges>>,
}

impl Observer {
    pub fn see(&self, seen: &Seen<'_>) {
        match seen {
            Seen::Committed(committed) => count(committed),
            Seen::Aborted(_) => counter!(names::TRANSACTIONS, "outcome" => "aborted").increment(1),
            Seen::Restored { seconds, .. } => histogram!(names::STATE_RESTORE_SECONDS).record(*seconds),
            Seen::Gauges(gauges) => self.show(gauges),
        }
    }

    fn show(&self, latest: &Gauges) {
        for seconds in &latest.evaluation_seconds {
            histogram!(names::RULE_EVALUATION_SECONDS).record(*seconds);
        }
        let mut all = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert(latest.worker, latest.clone()).unwrap_or_default();
        gauge!(names::SHARDS).set(all.values().map(|worker| worker.shards as f64).sum::<f64>());
        gauge!(names::TIMERS_PENDING).set(all.values().map(|worker| worker.timers_pending as f64).sum::<f64>());
        for severity in Severity::ALL {
            for status in Status::ALL.into_iter().filter(|status| *status != Status::Closed) {
                let open: u64 = all.values().filter_map(|worker| worker.open.get(&(severity, status))).sum();
                gauge!(names::INCIDENTS_OPEN, "severity" => severity.name(), "status" => status.name()).set(open as f64);
            }
        }
        let lag = |topic: &str, partition: u32, behind: u64| {
            gauge!(names::CONSUMER_LAG, "topic" => topic.to_owned(), "partition" => partition.to_string()).set(behind as f64);
        };
        // What this worker had and has no more, unless another of this process has it: nobody here is behind on it.
        for (topic, partition, _) in &before.lag {
            if !all.values().any(|worker| worker.lag.iter().any(|(t, p, _)| t == topic && p == partition)) {
                lag(topic, *partition, 0);
            }
        }
        for (topic, partition, behind) in &latest.lag {
            lag(topic, *partition, *behind);
        }
    }
}

fn count(committed: &Committed) {
    counter!(names::TRANSACTIONS, "outcome" => "committed").increment(1);
    histogram!(names::TRANSACTION_SECONDS).record(committed.transaction_seconds);
    for outcome in AlertOutcome::ALL {
        match committed.alerts[outcome as usize] {
            0 => {}
            alerts => counter!(names::ALERTS, "outcome" => outcome.name()).increment(alerts),
        }
    }
    for ((kind, rule), actions) in &committed.actions {
        counter!(names::ACTIONS, "kind" => *kind, "rule" => rule_name(rule)).increment(*actions);
    }
    counter!(names::INCIDENTS_UNROUTED).increment(committed.unrouted);
    for ((rule, result), evaluations) in &committed.evaluations {
        counter!(names::RULE_EVALUATIONS, "rule" => rule_name(rule), "result" => *result).increment(*evaluations);
    }
    for ((command, outcome), commands) in &committed.inputs.commands {
        counter!(names::COMMANDS, "command" => named(command), "outcome" => *outcome).increment(*commands);
    }
    for ((kind, outcome), events) in &committed.inputs.events {
        counter!(names::EVENTS, "kind" => named(kind), "outcome" => *outcome).increment(*events);
    }
    for (outcome, replies) in &committed.inputs.replies {
        counter!(names::REPLIES, "outcome" => *outcome).increment(*replies);
    }
    for (stage, letters) in &committed.dead_letters {
        counter!(names::DEAD_LETTERS, "stage" => *stage).increment(*letters);
    }
    for seconds in &committed.alert_to_action_seconds {
        histogram!(names::ALERT_TO_ACTION_SECONDS).record(*seconds);
    }
}

/// What could not be read has no kind.
fn named(kind: &'static str) -> &'static str {
    if kind.is_empty() { "unreadable" } else { kind }
}

/// An action without a rule is the doing of `rules.default_channels`.
fn rule_name(rule: &str) -> String {
    if rule.is_empty() { "default_channels".to_owned() } else { rule.to_owned() }
}
