//! Holds what a read_committed reader sees against what was written.

use super::replayed;
use super::traffic::Written;
use crate::support::app::App;
use crate::support::client::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Everything that the outside has been told so far. Panics as soon as something was told twice.
pub struct Audit {
    incidents: Reader,
    notifications: Reader,
    dead_letters: Reader,
    /// Of each incident its latest record: title and occurrences.
    latest: BTreeMap<String, (String, u64)>,
    /// Of each action the title of its incident.
    actions: BTreeMap<String, String>,
    dead: u64,
}

impl Audit {
    pub fn new(app: &App) -> Audit {
        Audit {
            incidents: Reader::new(&app.topic("incidents")),
            notifications: Reader::new(&app.topic("notifications")),
            dead_letters: Reader::new(&app.topic("dead-letters")),
            latest: BTreeMap::new(),
            actions: BTreeMap::new(),
            dead: 0,
        }
    }

    /// Reads on to the end of what is committed.
    pub fn look(&mut self) {
        let Audit { latest, actions, dead, .. } = self;
        self.incidents.read(|record| {
            let incident = record.json();
            let (id, title) = (text(&incident["id"]), text(&incident["title"]));
            let count = incident["occurrence_count"].as_u64().unwrap_or_else(|| panic!("no occurrence_count: {incident}"));
            if let Some((_, before)) = latest.insert(id.clone(), (title, count)) {
                assert!(before <= count, "{id} went from {before} occurrences back to {count}");
            }
        });
        self.notifications.read(|record| {
            let action = record.json();
            let id = text(&action["id"]);
            let before = actions.insert(id.clone(), text(&action["incident"]["title"]));
            assert_eq!(before, None, "the action {id} stands twice in notifications");
        });
        self.dead_letters.read(|_| *dead += 1);
    }

    /// Occurrences of the latest incidents, and dead letters.
    pub fn accounted(&self) -> u64 {
        self.latest.values().map(|(_, count)| count).sum::<u64>() + self.dead
    }

    pub fn actions(&self) -> usize {
        self.actions.len()
    }

    /// Waits until all that was written is accounted for, and nothing is missing or too much.
    pub fn settle(&mut self, written: &Written, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            self.look();
            let accounted = self.accounted();
            assert!(accounted <= written.alerts, "{accounted} alerts accounted for, {} written", written.alerts);
            if accounted == written.alerts {
                break;
            }
            assert!(Instant::now() < deadline, "after {limit:?} {accounted} of {} alerts are accounted for", written.alerts);
        }
        self.check(written);
    }

    /// Each incident once, each page once, none too few.
    pub fn check(&self, written: &Written) {
        assert_eq!(self.dead, 0, "nothing of this traffic belongs into dead-letters");
        assert_eq!(self.latest.len(), written.incidents, "incidents");
        let titles: BTreeSet<&String> = self.latest.values().map(|(title, _)| title).collect();
        assert_eq!(titles.len(), written.incidents, "an alert opened a second incident of its identity");

        let paged: BTreeSet<String> = self.actions.values().cloned().collect();
        assert_eq!(paged.len(), self.actions.len(), "an incident paged twice under two action ids");
        let pages = written.pages();
        let missing: Vec<_> = pages.difference(&paged).take(5).collect();
        let needless: Vec<_> = paged.difference(&pages).take(5).collect();
        assert!(missing.is_empty() && needless.is_empty(), "missing pages {missing:?}, needless {needless:?}");
    }

    /// The actions are the very ones that the in-memory engine makes of the same records.
    pub fn check_against_replay(&self, app: &App) {
        let (here, there): (BTreeSet<String>, _) = (self.actions.keys().cloned().collect(), replayed::action_ids(app));
        let missing: Vec<_> = there.difference(&here).take(5).collect();
        let needless: Vec<_> = here.difference(&there).take(5).collect();
        assert!(missing.is_empty() && needless.is_empty(), "against the replay missing {missing:?}, needless {needless:?}");
    }
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text was expected: {value}")).to_owned()
}
