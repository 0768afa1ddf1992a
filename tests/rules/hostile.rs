//! Scripts that mean harm, or are written badly enough: each is stopped within 50 ms of processor time and 16 MiB, as it
//! loads, on the samples of the check, and on a real incident; it is an error that says where, and the next is none the worse.

use super::memory::{Used, measured};
use super::{limits, load, loaded};
use incidentd::config::Config;
use incidentd::model::{RuleEvent, Time};
use incidentd::replay::{Fault, Replay};
use incidentd::rules::{Context, Limits, RuleSet};
use incidentd::settings;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const MOST_TIME: Duration = Duration::from_millis(50);
const MOST_BYTES: usize = 16 << 20;

/// Statements, each of which must be stopped or refused wherever they stand.
const HOSTILE: &[&str] = &[
    // Without end.
    "loop {}",
    "while true { let x = 1; }",
    "do { } while true;",
    "for i in 0..9223372036854775807 {}",
    "for i in range(0, 9223372036854775807, 1) {}",
    "loop { try { loop {} } catch (e) {} }",
    "let f = |g| g.call(g); f.call(f);",
    "let a = [1]; for x in a { a.push(x); loop {} }",
    "let f = |x, g| { g.call(x + 1, g) }; f.call(0, f);",
    "let f = || 1; loop { let g = f; f = || g.call(); }",
    "let f = || 1; loop { f = f.curry(f).curry(f); }",
    // Much work for one call.
    "let a = []; a.pad(9000, 0); for i in 0..10000 { a.index_of(-1); }",
    "let a = []; a.pad(9000, 0); loop { a.contains(-1); }",
    "let a = []; a.pad(9000, \"x\"); loop { a.index_of(\"y\"); }",
    "let a = []; for i in 0..3000 { a.push([i]); } loop { let b = a == a; }",
    "let a = []; for i in 0..2000 { a.push(2000 - i); } loop { let b = a; b.sort(); }",
    "let a = []; for i in 0..2000 { a.push(i); } loop { a.sort(|x, y| y - x); }",
    "let a = []; a.pad(5000, 1); loop { a.dedup(); a.pad(5000, 1); }",
    "let a = []; a.pad(100, 1); let b = a; let c = a; let d = a; a.map(|x| b.map(|y| c.map(|z| d.map(|q| x + y + z + q))));",
    "let a = []; a.pad(5000, 1); loop { a.reduce(|s, x| (s ?? 0) + x); }",
    "let a = []; a.pad(5000, 1); loop { a.filter(|x| x == 1).all(|x| x == 1); }",
    "let a = []; a.pad(5000, 1); loop { let b = a.zip(a, |x, y| [x, y]); }",
    "let a = []; a.pad(5000, 1); loop { a.splice(0, 1, [1]); a.reverse(); a.insert(0, 1); }",
    "let s = \"\"; s.pad(80000, 'a'); loop { s.contains(\"aaaaaaaaaaab\"); }",
    "let s = \"\"; s.pad(80000, 'a'); loop { s.index_of(\"b\"); }",
    "let s = \"\"; s.pad(80000, 'a'); loop { let t = s; t.replace(\"aa\", \"ab\"); }",
    "let s = \"\"; s.pad(80000, 'ü'); loop { s.to_upper().to_lower(); }",
    "let s = \"\"; s.pad(80000, 'ü'); loop { s.sub_string(39999, 1); }",
    "let s = \"\"; s.pad(60000, 'a'); loop { for c in s {} }",
    "let m = #{}; for i in 0..3000 { m[\"k\" + i] = i; } loop { m.keys(); m.values(); m == m; }",
    "let x = 2; loop { x = x ** 3 % 1000003; }",
    "let m = #{}; m.a = [m, m]; loop { m.to_json(); }",
    "let a = []; a.pad(5000, 1); loop { a.to_string(); `${a}`; }",
    // Memory.
    "let s = \"0123456789\"; loop { s += s; }",
    "let s = \"0123456789\"; loop { s = `${s}${s}`; }",
    "let s = \"0123456789\"; loop { s = s + s + s + s; }",
    "let s = \"a\"; s.pad(1000000000, 'a');",
    "let s = \"a\"; s.pad(1000000000, \"ab\");",
    "let s = \"a\"; s.pad(60000, 'a'); let t = s; s.replace(\"a\", t);",
    "let s = \"a\"; s.pad(60000, 'a'); let t = s; s.replace('a', t);",
    "let s = \"\"; s.pad(80000, 'a'); let all = []; loop { all.push(s.split(\"\")); }",
    "let s = \"\"; s.pad(80000, 'a'); loop { s.split(\"\"); }",
    "let s = \"\"; s.pad(80000, 'a'); loop { s.split('a'); s.split(); s.to_chars(); }",
    "let s = \"\"; s.pad(80000, 'a'); let a = []; a.pad(9000, 1); a.map(|x| s + x);",
    "let s = \"\"; s.pad(80000, 'a'); let a = []; for i in 0..100000 { a.push(s + i); }",
    "let s = \"\"; s.pad(80000, 'a'); let m = #{}; for i in 0..100000 { m[\"k\" + i] = s + i; }",
    "let s = \"\"; s.pad(10000, 'a'); let m = #{}; for i in 0..100000 { m[s + i] = i; }",
    "let m = #{}; for i in 0..1000000 { m[\"k\" + i] = i; }",
    "let m = #{}; loop { m[\"a\"] = m; m[\"b\"] = m; }",
    "let m = #{ a: 1 }; loop { m.a = [m, m]; }",
    "let m = #{ a: 1 }; loop { m.b = m + m; m += m; }",
    "let a = [1]; loop { a += a; }",
    "let a = [1]; loop { a.push(a); }",
    "let a = [1]; loop { a = [a, a]; }",
    "let a = [1]; loop { a = a + a; }",
    "let a = []; loop { a.insert(0, \"0123456789012345678901234567890123456789\" + a.len()); }",
    "let a = []; a.pad(1000000000, 0);",
    "let a = [0]; a.pad(5000, [1, 2, 3, 4]);",
    "let a = []; a.pad(9000, 1); let m = #{}; for i in 0..100000 { m[\"k\" + i] = a; }",
    "let a = []; a.pad(9000, 1); let all = []; loop { all.push(a.map(|x| [x, x, x, x])); }",
    "let a = []; a.pad(9000, 1); let b = a; let c = a; let d = a; let e = a; loop { let f = [b, c, d, e]; }",
    "let a = []; a.pad(3000, 1); loop { let x = a.chop(10); a.pad(3000, x); }",
    // What the host does not have.
    "sleep(10);",
    "sleep(0.5);",
    "timestamp();",
    "parse_json(\"{}\");",
    "open_file(\"/etc/passwd\");",
    "Fn(\"eval\").call(\"true\");",
    "Fn(\"print\").call(\"x\");",
    "Fn(\"sleep\").call(5);",
    "eval(\"true\");",
    "print(\"x\");",
    "debug(\"x\");",
    "this.x = 1;",
    "import \"x\" as x;",
    "throw \"no\";",
    "let s = \"\"; s.pad(80000, 'x'); throw s;",
];

