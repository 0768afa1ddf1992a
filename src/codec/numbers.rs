//! The metadata that is known to be numeric: numeric strings there are numbers (SPEC 4.1, 4.2; a script that compares a string
//! with a number hears no error).

use crate::model::severity::Factors;
use crate::model::{CurrentValue, number};
use serde_json::{Map, Value};

/// One of the known names, as an index into [`Numbers`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Known {
    Threshold,
    CurrentValue,
    UserImpact,
    Degradation,
    ErrorRate,
    CostIncrease,
    SlaRiskMinutes,
}

const KNOWN: usize = 7;

impl Known {
    const ALL: [Known; KNOWN] = [
        Known::Threshold,
        Known::CurrentValue,
        Known::UserImpact,
        Known::Degradation,
        Known::ErrorRate,
        Known::CostIncrease,
        Known::SlaRiskMinutes,
    ];

    pub fn named(name: &str) -> Option<Known> {
        Some(match name {
            "threshold" => Known::Threshold,
            "current_value" => Known::CurrentValue,
            "user_impact" => Known::UserImpact,
            "degradation" => Known::Degradation,
            "error_rate" => Known::ErrorRate,
            "cost_increase" => Known::CostIncrease,
            "sla_risk_minutes" => Known::SlaRiskMinutes,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Known::Threshold => "threshold",
            Known::CurrentValue => "current_value",
            Known::UserImpact => "user_impact",
            Known::Degradation => "degradation",
            Known::ErrorRate => "error_rate",
            Known::CostIncrease => "cost_increase",
            Known::SlaRiskMinutes => "sla_risk_minutes",
        }
    }
}

/// What stands under one of the names.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Said {
    #[default]
    Missing,
    /// The name is there, and nothing under it: null or an empty string.
    Empty,
    Number(f64),
    /// Neither a number nor a numeric string.
    Other,
}

impl Said {
    pub fn text(text: &str) -> Said {
        match number::numeric_text(text) {
            Some(number) => Said::Number(number),
            None if text.is_empty() => Said::Empty,
            None => Said::Other,
        }
    }

    fn value(value: &Value) -> Said {
        match value {
            Value::Null => Said::Empty,
            Value::String(text) => Said::text(text),
            other => number::numeric(other).map_or(Said::Other, Said::Number),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Numbers([Said; KNOWN]);

impl Numbers {
    pub fn of(map: &Map<String, Value>) -> Numbers {
        Numbers(Known::ALL.map(|known| map.get(known.name()).map_or(Said::Missing, Said::value)))
    }

    pub fn set(&mut self, known: Known, said: Said) {
        self.0[known as usize] = said;
    }

    /// What is missing here is taken from `other`.
    pub fn or(self, other: &Numbers) -> Numbers {
        Numbers(std::array::from_fn(|at| if self.0[at] == Said::Missing { other.0[at] } else { self.0[at] }))
    }

    pub fn number(&self, known: Known) -> Option<f64> {
        match self.0[known as usize] {
            Said::Number(number) => Some(number),
            _ => None,
        }
    }

    pub fn current_value(&self) -> CurrentValue {
        match self.0[Known::CurrentValue as usize] {
            Said::Missing | Said::Empty => CurrentValue::Absent,
            Said::Number(number) => CurrentValue::Number(number),
            Said::Other => CurrentValue::Other,
        }
    }

    pub fn factors(&self) -> Factors {
        Factors {
            user_impact: self.number(Known::UserImpact),
            degradation: self.number(Known::Degradation),
            error_rate: self.number(Known::ErrorRate),
            cost_increase: self.number(Known::CostIncrease),
            sla_risk_minutes: self.number(Known::SlaRiskMinutes),
        }
    }
}

/// Makes numbers of the numeric strings under the known names.
pub fn convert(metadata: &mut Map<String, Value>) {
    for known in Known::ALL {
        if let Some(value) = metadata.get_mut(known.name())
            && let Value::String(text) = value
            && let Some(number) = number::numeric_text(text)
        {
            *value = number::json(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_by_itself() {
        for (at, known) in Known::ALL.into_iter().enumerate() {
            assert_eq!(Known::named(known.name()), Some(known));
            assert_eq!(known as usize, at);
        }
    }
}
