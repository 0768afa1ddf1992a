//! Exactly once although members of the group are killed, or stand still until others have taken over.

use super::audit::Audit;
use super::group::Group;
use super::traffic::{Traffic, Written};
use super::turn;
use crate::support::app::{App, Settings};
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
