//! SPEC 3.4: of what is known of services so much is kept, and what is oldest gives way.

use super::world::*;
use super::*;
use crate::model::time::SECOND;
use crate::model::{Change, EventBody, Measurement, ServiceEvent};
use std::collections::BTreeSet;

fn read(world: &mut World, service: &str, metric: &str, value: f64) {
    read_at(world, service, metric, value, world.now);
}

fn read_at(world: &mut World, service: &str, metric: &str, value: f64, timestamp: Time) {
    let reading = Measurement { value, unit: None, timestamp };
    let event =
        ServiceEvent { service_id: service.to_owned(), body: EventBody::Measurement { metric: metric.to_owned(), reading } };
    world.give(crate::model::home::home(service.as_bytes(), PARTITIONS), Input::Event(&event));
}

/// Of which of `metrics` a rule still knows a reading.
fn known(metrics: &[&str], then: impl Fn(&mut World)) -> BTreeSet<String> {
    let rule = |metric: &&str| {
        format!(
            r##"notification(#{{ name: "{metric}", when: |incident, context| context.measurement("{metric}") != (), channels: [slack("#a")] }});"##
        )
    };
    let mut world = world(&metrics.iter().map(rule).collect::<String>());
    then(&mut world);
    world.fire("a", "1", Severity::Low);
    world.sent().iter().filter_map(|sent| sent.strip_suffix(" triggered 1")).map(str::to_owned).collect()
}

#[test]
fn past_the_most_metrics_of_a_service_the_one_read_longest_ago_gives_way() {
    let metrics = ["one", "two", "three", "four", "five"];
    let all_but =
        |gone: &str| metrics.iter().filter(|name| **name != gone).map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let read_first = |many: usize, again: &'static str| {
        move |world: &mut World| {
            for metric in metrics.iter().take(many).chain([&again]) {
                read(world, "a", metric, 1.0);
                world.pass(SECOND);
            }
        }
    };
    assert_eq!(known(&metrics, read_first(4, "one")), all_but("five"), "as many as may be kept");
    assert_eq!(known(&metrics, read_first(4, "five")), all_but("one"));
}

#[test]
fn past_the_most_changes_of_a_service_the_oldest_gives_way() {
    for (others, known) in [(7, true), (8, false)] {
        let mut world = world(
            r##"notification(#{ name: "r", when: |incident, context| context.recent_deployment(60), channels: [slack("#a")] });"##,
        );
        for kind in ["deployment"].into_iter().chain(std::iter::repeat_n("config_change", others)) {
            let change = Change { kind: kind.to_owned(), description: String::new(), timestamp: world.now, id: None };
            let event = ServiceEvent { service_id: "a".to_owned(), body: EventBody::Change(change) };
            world.give(crate::model::home::home(b"a", PARTITIONS), Input::Event(&event));
            world.pass(SECOND);
        }
        world.fire("a", "1", Severity::Low);
        assert_eq!(!world.sent().is_empty(), known, "{others} after it");
    }
}

#[test]
fn past_the_most_services_the_one_that_was_silent_longest_gives_way() {
    // All at one home.
    let home = |service: &str| crate::model::home::home(service.as_bytes(), PARTITIONS);
    let others: Vec<String> = (0..).map(|n| format!("s{n}")).filter(|name| home(name) == home("a")).take(4).collect();
    for (many, left) in [(3, BTreeSet::from(["m".to_owned()])), (4, BTreeSet::new())] {
        let kept = known(&["m"], |world| {
            read(world, "a", "m", 1.0);
            for other in &others[..many] {
                world.pass(SECOND);
                read(world, other, "m", 1.0);
            }
        });
        assert_eq!(kept, left, "{many} others");
    }
}

#[test]
fn one_that_was_heard_of_again_stays() {
    let home = |service: &str| crate::model::home::home(service.as_bytes(), PARTITIONS);
    let others: Vec<String> = (0..).map(|n| format!("s{n}")).filter(|name| home(name) == home("a")).take(4).collect();
    let kept = known(&["m"], |world| {
        for service in ["a"].into_iter().chain(others.iter().map(String::as_str).take(3)).chain(["a", &others[3]]) {
            read(world, service, "m", 1.0);
            world.pass(SECOND);
        }
    });
    assert_eq!(kept, BTreeSet::from(["m".to_owned()]));
}

#[test]
fn of_two_readings_of_one_moment_the_later_read_counts_and_an_older_one_never() {
    let mut world = world(
        r##"notification(#{ name: "two", when: |incident, context| context.measurement("m") == 2.0, channels: [slack("#a")] });"##,
    );
    let now = world.now;
    for (value, timestamp) in [(1.0, now), (2.0, now), (3.0, now + -SECOND)] {
        read_at(&mut world, "a", "m", value, timestamp);
    }
    world.fire("a", "1", Severity::Low);
    assert_eq!(world.sent(), ["two triggered 1"]);
}
