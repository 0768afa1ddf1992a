//! A silence: which incidents notify nobody, from when to when (SPEC 3.3, 4.7). Matchers have Alertmanager's shape.

use crate::model::{Environment, Severity, Time};
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::literal::{Extractor, Literal, Seq};
use serde::{Deserialize, Serialize};

/// Bytes that a compiled expression may have: a silence is asked of every new incident.
const REGEX_SIZE: usize = 256 << 10;
const NEST: u32 = 50;
/// Past so many ways to begin an expression is asked at once.
const MOST_BEGINNINGS: usize = 8;

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
    pattern: Option<Pattern>,
    value: String,
    is_equal: bool,
}

/// Nearly all texts that are asked for are about something else, and told apart by how they begin for a tenth of what asking the
/// expression costs.
#[derive(Clone, Debug)]
struct Pattern {
    regex: Regex,
    /// What it matches begins with one of these; empty: with anything.
    begins: Vec<Box<[u8]>>,
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        let may = self.begins.is_empty() || self.begins.iter().any(|begin| text.as_bytes().starts_with(begin));
        may && self.regex.is_match(text)
    }
}

/// As [`Pattern::begins`] has them.
fn beginnings(expression: &str) -> Vec<Box<[u8]>> {
    let parsed = regex_syntax::ParserBuilder::new().dot_matches_new_line(true).nest_limit(NEST).build().parse(expression);
    let found = parsed.ok().map(|parsed| Extractor::new().limit_total(MOST_BEGINNINGS).extract(&parsed));
    let literals = found.as_ref().and_then(Seq::literals).unwrap_or_default();
    if literals.iter().any(Literal::is_empty) {
        return Vec::new();
    }
    literals.iter().map(|literal| literal.as_bytes().into()).collect()
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
                .nest_limit(NEST)
                .build()
        });
        let pattern = pattern.transpose().map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => format!("it is too large: compiled it may have {} KiB", REGEX_SIZE >> 10),
            // The last line says what; those before it draw the place.
            error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })?;
        let pattern = pattern.map(|regex| Pattern { regex, begins: beginnings(&self.value) });
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
            Some(pattern) => pattern.matches(text),
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
    fn how_a_text_begins_never_hides_a_match() {
        let expressions = [
            "eu-1",
            "eu-.*",
            "(eu|us)-1",
            "eu|",
            "e?u-1",
            "(?i)EU-1",
            "^eu-1$",
            "(?s:.)u-1",
            "[eu]+-1",
            "e{0,2}u-1",
            "\\beu-1",
            "(?:^|x)eu-1",
            "eu-1|.*",
            "a|b|c|d|e|f|g|h|i|eu-1",
            "é?eu-1",
            "[a&&b]",
            "",
        ];
        let texts = ["eu-1", "EU-1", "us-1", "u-1", "eeu-1", "xeu-1", "éeu-1", "eu-1\n", "\neu-1", "-1", "e", "i", "", "au-1"];
        for expression in expressions {
            let test = matcher("region", "=~", expression).test().expect("it compiles");
            let pattern = test.pattern.as_ref().expect("it is one");
            for text in texts {
                assert_eq!(pattern.matches(text), pattern.regex.is_match(text), "{text:?} {expression:?} {:?}", pattern.begins);
            }
        }
        for (expression, begins) in [("eu-.*", &["eu-"][..]), ("eu|us", &["eu", "us"]), (".*", &[]), ("x*", &[])] {
            let begins: Vec<Box<[u8]>> = begins.iter().map(|begin| begin.as_bytes().into()).collect();
            assert_eq!(beginnings(expression), begins, "{expression}");
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
