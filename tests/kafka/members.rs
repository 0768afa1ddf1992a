//! Exactly once although members of the group are killed, or stand still until others have taken over.

use super::audit::Audit;
use super::traffic::{Traffic, Written};
use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Progress, client};
use crate::support::wait_until;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn exactly_once_when_one_member_is_killed_and_one_stands_still() {
    let _turn = turn();
    let settings = Settings {
        workers: 1,
        kafka: "\"session.timeout.ms\" = \"3000\"\n\"heartbeat.interval.ms\" = \"500\"".to_owned(),
        ..Settings::default()
    };
    let app = App::new("members", settings);
    let group = Group::new(&app);
    let traffic = Traffic::start(&app, Written::default(), 5_000, 2);

    let first = app.start_dynamic("first");
    let mut second = app.start_dynamic("second");
    group.wait_members(2);
    group.wait_all_work();

    first.kill();
    group.wait_members(1);
    group.wait_all_work();

    let _third = app.start_dynamic("third");
    group.wait_members(2);
    group.wait_all_work();

    second.signal(libc::SIGSTOP);
    group.wait_members(1);
    group.wait_all_work();
    second.signal(libc::SIGCONT);
    group.wait_members(2);
    group.wait_all_work();
    assert!(second.is_running(), "a fenced member rejoins, it does not end:\n{}", second.log());

    let written = traffic.stop();
    let mut audit = Audit::new(&app);
    audit.settle(&written, LIMIT);
    second.stop();
    audit.look();
    audit.check(&written);
    audit.check_against_replay(&app);
}

/// The group as the broker sees it.
struct Group {
    name: String,
    client: BaseConsumer,
    progress: Progress,
}

impl Group {
    fn new(app: &App) -> Group {
        Group {
            name: app.group(),
            client: client().create().expect("a client"),
            progress: Progress::new(&app.group(), &app.topic("alerts")),
        }
    }

    /// Until it is stable with that many members.
    fn wait_members(&self, count: usize) {
        wait_until(&format!("a stable group of {count}"), LIMIT, || {
            let list = self.client.fetch_group_list(Some(&self.name), LIMIT).ok()?;
            let group = list.groups().first()?;
            (group.state() == "Stable" && group.members().len() == count).then_some(())
        });
    }

    /// Until a commit has come for every partition: each has an owner that works.
    fn wait_all_work(&self) {
        let before = self.progress.committed();
        wait_until("commits for each partition", LIMIT, || {
            let now = self.progress.committed();
            before.iter().zip(&now).all(|(before, now)| now > before).then_some(())
        });
    }
}
