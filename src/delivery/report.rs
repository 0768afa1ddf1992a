//! What delivery shows of itself: metrics, with a bound on how many targets are named.

use crate::delivery::breaker::State;
use crate::delivery::settlement::cut;
use crate::metrics as names;
use metrics::{counter, gauge, histogram};
use std::collections::BTreeMap;

/// Targets that are named in `circuit_breaker_state`, each once its breaker has opened; the rest are `other` together.
const TARGETS: usize = 200;
const OTHER: &str = "other";
const LABEL_MOST: usize = 100;

#[derive(Default)]
pub struct Report {
    /// Of every target whose breaker was ever open, by channel and label.
    breakers: BTreeMap<(&'static str, String), State>,
}

impl Report {
    pub fn count(&self, channel: &'static str, outcome: &'static str, seconds: Option<f64>) {
        counter!(names::DELIVERIES, "channel" => channel, "outcome" => outcome).increment(1);
        if let Some(seconds) = seconds {
            histogram!(names::DELIVERY_SECONDS).record(seconds);
        }
    }

    pub fn breaker(&mut self, channel: &'static str, label: String, state: State) {
        let label = cut(&label, LABEL_MOST);
        tracing::warn!(channel, target = label, ?state, "a target's circuit breaker");
        let key = (channel, label);
        if !self.breakers.contains_key(&key) && self.breakers.len() >= TARGETS {
            gauge!(names::CIRCUIT_BREAKER_STATE, "channel" => channel, "target" => OTHER).set(state as u8 as f64);
            return;
        }
        gauge!(names::CIRCUIT_BREAKER_STATE, "channel" => channel, "target" => key.1.clone()).set(state as u8 as f64);
        self.breakers.insert(key, state);
    }

    /// Others deliver from now on: nobody's breakers are ours.
    pub fn forget(&mut self) {
        for ((channel, label), state) in &mut self.breakers {
            if *state != State::Closed {
                *state = State::Closed;
                gauge!(names::CIRCUIT_BREAKER_STATE, "channel" => *channel, "target" => label.clone()).set(0.0);
            }
        }
    }
}
