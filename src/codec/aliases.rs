//! The spellings that people really send, as canonical names (SPEC 3.1).
//!
//! A canonical name in any letter case is always itself; only other words are looked up in the table.

use crate::codec::Settings;
use crate::model::{Environment, Severity};
use std::collections::BTreeMap;

/// The default table of environments.
pub const ENVIRONMENT: [(&str, &str); 3] = [("prod", "production"), ("stg", "staging"), ("dev", "development")];

/// The default table of severities.
pub const SEVERITY: [(&str, &str); 8] = [
    ("error", "high"),
    ("warning", "medium"),
    ("warn", "medium"),
    ("p1", "critical"),
    ("p2", "high"),
    ("p3", "medium"),
    ("p4", "low"),
    ("p5", "info"),
];

/// A default table as the settings hold it.
pub fn table(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(word, name)| ((*word).to_owned(), (*name).to_owned())).collect()
}

impl Settings {
    /// The environment that `word` means; `None` for one that nobody knows.
    pub(super) fn environment(&self, word: &str) -> Option<Environment> {
        let canonical = Environment::ALL.into_iter().find(|environment| environment.name().eq_ignore_ascii_case(word));
        canonical.or_else(|| Environment::named(lookup(&self.environment_aliases, word)?))
    }

    /// The severity that `word` means; `None` for one that nobody knows.
    pub(super) fn severity(&self, word: &str) -> Option<Severity> {
        let canonical = Severity::ALL.into_iter().find(|severity| severity.name().eq_ignore_ascii_case(word));
        canonical.or_else(|| Severity::named(lookup(&self.severity_aliases, word)?))
    }
}

fn lookup<'t>(table: &'t BTreeMap<String, String>, word: &str) -> Option<&'t str> {
    let mut lower = [0; 32];
    if word.is_ascii()
        && let Some(lower) = lower.get_mut(..word.len())
    {
        lower.copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        return table.get(std::str::from_utf8(lower).ok()?).map(String::as_str);
    }
    table.get(&word.to_lowercase()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_letter_case_is_understood_and_other_words_are_not() {
        let mut settings = Settings::default();
        settings.environment_aliases.insert("прод".to_owned(), "production".to_owned());
        for (word, environment) in [
            ("PRODUCTION", Some(Environment::Production)),
            ("Prod", Some(Environment::Production)),
            ("sTg", Some(Environment::Staging)),
            ("dev", Some(Environment::Development)),
            ("ПРОД", Some(Environment::Production)),
            ("qa", None),
            ("", None),
            ("production-production-production-production", None),
        ] {
            assert_eq!(settings.environment(word), environment, "{word}");
        }
        for (word, severity) in [
            ("Critical", Some(Severity::Critical)),
            ("WARNING", Some(Severity::Medium)),
            ("warn", Some(Severity::Medium)),
            ("Error", Some(Severity::High)),
            ("P1", Some(Severity::Critical)),
            ("p2", Some(Severity::High)),
            ("p3", Some(Severity::Medium)),
            ("p4", Some(Severity::Low)),
            ("P5", Some(Severity::Info)),
            ("p6", None),
        ] {
            assert_eq!(settings.severity(word), severity, "{word}");
        }
    }

    #[test]
    fn every_default_alias_leads_to_a_name() {
        assert!(ENVIRONMENT.iter().all(|(_, name)| Environment::named(name).is_some()));
        assert!(SEVERITY.iter().all(|(_, name)| Severity::named(name).is_some()));
    }
}
