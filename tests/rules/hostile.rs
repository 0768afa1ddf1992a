//! Scripts that mean harm, or are written badly enough: bounded in time and memory, an error, never a panic.

use super::{limits, load, loaded, source};
use incidentd::model::{RuleEvent, Time};
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
    fn no_cut_or_change_of_a_good_file_panics(at in 0usize..4_000, length in 0usize..40, word in proptest::sample::select(WORDS.to_vec())) {
        let good = std::fs::read_to_string("rules/notifications.rhai").expect("it is part of the repository");
        let library = std::fs::read_to_string("rules/lib/channels.rhai").expect("it is part of the repository");
        let characters: Vec<char> = good.chars().collect();
        let from = at.min(characters.len());
        let to = (from + length).min(characters.len());
        let changed: String = characters[..from].iter().copied().chain(word.chars()).chain(characters[to..].iter().copied()).collect();
        let mut files = source(&changed);
        files.files.insert("lib/channels.rhai".to_owned(), library);
        let _ = RuleSet::load(&files, &limits());
    }
}
