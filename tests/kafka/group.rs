//! The consumer group of an installation, watched from outside.

use crate::support::app::App;
use crate::support::client::{Progress, client};
use crate::support::wait_until;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// The group as the broker sees it.
pub struct Group {
    name: String,
    client: BaseConsumer,
    progress: Progress,
}

impl Group {
    pub fn new(app: &App) -> Group {
        Group {
            name: app.group(),
            client: client().create().expect("a client"),
            progress: Progress::new(&app.group(), &app.topic("alerts")),
        }
    }

    /// Until it is stable with that many members.
    pub fn wait_members(&self, count: usize) {
        wait_until(&format!("a stable group of {count}"), LIMIT, || {
            let list = self.client.fetch_group_list(Some(&self.name), LIMIT).ok()?;
            let group = list.groups().first()?;
            (group.state() == "Stable" && group.members().len() == count).then_some(())
        });
    }

    /// Until a commit has come for every partition: each has an owner that works.
    pub fn wait_all_work(&self) {
        let before = self.progress.committed();
        wait_until("commits for each partition", LIMIT, || {
            let now = self.progress.committed();
            before.iter().zip(&now).all(|(before, now)| now > before).then_some(())
        });
    }
}
