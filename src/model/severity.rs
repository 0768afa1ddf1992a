//! How bad it is, and how the seed scores it where nobody said (SPEC 4.2).

use serde::{Deserialize, Serialize};
use std::fmt;

/// Ordered from least to most severe: a merge takes the greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 5] = [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

    pub fn name(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
            Severity::Info => "info",
        }
    }

    /// The severity of that exact name; other spellings are the configuration's table.
    pub fn named(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The seed's `SeverityFactors` as an alert's metadata names them; `None` where missing or not a number.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Factors {
    /// Percent of users, 0–100.
    pub user_impact: Option<f64>,
    /// Multiplier of normal.
    pub degradation: Option<f64>,
    /// Percent, 0–100.
    pub error_rate: Option<f64>,
    /// Multiplier of normal.
    pub cost_increase: Option<f64>,
    /// Minutes until the SLA is broken.
    pub sla_risk_minutes: Option<f64>,
}

impl Factors {
    /// The seed's weighted score mapped to a severity; `None` with no factor at all.
    /// The operations stand in the seed's order, so that the last bit is the same.
    pub fn severity(&self) -> Option<Severity> {
        let Factors { user_impact, degradation, error_rate, cost_increase, sla_risk_minutes } = *self;
        if [user_impact, degradation, error_rate, cost_increase, sla_risk_minutes].iter().all(Option::is_none) {
            return None;
        }
        let multiplier = |x: f64| (x * 20.0).min(100.0);
        let sla_minutes = sla_risk_minutes.unwrap_or(999.0);
        let sla = if sla_minutes <= 60.0 { 100.0 } else { (100.0 - sla_minutes / 10.0).max(0.0) };
        let score = user_impact.unwrap_or(0.0) * 0.35
            + multiplier(degradation.unwrap_or(1.0)) * 0.25
            + error_rate.unwrap_or(0.0) * 0.20
            + multiplier(cost_increase.unwrap_or(1.0)) * 0.10
            + sla * 0.10;
        Some(match score {
            score if score >= 80.0 => Severity::Critical,
            score if score >= 60.0 => Severity::High,
            score if score >= 40.0 => Severity::Medium,
            score if score >= 20.0 => Severity::Low,
            _ => Severity::Info,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed's comment says high; its own arithmetic gives 41.65 (SPEC 4.2).
    #[test]
    fn the_seeds_example_is_medium() {
        let factors = Factors {
            user_impact: Some(25.0),
            degradation: Some(3.5),
            error_rate: Some(15.0),
            cost_increase: Some(1.2),
            sla_risk_minutes: Some(30.0),
        };
        assert_eq!(factors.severity(), Some(Severity::Medium));
    }

    #[test]
    fn zero_is_a_value_and_nothing_at_all_is_no_score() {
        assert_eq!(Factors::default().severity(), None);
        assert_eq!(Factors { sla_risk_minutes: Some(0.0), ..Factors::default() }.severity(), Some(Severity::Info));
        let degraded =
            Factors { degradation: Some(0.0), user_impact: Some(100.0), sla_risk_minutes: Some(0.0), ..Factors::default() };
        assert_eq!(degraded.severity(), Some(Severity::Medium), "35 + 0 + 0 + 2 + 10 = 47");
    }
}
