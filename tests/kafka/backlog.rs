//! A backlog of several fetches from each partition, each alert of which makes more output than it is itself.

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Progress, Writer};
use crate::support::wait_until;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::time::Duration;

const ALERTS: u64 = 60_000;

#[test]
fn a_backlog_of_new_incidents_is_read_to_its_end() {
    let _turn = turn();
    let app = App::new("backlog", Settings { workers: 1, ..Settings::default() });
    let (writer, mut random) = (Writer::new(), StdRng::seed_from_u64(5));
    for n in 0..ALERTS {
        // What does not compress fills more than one fetch.
        let mut noise = [0; 250];
        random.fill_bytes(&mut noise);
        let service = format!("service-{}", n % 100);
        let alert = format!(
            r#"{{"service_id":"{service}","title":"incident {n}","severity":"critical","dedup_key":"{n}","description":"{}"}}"#,
            const_hex::encode(noise)
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
