//! Which rules an incident meets, without asking each: field value → set of rules (ARCHITECTURE 6).
//!
//! Every field that some rule names keeps the rules that name it, and for each pattern the rules that it satisfies. A rule
//! fails a field that it names and that satisfies it by none; one set holds the rules that failed once, one those that failed
//! twice. What failed never is matched, what failed exactly once is a near miss.

use crate::model::Incident;
use crate::rules::matcher::{Field, Pattern, Where};
use aho_corasick::AhoCorasick;
use std::collections::BTreeMap;

/// A bit for each rule.
pub(super) type Bits = Vec<u64>;

pub(super) fn bits(rules: usize) -> Bits {
    vec![0; rules.div_ceil(64)]
}

pub(super) fn set(bits: &mut [u64], rule: usize) {
    bits[rule / 64] |= 1 << (rule % 64);
}

fn has(bits: &[u64], rule: usize) -> bool {
    bits[rule / 64] & 1 << (rule % 64) != 0
}

/// The rules of a set, ascending.
pub(super) fn members(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().enumerate().flat_map(|(word, bits)| {
        let mut rest = *bits;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(word * 64 + bit)
        })
    })
}

/// A set of rules: a list where it is short, bits where that is smaller.
enum Rules {
    Few(Vec<u32>),
    Many(Bits),
}

impl Rules {
    fn new(list: Vec<u32>, rules: usize) -> Rules {
        if list.len() * 2 < rules.div_ceil(64) {
            return Rules::Few(list);
        }
        let mut many = bits(rules);
        list.into_iter().for_each(|rule| set(&mut many, rule as usize));
        Rules::Many(many)
    }

    fn add_to(&self, bits: &mut [u64]) {
        match self {
            Rules::Few(list) => list.iter().for_each(|rule| set(bits, *rule as usize)),
            Rules::Many(many) => bits.iter_mut().zip(many).for_each(|(word, more)| *word |= more),
        }
    }
}

pub(super) struct Index {
    rules: usize,
    fields: Vec<FieldIndex>,
}

struct FieldIndex {
    field: Field,
    /// The rules that name the field.
    named: Rules,
    exact: BTreeMap<String, Rules>,
    globs: Globs,
}

/// Patterns with a star. Only those are tried whose longest fixed part the value holds, and one look finds all these parts.
struct Globs {
    /// Those without a fixed part, such as `*`.
    always: Vec<(Pattern, Rules)>,
    /// None where there is no fixed part at all.
    parts: Option<AhoCorasick>,
    /// By the number of the fixed part.
    by_part: Vec<Vec<(Pattern, Rules)>>,
}

impl Index {
    pub fn new<'a>(matchers: impl ExactSizeIterator<Item = &'a Where>) -> Index {
        let rules = matchers.len();
        let mut named: BTreeMap<&Field, Vec<u32>> = BTreeMap::new();
        let mut satisfied: BTreeMap<&Field, BTreeMap<&Pattern, Vec<u32>>> = BTreeMap::new();
        for (rule, matcher) in matchers.enumerate() {
            for (field, patterns) in &matcher.fields {
                named.entry(field).or_default().push(rule as u32);
                let by_pattern = satisfied.entry(field).or_default();
                for pattern in patterns {
                    by_pattern.entry(pattern).or_default().push(rule as u32);
                }
            }
        }
        let fields = named
            .into_iter()
            .map(|(field, list)| {
                let by_pattern = satisfied.remove(field).unwrap_or_default();
                FieldIndex::new(field.clone(), Rules::new(list, rules), by_pattern, rules)
            })
            .collect();
        Index { rules, fields }
    }

    /// Those that fail one field at least, and those that fail two.
    pub fn failing(&self, incident: &Incident) -> (Bits, Bits) {
        let (mut once, mut twice, mut met) = (bits(self.rules), bits(self.rules), bits(self.rules));
        let mut clean = true;
        for index in &self.fields {
            if !clean {
                met.fill(0);
                clean = true;
            }
            if let Some(value) = index.field.of(incident) {
                index.satisfied(value, &mut met);
                clean = false;
            }
            match &index.named {
                Rules::Few(list) => {
                    for rule in list.iter().map(|rule| *rule as usize).filter(|rule| !has(&met, *rule)) {
                        if has(&once, rule) {
                            set(&mut twice, rule);
                        }
                        set(&mut once, rule);
                    }
                }
                Rules::Many(many) => {
                    for (((once, twice), met), named) in once.iter_mut().zip(&mut twice).zip(&met).zip(many) {
                        let fails = named & !met;
                        *twice |= *once & fails;
                        *once |= fails;
                    }
                }
            }
        }
        (once, twice)
    }
}

