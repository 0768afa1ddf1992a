//! `where`: the static part of a rule (SPEC 5). All its fields must hold; of a field's patterns one is enough.

use crate::model::Incident;
use crate::rules::diagnostic::listed;

/// A field that `where` may name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Severity,
    Category,
    ServiceId,
    Environment,
    Title,
    Label(String),
}

impl Field {
    /// All but labels, which have names of their own.
    pub const FIXED: [Field; 5] = [Field::Severity, Field::Category, Field::ServiceId, Field::Environment, Field::Title];

    pub fn name(&self) -> String {
        match self {
            Field::Severity => "severity".to_owned(),
            Field::Category => "category".to_owned(),
            Field::ServiceId => "service_id".to_owned(),
            Field::Environment => "environment".to_owned(),
            Field::Title => "title".to_owned(),
            Field::Label(name) => format!("labels.{name}"),
        }
    }

    /// What the incident has there; only a label can be missing.
    pub fn of<'a>(&self, incident: &'a Incident) -> Option<&'a str> {
        match self {
            Field::Severity => Some(incident.severity.name()),
            Field::Category => Some(&incident.category),
            Field::ServiceId => Some(&incident.service_id),
            Field::Environment => Some(incident.environment.name()),
            Field::Title => Some(&incident.title),
            Field::Label(name) => incident.labels.get(name),
        }
    }
}

/// An exact value, or one with `*` for any text, the empty one included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pattern(pub String);

impl Pattern {
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// What every text that it fits begins with.
    pub fn prefix(&self) -> &str {
        self.0.split('*').next().unwrap_or_default()
    }

    /// Of what stands between its stars; empty for `*`.
    pub fn longest_part(&self) -> &str {
        self.0.split('*').max_by_key(|part| part.len()).unwrap_or_default()
    }

    pub fn fits(&self, text: &str) -> bool {
        // Most texts are told apart by how they begin.
        let Some((first, behind)) = self.0.split_once('*') else { return self.0 == text };
        let Some(rest) = text.strip_prefix(first) else { return false };
        let mut parts = behind.split('*');
        let Some(mut rest) = rest.strip_suffix(parts.next_back().unwrap_or_default()) else { return false };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }

    /// A text that fits, for a sample.
    pub fn sample(&self) -> String {
        self.0.replace('*', "sample")
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Where {
    /// Sorted by field, each once; no list of patterns is empty.
    pub fields: Vec<(Field, Vec<Pattern>)>,
}

impl Where {
    pub fn patterns(&self, field: &Field) -> Option<&[Pattern]> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, patterns)| patterns.as_slice())
    }

    pub fn admits(&self, field: &Field, value: &str) -> bool {
        self.patterns(field).is_none_or(|patterns| patterns.iter().any(|pattern| pattern.fits(value)))
    }

    /// Which field keeps the incident out, in words; of several the first. `said`: what [`Where::said`] gave.
    pub fn miss(&self, incident: &Incident, said: &[Said]) -> Option<String> {
        self.fields.iter().zip(said).find_map(|((field, patterns), said)| {
            let value = field.of(incident);
            if value.is_some_and(|value| patterns.iter().any(|pattern| pattern.fits(value))) {
                return None;
            }
            let Said { name, wants } = said;
            let (is, value) = value.map_or((" is missing", ""), |value| (" is ", value));
            Some([name, is, value, ", the rule wants ", wants].concat())
        })
    }

    /// Every field that keeps the incident out, in the words of [`Where::miss`].
    pub fn misses(&self, incident: &Incident, said: &[Said]) -> Vec<String> {
        let fields = self.fields.iter().zip(said);
        let alone = fields.map(|(field, said)| (Where { fields: vec![field.clone()] }, std::slice::from_ref(said)));
        alone.filter_map(|(field, said)| field.miss(incident, said)).collect()
    }

    /// What [`Where::miss`] says of each field whatever the incident: made once, for near misses are told often.
    pub fn said(&self) -> Vec<Said> {
        let wants = |patterns: &[Pattern]| {
            let texts: Vec<&str> = patterns.iter().map(|pattern| pattern.0.as_str()).collect();
            listed(&texts, "or")
        };
        self.fields.iter().map(|(field, patterns)| Said { name: field.name(), wants: wants(patterns) }).collect()
    }
}

/// A field of a `where` in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    name: String,
    wants: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("eu-*", "eu-west-1", true),
            ("eu-*", "eu-", true),
            ("eu-*", "us-eu-1", false),
            ("*", "", true),
            ("llm-*-prod", "llm-chat-prod", true),
            ("llm-*-prod", "llm-prod", false),
            ("*a*b*", "xxaybz", true),
            ("*a*b*", "ba", false),
            ("aa*aa", "aaa", false),
            ("*bc", "abcbc", true),
            ("**", "x", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("ü*", "über", true),
            ("a*ü", "aü", true),
        ] {
            assert_eq!(Pattern(pattern.to_owned()).fits(text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn a_sample_fits_its_pattern() {
        for pattern in ["eu-*", "*", "a*b*c", "exact"] {
            let pattern = Pattern(pattern.to_owned());
            assert!(pattern.fits(&pattern.sample()));
        }
    }
}
