//! `alerts` cut otherwise than the shards: its partitions belong to none, and every alert goes through the inbox.

use super::audit::Audit;
use super::traffic::{Traffic, Written};
use super::turn;
use crate::support::app::{App, Settings};
use crate::support::broker;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use std::thread;
use std::time::Duration;

#[test]
fn alerts_with_another_partition_count_come_home_exactly_once() {
    let _turn = turn();
    let app = App::new("forwarder", Settings::default());
    grow(&app.topic("alerts"), 7);
    let traffic = Traffic::start(&app, Written::default(), 2_000, 5);
    for _ in 0..3 {
        let process = app.start();
        thread::sleep(Duration::from_millis(2_500));
        process.kill();
    }
    let written = traffic.stop();
    let last = app.start();
    let mut audit = Audit::new(&app);
    audit.settle(&written, Duration::from_secs(60));
    last.stop();
    audit.look();
    audit.check(&written);
}

fn grow(topic: &str, partitions: usize) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", broker::bootstrap()).create().expect("an admin client");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let grown = runtime.block_on(admin.create_partitions([&NewPartitions::new(topic, partitions)], &AdminOptions::new()));
    assert!(grown.expect("an answer").iter().all(Result::is_ok));
}
