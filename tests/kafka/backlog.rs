//! A backlog of more than one fetch from each partition, each of which fills the consumer's queue.

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Progress, Writer};
use crate::support::wait_until;
use std::time::Duration;

const ALERTS: u64 = 300_000;

#[test]
fn a_backlog_is_read_to_its_end() {
    let _turn = turn();
    let app = App::new("backlog", Settings { workers: 1, partitions: 8, ..Settings::default() });
    let writer = Writer::new();
    for n in 0..ALERTS {
        let service = format!("service-{}", n % 1_000);
        // It compresses well: one fetch holds more records than may wait.
        let alert = format!(
            r#"{{"service_id":"{service}","title":"incident {n}","severity":"critical","dedup_key":"{n}","description":"{}"}}"#,
            "x".repeat(500)
        );
        writer.send(&app.topic("alerts"), &service, alert.as_bytes());
    }
    writer.flush();
    let progress = Progress::new(&app.group(), &app.topic("alerts"));
    let process = app.start();
    wait_until("all is committed", Duration::from_secs(60), || {
        (progress.committed().iter().sum::<i64>() == ALERTS as i64).then_some(())
    });
    process.stop();
}
