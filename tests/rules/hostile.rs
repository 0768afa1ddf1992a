//! Scripts that mean harm, or are written badly enough: bounded in time and memory, an error, never a panic.

use super::{limits, load, loaded, source};
use incidentd::model::{RuleEvent, Target, TargetKind, Time};
use incidentd::rules::{Context, RuleSet};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// The body of a `when`, which must be stopped or refused, soon; its messages.
fn stopped(body: &str) -> String {
    let begun = Instant::now();
    let text = format!("notification(#{{ name: \"a\", when: |incident| {{ {body} }}, channels: [slack(\"#ops\")] }});");
    let found = match load(&text) {
        Ok(_) => panic!("it loads: {body}"),
        Err(found) => found,
    };
    // It stops by its operations; the slowest build of this test on a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(10), "{body} took {:?}", begun.elapsed());
    found.into_iter().map(|finding| finding.message).collect::<Vec<_>>().join("\n")
}

#[test]
fn endless_work_is_stopped() {
    for body in [
        "loop {}",
        "while true { let x = 1; }",
        "for i in 0..9223372036854775807 {} true",
        "let a = []; for i in 0..9000 { a.push(i); } for i in 0..10000 { a.index_of(-1); } true",
        "let a = []; for i in 0..9000 { a.push(i); } loop { a.contains(-1); }",
        "let a = []; for i in 0..9000 { a.push([i]); } loop { let b = a == a; }",
        "let a = []; for i in 0..5000 { a.push(5000 - i); } loop { let b = a; b.sort(); }",
        "let a = []; for i in 0..100 { a.push(i); } let b = a; let c = a; let d = a; a.map(|x| b.map(|y| c.map(|z| d.map(|q| x + y + z + q)))); true",
        "let s = \"x\"; s.pad(100000, \"ab\"); loop { s.contains(\"b\" + s); }",
        "let s = \"x\"; s.pad(100000, 'a'); loop { let t = s; t.replace(\"aa\", \"ab\"); }",
        "let s = \"x\"; s.pad(100000, 'a'); loop { s.split(\"\"); }",
    ] {
        let told = stopped(body);
        assert!(told.contains("stopped") || told.contains("too large") || told.contains("grew past"), "{body}: {told}");
    }
}

#[test]
fn work_is_bounded_without_a_clock_too() {
    let text = r##"notification(#{ name: "a", when: |incident| {
        let a = []; for i in 0..9000 { a.push(i); }
        loop { a.index_of(-1); }
    }, channels: [slack("#ops")] });"##;
    let found = RuleSet::load(&source(text), &incidentd::rules::Limits::default()).err().expect("it is stopped");
    assert!(found[0].message.contains("operations"), "{found:?}");
}

