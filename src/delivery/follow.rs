//! Follows `incidents`, for threads that are to hear what happens, and `dead-letters`, for whether they rise.
//!
//! In no group: every process follows all of them, and uses what it has threads for.

use crate::codec::read_story;
use crate::delivery::Settings;
use crate::delivery::hands::Heard;
use crate::delivery::health::Pulse;
use crate::delivery::story::Told;
use crate::delivery::thread::belongs;
use crate::kafka::batch::{Entry, Record};
use crate::kafka::{Batch, Reader};
use crate::model::{IncidentId, Status, Time};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// Records that may wait for the loop.
pub const AHEAD: usize = 1_000;
const BATCH: usize = 500;
const TURN: Duration = Duration::from_millis(100);
/// librdkafka's names for the oldest record and for the end.
const OLDEST: i64 = -2;
const END: i64 = -1;
/// So many dead letters within so long are worth an incident; not more often than that.
const REFUSALS: u64 = 10;
const WINDOW: Duration = Duration::from_secs(300);

/// Until told to stop. What cannot be followed is said and tried again: pages do not depend on it.
pub fn run(settings: &Settings, pulse: &Pulse, wanted: &AtomicBool, heard: &Sender<Heard>) {
    while !pulse.stopping() {
        if let Err(error) = follow(settings, pulse, wanted, heard) {
            tracing::warn!("following incidents and dead-letters: {error}; again");
            let until = Instant::now() + Duration::from_secs(5);
            while Instant::now() < until && !pulse.stopping() {
                std::thread::sleep(TURN);
            }
        }
    }
}

fn follow(settings: &Settings, pulse: &Pulse, wanted: &AtomicBool, heard: &Sender<Heard>) -> Result<(), crate::kafka::Error> {
    let names = &settings.names;
    let mut reader = Reader::new(&settings.clients.reader(), vec![names.incidents.clone(), names.dead_letters.clone()])?;
    for partition in 0..settings.dead_letters {
        reader.start(1, partition, END)?;
    }
    let mut follows = false;
    let mut refusals = Refusals::default();
    let mut batch = Batch::new(BATCH);
    while !pulse.stopping() {
        if !follows && wanted.load(Ordering::Acquire) {
            for partition in 0..settings.shards {
                reader.start(0, partition, OLDEST)?;
            }
            follows = true;
        }
        reader.read(&mut batch, TURN);
        for entry in batch.entries(reader.names()) {
            let told = match entry {
                Entry::Record(0, record) => story(&record).map(Heard::Story),
                Entry::Record(_, record) => refusals.take(&record, Instant::now()),
                Entry::End { .. } => None,
                Entry::Error { partition, code, .. } => {
                    tracing::debug!(partition, "following: {code}");
                    None
                }
            };
            if let Some(told) = told
                && !hand_over(told, pulse, heard)
            {
                return Ok(());
            }
        }
    }
    batch.clear();
    Ok(())
}

/// False: nobody listens any more.
fn hand_over(mut told: Heard, pulse: &Pulse, heard: &Sender<Heard>) -> bool {
    loop {
        told = match heard.try_send(told) {
            Ok(()) => return true,
            Err(TrySendError::Closed(_)) => return false,
            Err(TrySendError::Full(_)) if pulse.stopping() => return false,
            Err(TrySendError::Full(back)) => back,
        };
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What a thread may be told of, and the end of an incident.
fn story(record: &Record<'_>) -> Option<Told> {
    let incident: IncidentId = std::str::from_utf8(record.key()?).ok()?.parse().ok()?;
    let at = Time(record.timestamp().unwrap_or_default());
    let Some(value) = record.value() else { return Some(Told { incident, at, value: None }) };
    let story = read_story(value).ok()?;
    let tells = story.status == Status::Closed || story.timeline.iter().any(|entry| belongs(entry.event));
    tells.then(|| Told { incident, at, value: Some(value.into()) })
}

/// Counts dead letters in windows.
#[derive(Default)]
struct Refusals {
    since: Option<Instant>,
    count: u64,
    told: bool,
}

impl Refusals {
    fn take(&mut self, record: &Record<'_>, now: Instant) -> Option<Heard> {
        let reason = record.headers().find(|(name, _)| *name == "__incidentd.error.reason").and_then(|(_, reason)| reason);
        self.rise(now).then(|| Heard::Refusals(self.count, reason.map(String::from_utf8_lossy).unwrap_or_default().into_owned()))
    }

    /// One more. True: now it is worth telling.
    fn rise(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            *self = Refusals { since: Some(now), count: 0, told: false };
        }
        self.count += 1;
        let tells = self.count >= REFUSALS && !self.told;
        self.told |= tells;
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_when_they_rise_and_once_a_window() {
        let (mut refusals, start) = (Refusals::default(), Instant::now());
        let told = |refusals: &mut Refusals, at: Instant, number: u64| (0..number).filter(|_| refusals.rise(at)).count();
        assert_eq!(told(&mut refusals, start, REFUSALS - 1), 0);
        assert_eq!(told(&mut refusals, start, 1_000), 1);
        assert_eq!(told(&mut refusals, start + WINDOW, REFUSALS - 1), 0);
        assert_eq!(told(&mut refusals, start + WINDOW, 1), 1);
    }
}
