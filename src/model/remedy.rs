//! One action of a remediation, as the rule names it (SPEC 4.8).

use crate::model::Metadata;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, PartialEq, Debug)]
pub struct Remedy {
    /// `rollback`, `scale_up`, `restart`, …
    pub kind: String,
    /// Defaults to the incident's service.
    pub target: String,
    pub parameters: Metadata,
}

/// In JSON the parameters stand beside the other two; the compact form cannot write a map of unknown length.
#[derive(Serialize, Deserialize)]
struct Flat<K, P> {
    #[serde(rename = "type")]
    kind: K,
    target: K,
    #[serde(flatten)]
    parameters: P,
}

impl Serialize for Remedy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Remedy { kind, target, parameters } = self;
        if serializer.is_human_readable() {
            Flat { kind, target, parameters }.serialize(serializer)
        } else {
            (kind, target, parameters).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Remedy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Remedy, D::Error> {
        if deserializer.is_human_readable() {
            let Flat::<String, Metadata> { kind, target, parameters } = Flat::deserialize(deserializer)?;
            Ok(Remedy { kind, target, parameters })
        } else {
            let (kind, target, parameters) = Deserialize::deserialize(deserializer)?;
            Ok(Remedy { kind, target, parameters })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_from_json_and_from_the_changelogs_form() {
        let json = r#"{"type":"scale_up","target":"llm","replicas":3}"#;
        let remedy: Remedy = serde_json::from_str(json).expect("a remedy");
        assert_eq!(remedy.parameters.0["replicas"], 3);
        assert_eq!(serde_json::to_string(&remedy).expect("JSON"), json);
        let bytes = postcard::to_stdvec(&remedy).expect("bytes");
        assert_eq!(postcard::from_bytes(&bytes), Ok(remedy));
    }
}