/// At the ends of what numbers can be, orders that are none, and values that hold themselves.
const ODD: &[&str] = &[
    "let a = []; for i in 0..3000 { a.push((i * 7919) % 1000); } \
     a.sort(|x, y| if (x * 31 + y * 17) % 3 == 0 { 1 } else if (x + y) % 2 == 0 { -1 } else { 0 });",
    "let a = []; for i in 0..3000 { a.push(i); } a.sort(|x, y| 1);",
    "let a = [0.0 / 0.0, 1.0, 2.0]; a.sort(); a.sort(|x, y| if x < y { -1 } else { 1 });",
    "let a = #{}; let f = || { a.x = 1; a }; a.f = f; a.to_string(); `${a}`; a == a; a.to_json();",
    "let a = []; let f = || a; a.push(f); let b = a; b == a; a.contains(f); a.index_of(f); a.dedup(); throw a;",
    "let x = -9223372036854775807 - 1; try { x / -1 } catch {} try { x % -1 } catch {} try { x.abs() } catch {} -x;",
    "try { 2 ** 9223372036854775807 } catch {} try { 2 ** -1 } catch {} try { 1 << 100 } catch {} 1 >> -1;",
    "try { 5[64] } catch {} let x = 5; try { x[0..9223372036854775807] } catch {} x[-9223372036854775807..=9223372036854775807] = 1;",
    "let s = \"abc\"; s.crop(-9223372036854775807 - 1, 9223372036854775807); s.sub_string(-9223372036854775807, 9223372036854775807);",
    "let a = [1, 2]; a.splice(-9223372036854775807 - 1, 9223372036854775807, [1]); a.extract(-9, 9223372036854775807); a.insert(-9, 1);",
    "let a = [1, 2]; a.remove(-9223372036854775807 - 1); a.truncate(-9); a.chop(-9); a.drain(-9..9223372036854775807);",
    "try { parse_int(\"zz\", 99) } catch {} try { (0.0 / 0.0).to_int() } catch {} 1e308.to_int();",
    "for i in range(0, 10, 0) {}",
    "let f = |x| x; try { f.call() } catch {} try { Fn(\"len\").curry(1, 2, 3, 4, 5, 6, 7, 8).call(1) } catch {} call(\"x\");",
];

/// Those that cannot even be read.
fn is_no_script(body: &str) -> bool {
    ["eval(", "print(", "debug(", "this.", "import "].iter().any(|word| body.starts_with(word))
}