impl FieldIndex {
    fn new(field: Field, named: Rules, by_pattern: BTreeMap<&Pattern, Vec<u32>>, rules: usize) -> FieldIndex {
        let (mut exact, mut globs) = (BTreeMap::new(), Vec::new());
        for (pattern, list) in by_pattern {
            let list = Rules::new(list, rules);
            match pattern.is_exact() {
                true => drop(exact.insert(pattern.0.clone(), list)),
                false => globs.push((pattern.clone(), list)),
            }
        }
        FieldIndex { field, named, exact, globs: Globs::new(globs) }
    }

    /// Adds the rules that the value satisfies.
    fn satisfied(&self, value: &str, met: &mut [u64]) {
        if let Some(rules) = self.exact.get(value) {
            rules.add_to(met);
        }
        self.globs.satisfied(value, met);
    }
}

impl Globs {
    fn new(globs: Vec<(Pattern, Rules)>) -> Globs {
        let mut by_part: BTreeMap<String, Vec<(Pattern, Rules)>> = BTreeMap::new();
        for glob in globs {
            by_part.entry(glob.0.longest_part().to_owned()).or_default().push(glob);
        }
        let mut always = by_part.remove("").unwrap_or_default();
        let (parts, mut by_part): (Vec<String>, Vec<_>) = by_part.into_iter().unzip();
        let automaton = if parts.is_empty() { None } else { AhoCorasick::new(&parts).ok() };
        if automaton.is_none() {
            // Too large to be built: each is tried.
            always.extend(by_part.drain(..).flatten());
        }
        Globs { always, parts: automaton, by_part }
    }

    fn satisfied(&self, value: &str, met: &mut [u64]) {
        let mut try_all = |globs: &[(Pattern, Rules)]| {
            globs.iter().filter(|(pattern, _)| pattern.fits(value)).for_each(|(_, rules)| rules.add_to(met));
        };
        try_all(&self.always);
        let Some(parts) = &self.parts else { return };
        let mut tried = bits(0);
        for found in parts.find_overlapping_iter(value) {
            let part = found.pattern().as_usize();
            if tried.is_empty() {
                tried = bits(self.by_part.len());
            }
            if !has(&tried, part) {
                set(&mut tried, part);
                try_all(&self.by_part[part]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;
    use crate::rules::samples::sample_incident;
    use proptest::prelude::*;

    fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
        let words = [
            "critical", "high", "*", "**", "h*", "svc-1", "svc-*", "s*1", "*ü", "ü*", "eu-*", "eu-west", "*-w*st", "*u*",
            "*es*w*",
        ];
        proptest::collection::vec(proptest::sample::select(words.to_vec()), 1..4)
            .prop_map(|words| words.into_iter().map(|word| Pattern(word.to_owned())).collect())
    }

    fn matcher() -> impl Strategy<Value = Where> {
        let names = [Field::Severity, Field::ServiceId, Field::Title, Field::Label("region".into()), Field::Label("x".into())];
        proptest::collection::btree_map(proptest::sample::select(names.to_vec()), patterns(), 0..4)
            .prop_map(|fields| Where { fields: fields.into_iter().collect() })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// The index says what asking each rule by itself says. Up to 400 rules: both forms of a set occur.
        #[test]
        fn as_asking_each_rule(
            matchers in proptest::collection::vec(matcher(), 0..400),
            service in proptest::sample::select(vec!["svc-1", "svc-2", "üü", "é", ""]),
            region in proptest::sample::select(vec![None, Some("eu-west"), Some("eu"), Some("us-west")]),
            severity in proptest::sample::select(Severity::ALL.to_vec()),
        ) {
            let mut incident = sample_incident();
            incident.service_id = service.to_owned();
            incident.title = service.to_owned();
            incident.severity = severity;
            incident.labels = region.map(|region| ("region".to_owned(), region.to_owned())).into_iter().collect();
            let (once, twice) = Index::new(matchers.iter()).failing(&incident);
            for (rule, matcher) in matchers.iter().enumerate() {
                let fails = matcher.fields.iter().filter(|(field, patterns)| {
                    !field.of(&incident).is_some_and(|value| patterns.iter().any(|pattern| pattern.fits(value)))
                });
                let fails = fails.count();
                prop_assert_eq!((has(&once, rule), has(&twice, rule)), (fails >= 1, fails >= 2), "{:?}", matcher);
                prop_assert_eq!(matcher.miss(&incident, &matcher.said()).is_some(), fails >= 1);
            }
        }
    }
}
