//! Alerts at a steady rate from a thread of their own, and what must come of them.

use crate::support::app::App;
use crate::support::client::Writer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const SERVICES: usize = 97;
/// One alert of this many opens an incident, the others repeat one.
const ALERTS_PER_INCIDENT: u32 = 40;

/// All that was written in this test, over any number of [`Traffic`]s.
#[derive(Default)]
pub struct Written {
    pub alerts: u64,
    /// The titles of the incidents that must exist; every second one pages.
    pub incidents: usize,
}

impl Written {
    /// The titles of the incidents that must each have made one notification.
    pub fn pages(&self) -> BTreeSet<String> {
        (0..self.incidents).filter(|n| is_critical(*n)).map(title).collect()
    }
}

fn is_critical(incident: usize) -> bool {
    incident.is_multiple_of(2)
}

fn title(incident: usize) -> String {
    format!("incident {incident}")
}

/// Alerts being written.
pub struct Traffic {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Written>,
}

impl Traffic {
    /// Goes on where `written` ends, at `rate` alerts a second.
    pub fn start(app: &App, written: Written, rate: u32, seed: u64) -> Traffic {
        let enough = Arc::new(AtomicBool::new(false));
        let (stop, topic) = (enough.clone(), app.topic("alerts"));
        let thread = thread::spawn(move || write(&topic, written, rate, seed, &stop));
        Traffic { enough, thread }
    }

    /// Ends it once the broker has all.
    pub fn stop(self) -> Written {
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writing thread")
    }
}

fn write(topic: &str, mut written: Written, rate: u32, seed: u64, stop: &AtomicBool) -> Written {
    let writer = Writer::new();
    let mut random = StdRng::seed_from_u64(seed);
    let start = Instant::now();
    let mut sent: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while sent < due {
            let is_new = written.incidents == 0 || random.random_ratio(1, ALERTS_PER_INCIDENT);
            let incident = if is_new { written.incidents } else { random.random_range(0..written.incidents) };
            written.incidents += usize::from(is_new);
            let service = format!("service-{}", incident % SERVICES);
            writer.send(topic, &service, alert(&service, incident).as_bytes());
            sent += 1;
        }
        thread::sleep(Duration::from_millis(2));
    }
    writer.flush();
    written.alerts += sent;
    written
}

fn alert(service: &str, incident: usize) -> String {
    let severity = if is_critical(incident) { "critical" } else { "low" };
    format!(
        r#"{{"service_id":"{service}","title":"{title}","description":"p99 latency is above its threshold","severity":"{severity}","category":"model_performance","dedup_key":"key-{incident}","labels":{{"region":"eu-west-1","model_id":"gpt-4"}},"metadata":{{"threshold":5,"current_value":7.25}}}}"#,
        title = title(incident)
    )
}
