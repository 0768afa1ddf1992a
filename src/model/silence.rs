//! A silence: which incidents notify nobody, from when to when (SPEC 3.3, 4.7). Matchers have Alertmanager's shape.

use crate::model::{Environment, Severity, Time};
use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Bytes that a compiled expression may have: a silence is asked of every new incident.
const REGEX_SIZE: usize = 256 << 10;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    /// All must hold.
    pub matchers: Vec<Matcher>,
    pub starts_at: Time,
    /// Exclusive.
    pub ends_at: Time,
    /// Who made it; `None`: nobody said.
    pub created_by: Option<String>,
    pub comment: Option<String>,
    /// The Kafka time of the command that it comes from last.
    pub updated_at: Time,
}

/// Names a label, or where no label has the name `service_id`, `severity`, `category`, `environment` or `title`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Matcher {
    pub name: String,
    pub value: String,
    /// `value` is a regular expression for the whole text.
    pub is_regex: bool,
    /// False: it must not match.
    pub is_equal: bool,
}

/// A matcher made ready to be asked.
#[derive(Clone, Debug)]
pub struct Test {
    pattern: Option<Regex>,
    value: String,
    is_equal: bool,
}

impl Matcher {
    /// An error says what is wrong with the expression, in one line.
    pub fn test(&self) -> Result<Test, String> {
        let pattern = self.is_regex.then(|| {
            let anchored = format!("^(?:{})$", self.value);
            RegexBuilder::new(&anchored)
                .dot_matches_new_line(true)
                .size_limit(REGEX_SIZE)
                .dfa_size_limit(4 * REGEX_SIZE)
                .nest_limit(50)
                .build()
        });
        let pattern = pattern.transpose().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("it is too large: compiled it may have {} KiB", REGEX_SIZE >> 10),
            // The last line says what; those before it draw the place.
            error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })?;
        Ok(Test { pattern, value: self.value.clone(), is_equal: self.is_equal })
    }

    /// Does it leave any incident out? Alertmanager asks of one matcher that it does not match the empty string, which a
    /// missing label is; but here the five fields are never empty, and one that takes all their values takes everything.
    pub fn restricts(&self, test: &Test) -> bool {
        /// Texts that have nothing in common.
        const ANY: [&str; 4] = ["llm-gateway", "0", "Über alles?", "_"];
        let all = |values: &[&str]| values.iter().all(|value| test.matches(value));
        !test.matches("")
            && !match self.name.as_str() {
                "severity" => all(&Severity::ALL.map(Severity::name)),
                "environment" => all(&Environment::ALL.map(Environment::name)),
                "service_id" | "category" | "title" => all(&ANY),
                _ => false,
            }
    }
}

impl Test {
    /// `text`: the label's or the field's value, empty where the incident has none.
    pub fn matches(&self, text: &str) -> bool {
        let found = match &self.pattern {
            Some(pattern) => pattern.is_match(text),
            None => self.value == text,
        };
        found == self.is_equal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(name: &str, operator: &str, value: &str) -> Matcher {
        let (is_regex, is_equal) = (operator.ends_with('~'), operator.starts_with('='));
        Matcher { name: name.to_owned(), value: value.to_owned(), is_regex, is_equal }
    }

    #[test]
    fn matches_the_whole_text_as_alertmanager_does() {
        for (operator, value, text, matches) in [
            ("=", "a", "a", true),
            ("=", "a", "ab", false),
            ("=", "", "", true),
            ("!=", "a", "", true),
            ("!=", "a", "a", false),
            ("=~", "a|b", "b", true),
            ("=~", "a|b", "ab", false),
            ("=~", "eu-.*", "eu-1", true),
            ("=~", "eu-.*", "", false),
            ("!~", "eu-.*", "eu-1", false),
            ("!~", "eu-.*", "us-1", true),
        ] {
            let test = matcher("region", operator, value).test().expect("it compiles");
            assert_eq!(test.matches(text), matches, "{text:?} {operator} {value:?}");
        }
    }

    #[test]
    fn knows_what_could_match_everything() {
        for (name, operator, value, restricts) in [
            ("region", "=", "eu", true),
            ("region", "=", "", false),
            ("region", "=~", ".+", true),
            ("region", "=~", ".*", false),
            ("region", "!=", "eu", false),
            ("region", "!~", "eu", false),
            ("region", "!~", ".*", true),
            ("service_id", "=~", ".+", false),
            ("service_id", "=~", "llm-.+", true),
            ("service_id", "!=", "", false),
            ("title", "=~", "(?s).+", false),
            ("severity", "=~", "critical|high|medium|low|info", false),
            ("severity", "=~", "critical|high", true),
            ("environment", "=~", "production|staging|development", false),
            ("environment", "=", "staging", true),
        ] {
            let matcher = matcher(name, operator, value);
            let test = matcher.test().expect("it compiles");
            assert_eq!(matcher.restricts(&test), restricts, "{name} {operator} {value:?}");
        }
    }

    #[test]
    fn an_expression_that_is_wrong_or_huge_is_refused() {
        assert_eq!(matcher("a", "=~", "(").test().map(drop), Err("unclosed group".to_owned()));
        assert!(matcher("a", "=~", r"\w{1000}{1000}").test().is_err_and(|error| error.starts_with("it is too large")));
        let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(matcher("a", "=~", &deep).test().is_err());
    }
}