/// What it takes without what a crowded machine adds: where the first time is too much, the least of three.
fn at_best<T>(mut run: impl FnMut() -> T) -> (T, Used) {
    let (mut result, mut used) = measured(&mut run);
    for _ in 0..2 {
        if used.time < MOST_TIME {
            break;
        }
        let (again, less) = measured(&mut run);
        result = again;
        used = Used { time: used.time.min(less.time), bytes: used.bytes.max(less.bytes) };
    }
    (result, used)
}

fn within(what: &str, body: &str, used: Used) -> Option<String> {
    (used.time >= MOST_TIME || used.bytes >= MOST_BYTES).then(|| format!("{what}: {body}: {used:?}"))
}

/// The first load sets up what all later ones share.
fn warm() {
    assert!(load("").is_ok());
}

#[test]
fn each_is_stopped_while_its_file_loads() {
    warm();
    let mut wrong = Vec::new();
    for body in HOSTILE {
        let (loads, used) = at_best(|| load(body).is_ok());
        assert!(!loads, "it loads: {body}");
        wrong.extend(within("file", body, used));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_is_stopped_on_the_samples_of_the_check() {
    warm();
    let mut wrong = Vec::new();
    for body in HOSTILE {
        let text = format!("notification(#{{ name: \"a\", when: |incident| {{ {body} true }}, channels: [slack(\"#ops\")] }});");
        let (found, used) = at_best(|| load(&text).err());
        let found = found.unwrap_or_else(|| panic!("it loads: {body}"));
        assert!(found.iter().all(|finding| !finding.message.contains("failed inside")), "{body}: {found:?}");
        wrong.extend(within("sample", body, used));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_is_stopped_on_an_incident_and_the_next_has_its_full_measure() {
    let mut incident = super::behaviour::incident();
    let context = Context::new(Time(0), RuleEvent::Triggered);
    let calm = Arc::new(incident.clone());
    incident.title = "hostile".to_owned();
    let hostile = Arc::new(incident);
    let mut wrong = Vec::new();
    for body in HOSTILE.iter().filter(|body| !is_no_script(body)) {
        let set = loaded(&format!(
            "notification(#{{ name: \"a\", when: |incident| {{ if incident.title == \"hostile\" {{ {body} }} true }}, \
             channels: [slack(\"#ops\")] }});"
        ));
        for _ in 0..2 {
            let (result, used) = at_best(|| set.when(0, &hostile, &context));
            let error = result.expect_err(body);
            assert!(!error.message.contains("failed inside"), "{body}: {error}");
            assert!(error.message.len() < 2_500, "{body}: it would stand in every decision: {} bytes", error.message.len());
            assert_eq!((error.file.as_str(), error.line), ("rules.rhai", 1), "{body}");
            wrong.extend(within("incident", body, used));
            assert_eq!(set.when(0, &calm, &context), Ok(true), "after {body}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_odd_brings_the_engine_out_of_step() {
    for body in ODD {
        let text = format!("notification(#{{ name: \"a\", when: |incident| {{ {body} true }}, channels: [slack(\"#ops\")] }});");
        for text in [(*body).to_owned(), text] {
            let (found, used) = measured(|| load(&text).err().unwrap_or_default());
            let inside = found.iter().find(|finding| finding.message.contains("failed inside"));
            assert_eq!(inside, None, "{text}");
            assert!(used.time < Duration::from_secs(2) && used.bytes < MOST_BYTES, "{text}: {used:?}");
        }
    }
}

#[test]
fn work_is_bounded_without_a_clock_too() {
    for body in HOSTILE.iter().filter(|body| !is_no_script(body)) {
        let text = format!("notification(#{{ name: \"a\", when: |incident| {{ {body} true }}, channels: [slack(\"#ops\")] }});");
        let (loads, used) = measured(|| RuleSet::load(&super::source(&text), &Limits::default()).is_ok());
        assert!(!loads && used.time < Duration::from_secs(2) && used.bytes < MOST_BYTES, "{body}: {used:?}");
    }
}

#[test]
fn functions_that_call_each_other_without_end_are_stopped() {
    for text in [
        "fn f(x) { f(x + 1) }\nf(0);",
        "fn f(x) { g(x) } fn g(x) { f([x]) }\nf(0);",
        "fn f(x) { f(x) + f(x) }\nf(0);",
        "let f = |x, g| g.call(x, g);\nf.call(1, f);",
    ] {
        let (found, used) = at_best(|| load(text).err().expect("it is stopped"));
        assert!(found[0].message.contains("deep"), "{text}: {found:?}");
        assert_eq!(within("file", text, used), None);
    }
}

#[test]
fn texts_that_nest_without_end_are_refused() {
    warm();
    let times = |text: &str, times: usize| text.repeat(times);
    for text in [
        format!("notification(#{{ name: \"a\", when: |incident| {}", times("(", 20_000)),
        format!("let x = {};", times("[", 50_000)),
        format!("let x = {};", times("#{a:", 10_000)),
        format!("let x = {};", times("-", 50_000)),
        format!("let x = {}1;", times("!", 50_000)),
        times("{", 50_000),
        times("if true { ", 6_000),
        times("|a| ", 10_000),
        format!("let x = 1{};", times(" + 1", 16_000)),
        format!("let x = a{};", times(".b", 30_000)),
        format!("let x = {}1;", times("`${", 20_000)),
        format!("x{}", times("[0]", 20_000)),
        times("/*", 20_000),
        format!("let s = \"{}\"; /*", times("/*", 20_000)),
    ] {
        let (loads, used) = at_best(|| load(&text).is_ok());
        // Reading a text takes its length: so much more for each KiB.
        let more = Duration::from_micros(500) * u32::try_from(text.len() / 1024).expect("short");
        assert!(!loads && used.time < MOST_TIME + more && used.bytes < MOST_BYTES, "{}…: {used:?}", &text[..40]);
    }
}

#[test]
fn a_file_that_declares_without_end_is_stopped() {
    for text in [
        "loop { notification(#{ nme: 1 }); }",
        "loop { notification(#{ name: \"same\", channels: [slack(\"#ops\")] }); }",
        "let i = 0; loop { i += 1; notification(#{ name: `r${i}`, channels: [slack(\"#ops\")] }); }",
    ] {
        let (found, used) = measured(|| load(text).err().expect("it is stopped"));
        // Twenty thousand rules are no crime; what they take is the bound.
        assert!(found.len() <= 1_100 && used.time < Duration::from_secs(5), "{text}: {} findings, {used:?}", found.len());
    }
}

/// Of the records to one topic.
fn values<'a>(produced: &'a [Value], topic: &'a str) -> impl Iterator<Item = Value> + 'a {
    produced.iter().filter(move |record| record["topic"] == topic).map(|record| record["value"].clone())
}

/// What the engine makes of it: a person is told, nothing is done, all is counted, and the shard goes on.
#[test]
fn the_engine_tells_people_does_nothing_and_goes_on() {
    let text = r##"
        notification(#{ name: "when", when: |incident| { if incident.title == "hostile" { loop {} } false }, channels: [slack("#when")] });
        notification(#{ name: "channels", channels: |incident| { if incident.title == "hostile" { loop {} } [slack("#calm")] } });
        escalation(#{ name: "levels", priority: 2, levels: |incident| { if incident.title == "hostile" { loop {} } [] } });
        escalation(#{ name: "next", levels: [level(0, [slack_channel("#next")])] });
        remediation(#{ name: "fix", when: |incident| { if incident.title == "hostile" { loop {} } false }, actions: [restart()] });
    "##;
    let config = Config::default();
    let rules = RuleSet::load(&super::source(text), &limits()).unwrap_or_else(|found| panic!("{found:?}")).0;
    let mut replay = Replay::new(settings::codec(&config), settings::engine(&config), rules, Fault::None);
    let mut run = |title: &str, at: &str| {
        let alert = json!({ "service_id": title, "title": title, "severity": "critical", "timestamp": at });
        let mut produced: Vec<Value> = Vec::new();
        let mut sink = |record: incidentd::replay::Produced| {
            produced.push(serde_json::from_str(&record.to_json()).expect("JSON"));
        };
        replay.line(alert.to_string().as_bytes(), &mut sink).expect("a line");
        replay.line(br#"{"advance": "5s"}"#, &mut sink).expect("a line");
        let of = |topic| values(&produced, topic);
        let told: Vec<String> =
            of("notifications").map(|value| format!("{}:{}", value["rule"], value["channel"]["config"]["channel"])).collect();
        let errors: usize = of("decisions")
            .flat_map(|value| value["results"].as_array().cloned().unwrap_or_default())
            .filter(|verdict| verdict.to_string().contains("script_error"))
            .count();
        (told.join(" "), of("escalations").count(), of("remediations").count(), errors)
    };
    let (told, escalated, repaired, errors) = run("hostile", "2026-01-15T10:00:00Z");
    assert!(told.contains("#when") && told.contains("\"channels\""), "when counts as true, channels give way: {told}");
    assert_eq!((escalated, repaired), (1, 0), "the next policy, and nothing done");
    assert_eq!(errors, 4, "each is written down");
    let (told, escalated, repaired, errors) = run("calm", "2026-01-15T10:01:00Z");
    assert_eq!((told.as_str(), escalated, repaired, errors), ("\"channels\":\"#calm\"", 0, 0, 0), "the next is none the worse");
}
