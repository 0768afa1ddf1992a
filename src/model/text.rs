//! Texts: labels and metadata, the two open maps of an alert, and what is put together byte by byte.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

/// What was put together of ASCII alone.
pub fn ascii(bytes: &[u8]) -> &str {
    // It is UTF-8 as well, so nothing is ever lost here.
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Label names and values, sorted by name, each name once.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Labels(Vec<(String, String)>);

impl Labels {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok().map(|at| self.0[at].1.as_str())
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, String)> for Labels {
    /// Of a name that comes twice the last value counts, as in JavaScript.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Labels {
        let mut sorted: Vec<(String, String)> = Vec::new();
        for (name, value) in pairs {
            match sorted.binary_search_by(|(key, _)| key.cmp(&name)) {
                Ok(at) => sorted[at].1 = value,
                Err(at) => sorted.insert(at, (name, value)),
            }
        }
        sorted.shrink_to_fit();
        Labels(sorted)
    }
}

/// Any JSON object. In the compact binary form it is its own JSON text.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Metadata(pub Map<String, Value>);

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.0.serialize(serializer)
        } else if self.0.is_empty() {
            serializer.serialize_str("")
        } else {
            serializer.serialize_str(&serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?)
        }
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
        if deserializer.is_human_readable() {
            return Map::deserialize(deserializer).map(Metadata);
        }
        let text = <&str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Metadata::default());
        }
        serde_json::from_str(text).map(Metadata).map_err(de::Error::custom)
    }
}
