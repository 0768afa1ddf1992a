//! What makes two alerts the same (SPEC 4.1).

use crate::model::number;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smallvec::SmallVec;
use std::fmt;

/// SHA-256 over the seed's components; lower-case hex in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

/// The components in the seed's order, after defaults and aliases; empty strings are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Components<'a> {
    pub service_id: &'a str,
    pub category: &'a str,
    pub metric_type: &'a str,
    pub model_id: &'a str,
    pub environment: &'a str,
    /// `metadata.threshold` where it is a number or a numeric string.
    pub threshold: Option<f64>,
    /// Last, for Alertmanager alerts without metric_type (`dedup.alertmanager_alertname`).
    pub alertname: &'a str,
}

impl Components<'_> {
    pub fn fingerprint(&self) -> Fingerprint {
        let mut joined = Joined::new();
        for part in [self.service_id, self.category, self.metric_type, self.model_id, self.environment] {
            joined.push(part);
        }
        // JavaScript's truthiness: zero is left out, what only rounds to zero is not.
        if let Some(threshold) = self.threshold.filter(|t| *t != 0.0) {
            joined.push(&number::integer_text(number::round(threshold)));
        }
        joined.push(self.alertname);
        Fingerprint(Sha256::digest(&joined.text).into())
    }
}

/// The parts with `|` between them, on the stack where they are as short as ever: hashed at one go.
struct Joined {
    text: SmallVec<[u8; 256]>,
}

impl Joined {
    fn new() -> Joined {
        Joined { text: SmallVec::new() }
    }

    fn push(&mut self, part: &str) {
        if part.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(b'|');
        }
        self.text.extend_from_slice(part.as_bytes());
    }
}

impl Fingerprint {
    /// With a `dedup_key` the key alone counts.
    pub fn of_dedup_key(key: &str) -> Fingerprint {
        Fingerprint(Sha256::digest(key).into())
    }

    pub fn parse(hex: &str) -> Option<Fingerprint> {
        const_hex::decode_to_array(hex).ok().map(Fingerprint)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(const_hex::Buffer::<32>::new().format(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_spec() {
        let components = Components {
            service_id: "llm-inference-prod",
            category: "model_performance",
            metric_type: "latency",
            model_id: "gpt-4",
            environment: "production",
            threshold: Some(5.0),
            alertname: "",
        };
        assert_eq!(components.fingerprint().to_string(), "8029c0404be4670ee4aee078d3b812b39dd4857367a39395bf8ace3b7f7844ef");
        assert_eq!(
            components.fingerprint(),
            Fingerprint::of_dedup_key("llm-inference-prod|model_performance|latency|gpt-4|production|5")
        );
    }
}
