//! Text that nobody would write, and good rules with a few words changed: no panic, no hang, and never a rule that names nobody.

use super::memory::measured;
use super::{limits, load};
use incidentd::model::{Target, TargetKind, Time};
use incidentd::rules::RuleSet;
use proptest::prelude::*;
use std::time::Duration;

/// Nothing that short takes longer, or more than this; the repository's own rules are no small part of it.
const MOST_TIME: Duration = Duration::from_millis(500);
const MOST_BYTES: usize = 32 << 20;

/// Words that rules are made of, so that the texts get somewhere.
const WORDS: [&str; 48] = [
    "notification",
    "(",
    ")",
    "#{",
    "}",
    "{",
    "[",
    "]",
    ",",
    ":",
    ";",
    "name",
    "where",
    "when",
    "channels",
    "priority",
    "on",
    "\"a\"",
    "\"critical\"",
    "slack",
    "secret",
    "|incident|",
    "|incident, context|",
    "incident",
    ".",
    "severity",
    "labels",
    "metadata",
    "==",
    "!=",
    "+",
    "-",
    "1",
    "2.5",
    "true",
    "()",
    "fn f(x)",
    "f",
    "let x =",
    "if",
    "else",
    "loop",
    "for i in",
    "..",
    "`${",
    "`",
    "#",
    "\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_words_panic(words in proptest::collection::vec(proptest::sample::select(WORDS.to_vec()), 0..60)) {
        let (_, used) = measured(|| load(&words.join(" ")).is_ok());
        prop_assert!(used.time < MOST_TIME && used.bytes < MOST_BYTES, "{:?}", used);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = load(&text);
    }

    #[test]
    fn no_cut_or_change_of_a_good_file_panics(
        name in proptest::sample::select(GOOD.to_vec()),
        at in 0usize..4_000,
        length in 0usize..40,
        word in proptest::sample::select([&WORDS[..], &VALUES[..]].concat()),
    ) {
        let mut files = good();
        let characters: Vec<char> = files.files[name].chars().collect();
        let from = at % (characters.len() + 1);
        let to = (from + length).min(characters.len());
        let changed: String = characters[..from].iter().copied().chain(word.chars()).chain(characters[to..].iter().copied()).collect();
        files.files.insert(name.to_owned(), changed);
        let (loaded, used) = measured(|| RuleSet::load(&files, &limits()));
        prop_assert!(used.time < MOST_TIME && used.bytes < MOST_BYTES, "{:?}", used);
        if let Ok((rules, _)) = loaded {
            // Whom a changed schedule names, at any time, is a user.
            for at in [i64::MIN, -62_167_219_200_001, 0, 1_774_746_000_000, 253_402_300_800_000, i64::MAX] {
                for schedule in ["llm-primary", "llm-secondary"] {
                    let target = Target { kind: TargetKind::Schedule, id: schedule.to_owned(), email: None };
                    let reached = rules.people().reach(&target, Time(at));
                    prop_assert_eq!(reached.len(), rules.people().on_call(schedule, Time(at)).len());
                }
            }
        }
    }
}

const GOOD: [&str; 8] = [
    "notifications.rhai",
    "escalation.rhai",
    "remediation.rhai",
    "lib/channels.rhai",
    "users.toml",
    "teams.toml",
    "schedules.toml",
    "dependencies.toml",
];

/// What stands in the files beside the rules, and what should not.
const VALUES: [&str; 17] = [
    "-1",
    "99999999999999999999",
    "9999-12-31",
    "-9999-01-01",
    "0000-01-01T00:00:00Z",
    "2026-03-29T02:30:00",
    "\"9999-12-31T23:59:59Z\"",
    "\"1000000w\"",
    "\"1h\"",
    "\"Sun 24:00\"",
    "\"Mon-Sun 23:59-00:00\"",
    "\"Australia/Lord_Howe\"",
    "[]",
    "{}",
    "[[",
    "=",
    "nan",
];

/// The rules that come with the repository.
fn good() -> incidentd::rules::RuleSource {
    let read = |name: &str| std::fs::read_to_string(format!("rules/{name}")).expect("it is part of the repository");
    incidentd::rules::RuleSource { files: GOOD.iter().map(|name| ((*name).to_owned(), read(name))).collect() }
}
