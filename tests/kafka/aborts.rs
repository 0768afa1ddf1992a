//! Exactly once although transactions are aborted: what they held is dropped, restored and worked again.

use super::audit::Audit;
use super::traffic::{Traffic, Written};
use super::turn;
use crate::support::app::{App, Settings};
use crate::support::wait_until;
use std::time::Duration;

#[test]
fn exactly_once_when_transactions_are_aborted() {
    let _turn = turn();
    let app = App::new("aborts", Settings::default());
    // One of three fails after its records and offsets are sent, with the other shards of its worker at work.
    let process = app.start_with(&[("FAILPOINTS", "txn_fails=33%return")]);
    let traffic = Traffic::start(&app, Written::default(), 2_000, 4);
    let mut audit = Audit::new(&app);
    wait_until("pages between the aborts", Duration::from_secs(60), || {
        audit.look();
        (audit.actions() > 200).then_some(())
    });
    let written = traffic.stop();
    let aborts = process.log().matches("failpoint txn_fails").count();
    assert!(aborts >= 3, "only {aborts} transactions were aborted:\n{}", process.log());
    process.kill();

    let successor = app.start();
    audit.settle(&written, Duration::from_secs(60));
    successor.stop();
    audit.look();
    audit.check(&written);
    audit.check_against_replay(&app);
}
