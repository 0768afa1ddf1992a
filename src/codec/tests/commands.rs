//! Records of `commands`: what is understood, and what is refused with which words.

use super::*;
use crate::codec::{COMMANDS, read_command};
use crate::model::{ActionId, Command, IncidentCommand, IncidentId, Matcher, Receipt, RemediationOutcome, Silence};
use serde_json::json;

const ID: &str = "inc_00030123456789abcdef";

fn command(json: &str) -> Result<Command, String> {
    read_command(Some(json.as_bytes()), time(RECORD_TIME), &Settings::default())
}

/// `{"command": …, "incident_id": …` and more.
fn about(name: &str, more: &str) -> Result<Command, String> {
    let read =
        command(&format!(r#"{{"command":"{name}","incident_id":"{ID}"{}{more}}}"#, if more.is_empty() { "" } else { "," }));
    // Where we speak of it, it is called as the record calls it.
    assert!(read.as_ref().is_ok_and(|command| command.name() == name) || read.is_err(), "{read:?}");
    read
}

fn act(name: &str, more: &str) -> IncidentCommand {
    match about(name, more).expect(name) {
        Command::Incident { id, act, .. } => {
            assert_eq!(id.to_string(), ID);
            act
        }
        other => panic!("{other:?}"),
    }
}

fn silence(more: &str) -> Result<Silence, String> {
    let matchers = r#""matchers":[{"name":"service_id","value":"llm"}],"#;
    let matchers = if more.contains("matchers") { "" } else { matchers };
    let text = format!(r#"{{"command":"silence","silence_id":"s1",{matchers}"ends_at":"2026-11-24T00:00:00Z"{more}}}"#);
    command(&text).map(|command| match command {
        Command::Silence(silence) => silence,
        other => panic!("{other:?}"),
    })
}

#[test]
fn every_command_on_an_incident_is_understood() {
    use IncidentCommand::*;
    for (name, more, expected) in [
        ("acknowledge", "", Acknowledge),
        ("investigate", "", Investigate),
        ("identify", "", Identify),
        ("resolve", r#""resolution":"rolled back""#, Resolve { resolution: Some("rolled back".to_owned()) }),
        ("resolve", r#""resolution":"""#, Resolve { resolution: None }),
        ("close", "", Close),
        ("reopen", "", Reopen),
        ("assign", r#""assignee":"bob""#, Assign { assignee: "bob".to_owned() }),
        ("note", r#""note":"n""#, Note),
        ("snooze", r#""minutes":30"#, Snooze { minutes: 30 }),
        ("snooze", r#""minutes":43200.0"#, Snooze { minutes: 43_200 }),
        ("escalate", "", Escalate),
        ("approve_remediation", "", ApproveRemediation),
        ("reject_remediation", "", RejectRemediation),
    ] {
        assert_eq!(act(name, more), expected, "{name} {more}");
    }
    let result = |outcome, error| RemediationResult { action_id: ActionId("act_1".to_owned()), outcome, error };
    for (word, outcome) in [
        ("started", RemediationOutcome::Started),
        ("succeeded", RemediationOutcome::Succeeded),
        ("failed", RemediationOutcome::Failed),
    ] {
        let more = format!(r#""action_id":"act_1","outcome":"{word}""#);
        assert_eq!(act("remediation_result", &more), result(outcome, None));
    }
    let long = format!(r#""action_id":"act_1","outcome":"failed","error":"{}""#, "é".repeat(5_000));
    let kept = format!("{}…", "é".repeat(1_000));
    assert_eq!(act("remediation_result", &long), result(RemediationOutcome::Failed, Some(kept)), "cut off, not refused");
}

#[test]
fn a_receipt_is_taken_with_what_it_says_or_the_records_own_time() {
    let said = r#""action_id":"act_1","channel":"slack","target":"ops","delivered":false,"attempts":3,"error":"timed out","sent_at":"2026-11-23T16:00:00Z""#;
    let IncidentCommand::DeliveryReceipt { action_id, receipt, attempts } = act("delivery_receipt", said) else {
        panic!("a receipt")
    };
    assert_eq!((action_id.0.as_str(), attempts), ("act_1", 3));
    let (channel, target, error) = ("slack".to_owned(), "ops".to_owned(), Some("timed out".to_owned()));
    assert_eq!(receipt, Receipt { channel, target, sent_at: time("2026-11-23T16:00:00Z"), delivered: false, error });
    let short = r#""action_id":"act_1","channel":"sms","target":"+49","delivered":true"#;
    let IncidentCommand::DeliveryReceipt { receipt, attempts, .. } = act("delivery_receipt", short) else { panic!("a receipt") };
    assert_eq!((receipt.sent_at, receipt.error, attempts), (time(RECORD_TIME), None, 1));
}

#[test]
fn who_says_it_and_what_is_noted_go_along_and_foreign_fields_do_not_matter() {
    let read = about("acknowledge", r#""user":"alice","note":"mine","trace":{"a":[1]},"minutes":"x""#);
    let id: IncidentId = ID.parse().expect("an id");
    let expected = Command::Incident {
        id,
        user: Some("alice".to_owned()),
        note: Some("mine".to_owned()),
        act: IncidentCommand::Acknowledge,
    };
    assert_eq!(read, Ok(expected));
    assert_eq!(
        read_command(
            Some(br#"{"command":"close","incident_id":"inc_00000000000000000000","user":null,"note":""}"#),
            Time(0),
            &Settings::default()
        ),
        Ok(Command::Incident { id: IncidentId { partition: 0, hash: 0 }, user: None, note: None, act: IncidentCommand::Close })
    );
}

#[test]
fn a_silence_begins_with_its_record_where_it_does_not_say() {
    let read = silence(r#","user":"alice","comment":"deployment""#).expect("a silence");
    let matcher = Matcher { name: "service_id".to_owned(), value: "llm".to_owned(), is_regex: false, is_equal: true };
    let expected = Silence {
        id: "s1".to_owned(),
        matchers: vec![matcher],
        starts_at: time(RECORD_TIME),
        ends_at: time("2026-11-24T00:00:00Z"),
        created_by: Some("alice".to_owned()),
        comment: Some("deployment".to_owned()),
        updated_at: time(RECORD_TIME),
    };
    assert_eq!(read, expected);
    let planned = silence(
        r#","starts_at":"2026-11-23T23:00:00Z","matchers":[{"name":"a","value":"","isEqual":false},{"name":"b","value":"x.*","isRegex":true}]"#,
    );
    let planned = planned.expect("a silence");
    assert_eq!(planned.starts_at, time("2026-11-23T23:00:00Z"));
    assert_eq!((planned.matchers[0].is_equal, planned.matchers[1].is_regex), (false, true));
    assert_eq!(
        command(r#"{"command":"expire_silence","silence_id":"s1","user":"bob"}"#),
        Ok(Command::ExpireSilence { id: "s1".to_owned(), user: Some("bob".to_owned()) })
    );
}

#[test]
fn what_is_wrong_is_named_with_its_remedy() {
    for (read, reason) in [
        (command("{}"), "command: missing or empty; there are acknowledge, investigate, "),
        (about("acknowlege", ""), "command: there is no \"acknowlege\" (did you mean `acknowledge`?); there are acknowledge, "),
        (about("frobnicate", ""), "command: there is no \"frobnicate\"; there are acknowledge, "),
        (command(r#"{"command":"close"}"#), "incident_id: missing or empty; name the incident"),
        (
            command(r#"{"command":"close","incident_id":"INC-5"}"#),
            "incident_id: expected `inc_` and 20 lower-case hex digits, found \"INC-5\"",
        ),
        (command(r#"{"command":"close","incident_id":5}"#), "incident_id: expected a string, found a number (5)"),
        (about("acknowledge", r#""user":["a"]"#), "user: expected a string, found an array"),
        (about("note", ""), "note: missing or empty; say what is to be noted"),
        (about("assign", r#""assignee":null"#), "assignee: missing or empty; "),
        (about("snooze", ""), "minutes: missing; a whole number from 1 to 43200 is required"),
        (about("snooze", r#""minutes":0"#), "minutes: expected a whole number from 1 to 43200, found a number (0)"),
        (about("snooze", r#""minutes":43201"#), "minutes: expected a whole number from 1 to 43200, found a number (43201)"),
        (about("snooze", r#""minutes":1.5"#), "minutes: expected a whole number from 1 to 43200, found a number (1.5)"),
        (about("snooze", r#""minutes":-5"#), "minutes: expected a whole number"),
        (about("snooze", r#""minutes":1e300"#), "minutes: expected a whole number"),
        (about("snooze", r#""minutes":"30""#), "minutes: expected a whole number from 1 to 43200, found a string (\"30\")"),
        (about("remediation_result", r#""outcome":"failed""#), "action_id: missing or empty; name the action"),
        (about("remediation_result", r#""action_id":"a""#), "outcome: missing or empty; `started`, `succeeded` or `failed`"),
        (
            about("remediation_result", r#""action_id":"a","outcome":"ok""#),
            "outcome: expected `started`, `succeeded` or `failed`, found \"ok\"",
        ),
        (about("delivery_receipt", r#""action_id":"a","channel":"slack","target":"t""#), "delivered: missing; true or false"),
        (
            about("delivery_receipt", r#""action_id":"a","channel":"slack","target":"t","delivered":"yes""#),
            "delivered: expected true or false, found a string",
        ),
        (about("delivery_receipt", r#""action_id":"a","target":"t","delivered":true"#), "channel: missing or empty"),
        (command(r#"{"command":"silence"}"#), "silence_id: missing or empty; give the silence an id"),
        (command(r#"{"command":"expire_silence"}"#), "silence_id: missing or empty"),
        (
            silence(r#","starts_at":"2026-11-24T00:00:00Z""#).map(Command::Silence),
            "ends_at: 2026-11-24T00:00:00.000Z is not after starts_at (",
        ),
        (silence(r#","starts_at":"soon""#).map(Command::Silence), "starts_at: expected an RFC 3339 timestamp"),
        (
            command(r#"{"command":"silence","silence_id":"s","matchers":[{"name":"a","value":"b"}]}"#),
            "ends_at: missing; say when the silence is over",
        ),
        (command("5"), "the record: expected an object, found a number (5)"),
        (command("{"), "not JSON: "),
    ] {
        let found = read.expect_err(reason);
        assert!(found.starts_with(reason), "{found}\nis not\n{reason}");
    }
    assert_eq!(read_command(None, Time(0), &Settings::default()), Err("the record has no value (a tombstone)".to_owned()));
    assert_eq!(read_command(Some(b"{\"\xff"), Time(0), &Settings::default()), Err("not UTF-8: byte 2 is wrong".to_owned()));
    assert!(command("{}").is_err_and(|error| COMMANDS.iter().all(|name| error.contains(name))));
}

#[test]
fn a_silence_that_could_match_everything_is_refused() {
    let matchers = |json: Value| silence(&format!(r#","matchers":{json}"#)).map(drop);
    for everything in [
        json!([]),
        json!([{"name": "region", "value": ".*", "isRegex": true}]),
        json!([{"name": "region", "value": ""}]),
        json!([{"name": "region", "value": "eu", "isEqual": false}]),
        json!([{"name": "service_id", "value": ".+", "isRegex": true}]),
        json!([{"name": "a", "value": "x", "isEqual": false}, {"name": "b", "value": "y|", "isRegex": true}]),
    ] {
        let refused = matchers(everything.clone()).expect_err("refused");
        assert!(refused.starts_with("matchers: the silence could match everything; "), "{everything}: {refused}");
    }
    assert_eq!(matchers(json!([{"name": "a", "value": ".*", "isRegex": true}, {"name": "b", "value": "x"}])), Ok(()));
    for (wrong, reason) in [
        (json!({"name": "a"}), "matchers: expected an array, found an object"),
        (json!(["a"]), "matchers[0]: expected an object, found a string"),
        (json!([{"name": "a", "value": "b"}, {"value": "b"}]), "matchers[1].name: missing or empty"),
        (json!([{"name": "a", "value": 5}]), "matchers[0].value: expected a string, found a number (5)"),
        (json!([{"name": "a", "value": "b", "isRegex": "yes"}]), "matchers[0].isRegex: expected true or false"),
        (
            json!([{"name": "a", "value": "b("}, {"name": "a", "value": "b(", "isRegex": true}]),
            "matchers[1].value: not a regular expression: unclosed group",
        ),
        (json!(vec![json!({"name": "a", "value": "b"}); 101]), "matchers: 101 of them; at most 100 are taken"),
    ] {
        let refused = matchers(wrong.clone()).expect_err("refused");
        assert!(refused.starts_with(reason), "{wrong}: {refused}");
    }
}

#[test]
fn lengths_have_limits() {
    let text = |name: &str, length: usize| format!(r#""{name}":"{}""#, "ü".repeat(length));
    assert!(about("acknowledge", &text("user", 256)).is_ok());
    assert_eq!(about("acknowledge", &text("user", 257)), Err("user: 257 characters; at most 256 are taken".to_owned()));
    assert!(about("note", &text("note", 16_384)).is_ok());
    assert_eq!(about("note", &text("note", 16_385)), Err("note: 16385 characters; at most 16384 are taken".to_owned()));
    assert_eq!(
        about("note", &text("note", 40_000)).map_err(|error| error.contains("a command may have at most 65536 (limits.alert)")),
        Err(true)
    );
    let deep = format!(r#""x":{}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(command(&format!("{{{}}}", &deep[..60_000])).is_err_and(|error| error.contains("nested deeper than 32 levels")));
}
