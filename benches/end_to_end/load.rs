//! The alerts: 650 bytes each, every identity in a fixed service, the same for every run of a benchmark.

use crate::support::client::Writer;
use incidentd::codec;
use incidentd::model::Time;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

pub const SERVICES: u64 = 1_000;
pub const LIVE: u64 = 100_000;
/// One alert of this many is of a new identity.
const ONE_NEW_IN: u32 = 100;
const SIZE: usize = 650;

/// A topic filled with alerts.
pub struct Load {
    pub topic: String,
    /// What all topics of the runs over it have in common.
    pub prefix: String,
    /// All alerts, the first [`LIVE`] of which open an incident each.
    pub alerts: i64,
    /// From here on it is measured.
    pub from: i64,
    /// How its alerts are read.
    pub settings: codec::Settings,
}

/// Who is next, and how their alerts look.
pub struct Generator {
    random: StdRng,
    /// Identities that have been seen, the last [`LIVE`] of which go on firing.
    seen: u64,
    text: String,
}

impl Generator {
    pub fn new() -> Generator {
        Generator { random: StdRng::seed_from_u64(650), seen: 0, text: String::with_capacity(2 * SIZE) }
    }

    /// One never seen before.
    pub fn fresh(&mut self) -> u64 {
        self.seen += 1;
        self.seen - 1
    }

    /// 1 % new, the rest any of those that live.
    pub fn next(&mut self) -> u64 {
        if self.seen < LIVE || self.random.random_ratio(1, ONE_NEW_IN) {
            return self.fresh();
        }
        self.random.random_range(self.seen - LIVE..self.seen)
    }

    /// Every second identity is critical, and pages.
    pub fn send(&mut self, writer: &Writer, topic: &str, identity: u64) {
        self.send_as(writer, topic, identity, if identity.is_multiple_of(2) { "critical" } else { "medium" });
    }

    pub fn send_as(&mut self, writer: &Writer, topic: &str, identity: u64, severity: &str) {
        let service = service(identity);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
        let text = &mut self.text;
        text.clear();
        write!(
            text,
            r#"{{"service_id":"{service}","title":"p99 latency above threshold","severity":"{severity}","category":"model_performance","environment":"production","timestamp":"{time}","labels":{{"metric_type":"latency","model_id":"model-{model:07}","region":"eu-west-{region}","tenant_id":"tenant-{tenant}","cluster":"gpu-pool-a"}},"metadata":{{"threshold":5,"current_value":{value}.25,"dashboard_url":"https://grafana.example.com/d/llm-latency","runbook_url":"https://runbooks.example.com/llm/latency"}},"description":""#,
            time = Time(now),
            model = identity / SERVICES,
            region = identity % 3,
            tenant = identity % 100,
            value = 5 + identity % 90,
        )
        .expect("a String takes all");
        const WORDS: &str = "The 99th percentile of time to first token has been above its threshold for five minutes. ";
        while text.len() < SIZE - 2 {
            text.push_str(&WORDS[..WORDS.len().min(SIZE - 2 - text.len())]);
        }
        text.push_str("\"}");
        writer.send(topic, &service, text.as_bytes());
    }
}

pub fn service(identity: u64) -> String {
    format!("svc-{:04}", identity % SERVICES)
}

impl Load {
    /// `alerts` after those that make the live identities known.
    pub fn write(topic: String, prefix: String, alerts: u64, settings: codec::Settings) -> Load {
        let (writer, mut generator) = (Writer::new(), Generator::new());
        for sent in 0..LIVE + alerts {
            let identity = generator.next();
            generator.send(&writer, &topic, identity);
            if sent + 1 == LIVE {
                // They come before the rest in each partition, whatever is retried.
                writer.flush();
            }
        }
        writer.flush();
        Load { topic, prefix, alerts: (LIVE + alerts) as i64, from: (LIVE + alerts / 10) as i64, settings }
    }
}