#[test]
fn recursion_is_stopped() {
    let begun = Instant::now();
    for text in [
        "fn f(x) { f(x + 1) }\nf(0);",
        "fn f(x) { g(x) } fn g(x) { f([x]) }\nf(0);",
        "fn f(x) { f(x) + f(x) }\nf(0);",
        "let f = |x, g| g.call(x, g);\nf.call(1, f);",
    ] {
        let found = load(text).err().expect("it is stopped");
        assert!(found[0].message.contains("deep"), "{text}: {found:?}");
    }
    let mut deep = String::from("notification(#{ name: \"a\", when: |incident| ");
    deep.push_str(&"(".repeat(20_000));
    assert!(load(&deep).is_err());
    assert!(load(&format!("let x = {};", "[".repeat(100_000))).is_err());
    assert!(load(&format!("let x = {};", "-".repeat(100_000))).is_err());
    assert!(load(&format!("let x = {}1;", "!".repeat(100_000))).is_err());
    assert!(load(&"{".repeat(100_000)).is_err());
    assert!(load(&"if true { ".repeat(50_000)).is_err());
    assert!(load(&format!("let x = 1{};", " + 1".repeat(100_000))).is_err());
    assert!(load(&format!("let x = a{};", ".b".repeat(100_000))).is_err());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// Bytes this process holds; 0 where the system does not say.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

#[test]
fn memory_is_bounded() {
    let before = resident();
    for body in [
        "let m = #{}; for i in 0..1000000 { m[\"k\" + i] = i; } true",
        "let m = #{}; loop { m[\"a\"] = m; m[\"b\"] = m; }",
        "let m = #{ a: 1 }; loop { m.a = [m, m]; }",
        "let a = [1]; loop { a += a; }",
        "let a = [1]; loop { a.push(a); }",
        "let a = [1]; loop { a = [a, a]; }",
        "let a = []; loop { a.insert(0, \"0123456789012345678901234567890123456789\" + a.len()); }",
        "let s = \"0123456789\"; loop { s += s; }",
        "let s = \"0123456789\"; loop { s = `${s}${s}`; }",
        "let s = \"a\"; s.pad(60000, 'a'); let t = s; s.replace(\"a\", t); s.len() > 0",
        "let s = \"a\"; s.pad(60000, 'a'); let t = s; s.replace('a', t); s.len() > 0",
        "let s = \"a\"; s.pad(1000000000, 'a'); true",
        "let a = []; a.pad(1000000000, 0); true",
        "let a = [0]; a.pad(5000, [1, 2, 3, 4]); true",
        "let f = || 1; loop { let g = f; f = || g.call(); }",
        "let f = || 1; loop { f = f.curry(f).curry(f); }",
        "let m = #{}; let big = []; big.pad(9000, 1); for i in 0..100000 { m[\"k\" + i] = big; } true",
    ] {
        let told = stopped(body);
        assert!(!told.contains("failed inside"), "{body}: {told}");
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 500 * 1024 * 1024, "grew by {} MiB", grown / 1024 / 1024);
}

#[test]
fn the_host_is_out_of_reach() {
    for body in [
        "eval(\"true\")",
        "print(\"x\"); true",
        "debug(\"x\"); true",
        "sleep(10); true",
        "sleep(0.5); true",
        "timestamp(); true",
        "import \"x\" as x; true",
        "Fn(\"eval\").call(\"true\")",
        "Fn(\"print\").call(\"x\") == ()",
        "Fn(\"sleep\").call(5) == ()",
        "open_file(\"/etc/passwd\"); true",
        "this.x",
        "incident.severity = \"low\"; true",
        "throw \"no\"",
    ] {
        stopped(body);
    }
}

#[test]
fn try_and_catch_do_not_outlive_the_limits() {
    let told = stopped("loop { try { loop {} } catch (e) {} }");
    assert!(told.contains("stopped"), "{told}");
}

#[test]
fn a_stopped_script_leaves_the_next_its_full_measure() {
    let set = loaded(
        r##"
        notification(#{ name: "a", when: |incident| { if incident.title == "loop" { loop {} } true }, channels: [slack("#ops")] });
        "##,
    );
    let mut incident = super::behaviour::incident();
    let context = Context::new(Time(0), RuleEvent::Triggered);
    let calm = std::sync::Arc::new(incident.clone());
    incident.title = "loop".to_owned();
    let looping = std::sync::Arc::new(incident);
    for _ in 0..3 {
        let error = set.when(0, &looping, &context).expect_err("it is stopped");
        assert!(error.message.contains("stopped"), "{error}");
        assert_eq!((error.file.as_str(), error.line > 0), ("rules.rhai", true));
        assert_eq!(set.when(0, &calm, &context), Ok(true));
    }
}

#[test]
fn a_file_that_does_not_end_is_stopped_while_it_loads() {
    let begun = Instant::now();
    for text in ["loop {}", "let i = 0; loop { i += 1; notification(#{ name: `r${i}`, channels: [slack(\"#ops\")] }); }"] {
        assert!(load(text).is_err());
    }
    let told = load("loop { notification(#{ nme: 1 }); }").err().expect("it is stopped");
    assert!(told.len() <= 1_100, "{} findings", told.len());
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
}

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
        let _ = load(&words.join(" "));
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
        if let Ok((rules, _)) = RuleSet::load(&files, &limits()) {
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
