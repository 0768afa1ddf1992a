//! Records that break everything: each ends where the SPEC says, and the shard goes on.

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Reader, Record, Writer, read_all};
use crate::support::wait_until;
use incidentd::model::home::home;
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const SERVICE: &str = "poisoned";
const PARTITIONS: u32 = 4;

/// What must come of one record.
enum Fate {
    /// Incidents of these titles, in the service's home partition.
    Counts(Vec<String>),
    /// `dead-letters`, with its bytes untouched and this in the reason.
    Dead(&'static str),
    /// `dead-letters` without its value, for that is larger than any record of ours may be.
    DeadWithoutValue,
    /// Incidents of these titles; one element of the body, at `index`, in `dead-letters` with its own bytes.
    PartlyDead { titles: Vec<String>, index: usize, bytes: &'static str },
}

struct Poison {
    name: &'static str,
    /// `None`: no key, and to a partition that is not its home.
    key: Option<&'static str>,
    value: Option<Vec<u8>>,
    fate: Fate,
}

#[test]
fn poison_ends_in_dead_letters_and_the_shard_goes_on() {
    let _turn = turn();
    let app = App::new("poison", Settings { partitions: PARTITIONS, ..Settings::default() });
    let mut process = app.start();
    let (alerts, writer) = (app.topic("alerts"), Writer::new());
    let poisons = poisons();
    let own = home(SERVICE.as_bytes(), PARTITIONS) as i32;
    for poison in &poisons {
        let partition = poison.key.map_or((own + 1) % PARTITIONS as i32, |key| home(key.as_bytes(), PARTITIONS) as i32);
        writer.send_raw(&alerts, partition, poison.key.map(str::as_bytes), poison.value.as_deref());
        // Between any two of them a good one, in the same partition.
        let good = format!(r#"{{"service_id":"{SERVICE}","title":"after {0}","dedup_key":"after {0}"}}"#, poison.name);
        writer.send_raw(&alerts, own, Some(SERVICE.as_bytes()), Some(good.as_bytes()));
    }
    writer.flush();

    let mut expected_titles: Vec<String> = poisons.iter().map(|poison| format!("after {}", poison.name)).collect();
    for poison in &poisons {
        match &poison.fate {
            Fate::Counts(titles) | Fate::PartlyDead { titles, .. } => expected_titles.extend(titles.iter().cloned()),
            Fate::Dead(_) | Fate::DeadWithoutValue => {}
        }
    }
    expected_titles.sort();
    let expected_dead = poisons.iter().filter(|poison| !matches!(poison.fate, Fate::Counts(_))).count();

    let mut outcome = Outcome::new(&app);
    wait_until("everything accounted for", LIMIT, || {
        outcome.look();
        (outcome.titles.len() + outcome.dead.len() >= expected_titles.len() + expected_dead).then_some(())
    });
    assert!(process.is_running(), "no record ends the process:\n{}", process.log());
    process.stop();
    outcome.look();

    let mut titles: Vec<String> = outcome.titles.values().cloned().collect();
    titles.sort();
    assert_eq!(titles, expected_titles);
    let prefix = format!("inc_{own:04x}");
    let strays: Vec<_> = outcome.titles.iter().filter(|(id, title)| !id.starts_with(&prefix) && !title.contains("@")).collect();
    assert!(strays.is_empty(), "forwarded to the home partition: {strays:?}");
    let sources = read_all(&alerts);
    for poison in &poisons {
        let (bytes, reason) = match &poison.fate {
            Fate::Counts(_) => continue,
            Fate::Dead(reason) => (poison.value.as_deref().unwrap_or_default(), *reason),
            Fate::DeadWithoutValue => (&b""[..], ""),
            Fate::PartlyDead { bytes, .. } => (bytes.as_bytes(), "labels"),
        };
        let name = poison.name;
        let letter = outcome.dead_letter(poison, &sources);
        assert_eq!(letter.key.as_deref(), poison.key.map(str::as_bytes), "{name}: the record's own key");
        assert_eq!(letter.value.as_deref().unwrap_or_default(), bytes, "{name}: the record's own bytes");
        assert_eq!(letter.error("topic").as_deref(), Some(alerts.as_str()), "{name}");
        assert!(letter.error("stage").is_some_and(|stage| !stage.is_empty()), "{name}: a stage");
        let said = letter.error("reason").unwrap_or_default();
        assert!(!said.is_empty() && said.contains(reason), "{name}: the reason `{said}` names no `{reason}`");
        assert_eq!(letter.error("truncated").is_some(), matches!(poison.fate, Fate::DeadWithoutValue), "{name}");
        let index = if let Fate::PartlyDead { index, .. } = &poison.fate { *index } else { 0 };
        assert_eq!(letter.error("index"), Some(index.to_string()), "{name}");
    }
}

impl Record {
    fn error(&self, name: &str) -> Option<String> {
        self.header(&format!("__incidentd.error.{name}"))
    }
}

struct Outcome {
    incidents: Reader,
    dead_letters: Reader,
    titles: BTreeMap<String, String>,
    dead: Vec<Record>,
}

impl Outcome {
    fn new(app: &App) -> Outcome {
        Outcome {
            incidents: Reader::new(&app.topic("incidents")),
            dead_letters: Reader::new(&app.topic("dead-letters")),
            titles: BTreeMap::new(),
            dead: Vec::new(),
        }
    }

    fn look(&mut self) {
        self.incidents.read(|record| {
            let incident = record.json();
            let field = |name: &str| incident[name].as_str().unwrap_or_default().to_owned();
            self.titles.insert(field("id"), field("title"));
        });
        self.dead_letters.read(|record| self.dead.push(record));
    }

    /// The one that names the coordinates of the poison's record.
    fn dead_letter(&self, poison: &Poison, sources: &[Record]) -> &Record {
        let key = poison.key.map(str::as_bytes);
        let source = sources.iter().find(|source| source.key.as_deref() == key && source.value == poison.value);
        let source = source.unwrap_or_else(|| panic!("{} was not written", poison.name));
        let (partition, offset) = (Some(source.partition.to_string()), Some(source.offset.to_string()));
        let is_it = |letter: &&Record| letter.error("partition") == partition && letter.error("offset") == offset;
        let found: Vec<&Record> = self.dead.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{}: dead letters", poison.name);
        found[0]
    }
}

fn poisons() -> Vec<Poison> {
    let poison = |name, key, value: Vec<u8>, fate| Poison { name, key, value: Some(value), fate };
    let keyed = |name, value: Vec<u8>, fate| poison(name, Some(SERVICE), value, fate);
    let text = |rest: &str| format!(r#"{{"service_id":"{SERVICE}",{rest}}}"#).into_bytes();
    let counts = |title: &str| Fate::Counts(vec![title.to_owned()]);
    let long = |bytes: usize| text(&format!(r#""title":"{}""#, "x".repeat(bytes)));
    let deep = format!(r#""title":"deep","metadata":{{"a":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let (body, titles) = webhook_body();
    vec![
        keyed("no JSON", b"{\"service_id\": \"poisoned\", \"title\": ".to_vec(), Fate::Dead("")),
        keyed("no object", b"[1, 2, 3]".to_vec(), Fate::Dead("")),
        keyed("no UTF-8", b"{\"service_id\":\"poisoned\",\"title\":\"\xff\xfe\"}".to_vec(), Fate::Dead("")),
        keyed("empty", Vec::new(), Fate::Dead("")),
        keyed("no title", text(r#""severity":"high""#), Fate::Dead("title")),
        keyed("a number for a title", text(r#""title":5"#), Fate::Dead("title")),
        keyed("a list for labels", text(r#""title":"t","labels":["a"]"#), Fate::Dead("labels")),
        keyed("a word for a time", text(r#""title":"t","timestamp":"yesterday""#), Fate::Dead("timestamp")),
        keyed("a status that is none", text(r#""title":"t","status":"melting""#), Fate::Dead("status")),
        keyed("a string of 500 kB", long(500_000), Fate::Dead("")),
        keyed("a string of 1 MB", long(1_000_000), Fate::DeadWithoutValue),
        keyed("10,000 levels", text(&deep), Fate::Dead("nest")),
        keyed("NUL bytes alone", vec![0; 64], Fate::Dead("")),
        keyed("a NUL byte in a string", text("\"title\":\"a\0b\""), Fate::Dead("")),
        keyed("an escaped NUL", text(r#""title":"a\u0000b""#), counts("a\0b")),
        Poison { name: "a tombstone", key: Some(SERVICE), value: None, fate: Fate::Dead("") },
        keyed("a name twice", text(r#""title":"said first","title":"said last","dedup_key":"twice""#), counts("said last")),
        keyed(
            "numbers past 2^64",
            text(r#""title":"huge","dedup_key":"huge","metadata":{"threshold":36893488147419103232,"n":-1e300}"#),
            counts("huge"),
        ),
        keyed("a time past 2^64", text(r#""title":"t","timestamp":36893488147419103232"#), Fate::Dead("timestamp")),
        poison("no key", None, text(r#""title":"keyless","dedup_key":"keyless""#), counts("keyless")),
        poison("wrong key", Some("elsewhere"), text(r#""title":"stray","dedup_key":"stray""#), counts("stray")),
        poison(
            "a body with one bad of ten",
            Some("webhook"),
            body,
            Fate::PartlyDead { titles, index: BAD_ELEMENT_AT, bytes: BAD_ELEMENT },
        ),
    ]
}

const BAD_ELEMENT_AT: usize = 4;
const BAD_ELEMENT: &str = r#"{"status":"firing", "labels":7,   "annotations":{}, "startsAt":"2026-11-23T16:00:00Z"}"#;

/// Ten alerts of several services, one of them bad; and the titles of the others.
fn webhook_body() -> (Vec<u8>, Vec<String>) {
    let titles: Vec<String> = (0..10).filter(|n| *n != BAD_ELEMENT_AT).map(|n| format!("alert@{n}")).collect();
    let element = |n: usize| {
        if n == BAD_ELEMENT_AT {
            return BAD_ELEMENT.to_owned();
        }
        format!(
            r#"{{"status":"firing","labels":{{"alertname":"alert@{n}","service":"service-{}","severity":"warning"}},"annotations":{{}},"startsAt":"2026-11-23T16:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://p/g","fingerprint":"00000000000000{n:02x}"}}"#,
            n % 3
        )
    };
    let alerts: Vec<String> = (0..10).map(element).collect();
    let body = format!(
        r#"{{"version":"4","groupKey":"{{}}","truncatedAlerts":0,"status":"firing","receiver":"incidentd","groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"http://am","alerts":[{}]}}"#,
        alerts.join(",")
    );
    (body.into_bytes(), titles)
}
