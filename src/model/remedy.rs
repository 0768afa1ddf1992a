//! One step of a remediation, in the seed's shape: what to do, to what, how (SPEC 4.8).

use crate::model::Metadata;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// JSON: `{"type": …, "target": …}` and the parameters beside them.
#[derive(Clone, PartialEq, Debug)]
pub struct Remedy {
    /// `rollback`, `scale_up`, `restart`, `increase_rate_limit`, `switch_model_variant` or `notify`.
    pub kind: String,
    /// The incident's service where the rule names nothing else.
    pub target: String,
    /// `replicas`, `multiplier` and `duration_minutes`, `variant`, `message`.
    pub parameters: Metadata,
}

#[derive(Serialize, Deserialize)]
struct Compact {
    kind: String,
    target: String,
    parameters: Metadata,
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            let Remedy { kind, target, parameters } = self.clone();
            return Compact { kind, target, parameters }.serialize(serializer);
        }
        let own = [("type", Value::from(self.kind.as_str())), ("target", Value::from(self.target.as_str()))];
        let parameters = self.parameters.0.iter().map(|(name, value)| (name.as_str(), value.clone()));
        serializer.collect_map(own.into_iter().chain(parameters.filter(|(name, _)| !matches!(*name, "type" | "target"))))
    }
}

impl<'de> Deserialize<'de> for Remedy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Remedy, D::Error> {
        if !deserializer.is_human_readable() {
            let Compact { kind, target, parameters } = Compact::deserialize(deserializer)?;
            return Ok(Remedy { kind, target, parameters });
        }
        let mut parameters = Metadata::deserialize(deserializer)?;
        let mut own = |name: &'static str| match parameters.0.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(D::Error::missing_field(name)),
        };
        Ok(Remedy { kind: own("type")?, target: own("target")?, parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_come_back_and_json_is_the_seeds() {
        let shape = json!({"type": "scale_up", "target": "chat", "replicas": "+2"});
        let remedy: Remedy = serde_json::from_value(shape.clone()).unwrap();
        assert_eq!((remedy.kind.as_str(), remedy.target.as_str(), remedy.parameters.0.len()), ("scale_up", "chat", 1));
        assert_eq!(serde_json::to_value(&remedy).unwrap(), shape);
        let bytes = postcard::to_stdvec(&remedy).unwrap();
        assert_eq!(postcard::from_bytes::<Remedy>(&bytes).unwrap(), remedy);
        assert!(serde_json::from_value::<Remedy>(json!({"type": "restart"})).is_err());
    }
}
