//! The same input through the in-memory engine: which actions it makes of what stands in `alerts`.

use crate::support::app::App;
use crate::support::client::read_all;
use incidentd::config::Config;
use incidentd::model::Topic;
use incidentd::replay::{Fault, Replay, load_rules};
use incidentd::{rules_dir, settings};
use serde_json::json;
use std::collections::BTreeSet;

/// The ids of the notifications.
pub fn action_ids(app: &App) -> BTreeSet<String> {
    let config = Config::load(Some(&app.config_file()), std::iter::empty()).expect("the tests' own configuration");
    let source = rules_dir::read(&config.rules.dir).expect("the tests' own rules");
    let rules = load_rules(&source).unwrap_or_else(|wrong| panic!("the tests' own rules: {wrong:?}"));
    let mut replay = Replay::new(settings::codec(&config), settings::engine(&config), rules, Fault::None);

    let mut records = read_all(&app.topic("alerts"));
    // Stable: within a partition it is the order of the offsets, for one writer's clock does not go back.
    records.sort_by_key(|record| record.timestamp);
    let mut ids = BTreeSet::new();
    for record in &records {
        let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let (key, value) = (text(&record.key), text(&record.value));
        let line = json!({"topic": "alerts", "key": key, "value": value, "at": record.timestamp});
        let understood = replay.line(line.to_string().as_bytes(), &mut |produced| {
            if produced.record.topic == Topic::Notifications {
                let value = produced.record.value.as_deref().unwrap_or_default();
                let action: serde_json::Value = serde_json::from_slice(value).expect("an action is JSON");
                ids.insert(action["id"].as_str().expect("an action has an id").to_owned());
            }
        });
        understood.expect("the line is the test's own");
    }
    ids
}
