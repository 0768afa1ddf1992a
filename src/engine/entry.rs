//! How an incident lies in memory: what a merge touches in place, the rest packed in one blob (ARCHITECTURE 9).
//!
//! A million of these live at once, so the body is kept in the changelog's binary form and unpacked only when something
//! other than a count changes.

use crate::engine::Settings;
use crate::engine::body::Body;
use crate::engine::book::{Book, Stage};
use crate::engine::services::Service;
use crate::engine::sources::Sources;
use crate::engine::timers::Timers;
use crate::model::{Environment, Incident, IncidentId, Origin, Severity, Status, Time, TimelineEvent, Topic, number};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A place in the shard's slab of entries.
pub type Slot = u32;

/// No slot: the end of a chain.
pub const NOWHERE: Slot = Slot::MAX;

/// What the changelog has yet to hear of an entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Dirty {
    Clean,
    /// Only [`Counts`] moved.
    Counts,
    Snapshot,
}

/// What a merge moves. The changelog has a short form for it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Counts {
    pub occurrences: u64,
    pub last_seen_at: Time,
    pub last_alert: Place,
    /// `metadata.current_value`; NaN where it is no number.
    pub current_value: f64,
    /// Wall time when the last occurrence was read: what `stale_after` counts from.
    pub read_at: Time,
    pub version: u64,
    /// Wall time of the last publication to `incidents`.
    pub published_at: Time,
    /// How many incidents are related, listed or not.
    pub related: u32,
    /// Something since then has not been published.
    pub unpublished: bool,
}

/// An [`Origin`] in `alerts`, for from nowhere else does an alert come.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Place {
    pub offset: i64,
    pub partition: u32,
    pub index: u32,
}

impl From<Origin> for Place {
    fn from(origin: Origin) -> Place {
        Place { offset: origin.offset, partition: origin.partition, index: origin.index }
    }
}

impl From<Place> for Origin {
    fn from(place: Place) -> Origin {
        Origin { topic: Topic::Alerts, partition: place.partition, offset: place.offset, index: place.index }
    }
}

/// An incident in memory. In as few cache lines as there are: a merge waits for each that was not asked for ahead.
#[repr(align(64))]
pub struct Entry {
    pub id: IncidentId,
    /// Half of the SHA-256: 128 bits are as good as unique.
    pub fingerprint: [u8; 16],
    pub service: Service,
    pub status: Status,
    pub severity: Severity,
    pub dirty: Dirty,
    /// The next older incident of the same identity.
    pub older: Slot,
    pub counts: Counts,
    pub first_seen_at: Time,
    /// `NEVER` while it fires.
    pub resolved_at: Time,
    pub timing: Timing,
    pub traits: Traits,
    pub sources: Sources,
    /// Found to be related since the body was packed.
    #[allow(clippy::box_collection, reason = "a pointer's worth in each of a million incidents, not three")]
    pub related: Option<Box<Vec<IncidentId>>>,
    /// [`Incident`] and [`Book`] as they were when last changed.
    pub body: Body,
    /// The sequence number of the count record that holds the newest counts; 0: the snapshot does.
    pub counted_in: u64,
    /// The two earliest wheel items that will come for this entry.
    pub scheduled: [Time; 2],
}

/// What others ask of an incident, at hand without unpacking it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Traits {
    pub environment: Environment,
    /// Silenced, snoozed or flapping: it suppresses nobody.
    pub muted: bool,
    /// Its opening has ended and nobody was told of it.
    pub untold: bool,
    pub suppressed: bool,
    /// A duplicate of an older one of its identity.
    pub duplicate: bool,
    /// Hashes of category, model and metric type: what similarity compares (SPEC 4.4).
    pub kin: [u32; 3],
}

/// Deadlines and thresholds that follow from the body, at hand without unpacking it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// Wall time at which a resolved incident closes; `NEVER` before.
    pub close_at: Time,
    /// Wall time at which the book, or the end of a snooze, has something to say.
    pub wake_at: Time,
    /// The occurrence at which rules want to be asked next; `u64::MAX`: never.
    pub ask_at: u64,
}

/// An incident unpacked: what every change but a count works on.
#[derive(Clone, PartialEq, Debug)]
pub struct Full {
    pub incident: Incident,
    pub book: Book,
    pub sources: Sources,
    pub read_at: Time,
    pub published_at: Time,
    pub unpublished: bool,
    pub close_at: Time,
    pub ask_at: u64,
}

impl Entry {
    pub fn new(service: Service, full: &Full) -> Entry {
        let mut entry = Entry {
            id: full.incident.id,
            fingerprint: half(&full.incident.fingerprint.0),
            service,
            status: full.incident.status,
            severity: full.incident.severity,
            dirty: Dirty::Clean,
            older: NOWHERE,
            counts: full.counts(),
            first_seen_at: full.incident.first_seen_at,
            resolved_at: Time::NEVER,
            timing: full.timing(),
            traits: full.traits(),
            sources: Sources::none(),
            related: None,
            body: Body::plain(&[]),
            counted_in: 0,
            scheduled: [Time::NEVER; 2],
        };
        entry.put(full);
        entry
    }

    /// Takes over a changed incident. Identity and `first_seen_at` never change.
    pub fn put(&mut self, full: &Full) {
        self.status = full.incident.status;
        self.severity = full.incident.severity;
        self.resolved_at = full.incident.resolved_at.unwrap_or(Time::NEVER);
        self.counts = full.counts();
        self.timing = full.timing();
        self.traits = full.traits();
        self.related = None;
        self.sources = full.sources.clone();
        self.body = pack(&full.incident, &full.book);
    }

    /// Its next deadline into the wheel. Where one stands there that is no later, the look at that one puts it in again. Two are
    /// remembered, so that the many short waits of a publication leave the one long wait behind them where it is.
    pub fn schedule(&mut self, slot: Slot, settings: &Settings, timers: &mut Timers) {
        let due = self.due(settings);
        if due < self.scheduled[0] {
            self.scheduled = [due, self.scheduled[0]];
            timers.insert(due, slot);
        }
    }

    /// Unpacks it; `Err` only if memory or the changelog is damaged.
    pub fn full(&self) -> Result<Full, postcard::Error> {
        let body = self.body.read().ok_or(postcard::Error::DeserializeBadEncoding)?;
        let (incident, book): (Incident, Book) = postcard::from_bytes(&body)?;
        let counts = &self.counts;
        let mut full = Full {
            incident,
            book,
            sources: self.sources.clone(),
            read_at: counts.read_at,
            published_at: counts.published_at,
            unpublished: counts.unpublished,
            close_at: self.timing.close_at,
            ask_at: self.timing.ask_at,
        };
        full.take_counts(counts);
        let incident = &mut full.incident;
        incident.version = counts.version;
        incident.related_incident_ids.extend(self.related.iter().flat_map(|related| related.iter()));
        incident.related_more = u64::from(counts.related).saturating_sub(incident.related_incident_ids.len() as u64);
        Ok(full)
    }

    /// When time alone next changes it.
    pub fn due(&self, settings: &Settings) -> Time {
        let publish = if self.counts.unpublished { self.counts.published_at + settings.publish_interval } else { Time::NEVER };
        publish.min(self.stale_at(settings)).min(self.timing.close_at).min(self.timing.wake_at)
    }

    /// Wall time since which it does not fire; `NEVER` where that is not known.
    pub fn over_since(&self, settings: &Settings) -> Time {
        over_since(self.timing.close_at, settings)
    }

    pub fn stale_at(&self, settings: &Settings) -> Time {
        if settings.stale_after > 0 && self.status.fires() { self.counts.read_at + settings.stale_after } else { Time::NEVER }
    }
}

/// What resolves closes `close_after` later.
fn over_since(close_at: Time, settings: &Settings) -> Time {
    if settings.close_after > 0 && close_at != Time::NEVER { close_at + -settings.close_after } else { Time::NEVER }
}

impl Full {
    /// As [`Entry::over_since`].
    pub fn over_since(&self, settings: &Settings) -> Time {
        over_since(self.close_at, settings)
    }

    fn counts(&self) -> Counts {
        let incident = &self.incident;
        Counts {
            occurrences: incident.occurrence_count,
            last_seen_at: incident.last_seen_at,
            last_alert: incident.last_alert.into(),
            current_value: incident.metadata.0.get("current_value").and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN),
            read_at: self.read_at,
            version: incident.version,
            published_at: self.published_at,
            related: incident.related_incident_ids.len() as u32 + incident.related_more as u32,
            unpublished: self.unpublished,
        }
    }

    /// Brings an unpacked incident up to counts that moved since.
    pub fn take_counts(&mut self, counts: &Counts) {
        let incident = &mut self.incident;
        if counts.occurrences > incident.occurrence_count {
            incident.occurrence_count = counts.occurrences;
            incident.note(counts.last_seen_at, TimelineEvent::Occurrence, None, json!({ "count": counts.occurrences }));
        }
        incident.last_seen_at = counts.last_seen_at;
        incident.last_alert = counts.last_alert.into();
        if !counts.current_value.is_nan() {
            incident.metadata.0.insert("current_value".to_owned(), number::json(counts.current_value));
        }
        self.read_at = counts.read_at;
    }

    fn wake_at(&self) -> Time {
        match (!self.book.owes(), self.incident.snoozed_until) {
            (_, Some(until)) => until.min(self.book.wake_at()),
            (true, None) => self.book.wake_at(),
            // At once, where nothing holds all back.
            (false, None) => Time(0),
        }
    }

    /// A parent or a silence keeps it quiet; the end of that opens an epoch.
    pub fn is_hushed(&self) -> bool {
        self.incident.suppressed || !self.incident.silenced_by.is_empty()
    }

    pub fn muted(&self) -> bool {
        let incident = &self.incident;
        let mutes =
            !incident.silenced_by.is_empty() || incident.snoozed_until.is_some() || self.book.flapping.quiet_until.is_some();
        incident.status.fires() && mutes
    }

    /// Its own opening has ended and no action was written for it (SPEC 4.4). One that is suppressed is its parent's affair.
    pub fn untold(&self) -> bool {
        let book = &self.book;
        let waits = book.stage != Stage::Open || book.owes() || !book.asked.is_empty();
        self.incident.status.fires() && !book.told && !waits && !self.incident.suppressed
    }

    fn traits(&self) -> Traits {
        let incident = &self.incident;
        Traits {
            environment: incident.environment,
            muted: self.muted(),
            untold: self.untold(),
            suppressed: incident.suppressed,
            duplicate: self.book.link.root.is_some(),
            kin: kin(incident),
        }
    }

    fn timing(&self) -> Timing {
        Timing { close_at: self.close_at, wake_at: self.wake_at(), ask_at: self.ask_at }
    }
}

/// Of what similarity compares; two missing values are equal.
pub fn kin(incident: &Incident) -> [u32; 3] {
    // Written out (FNV-1a): the changelog keeps it, so that no other version of a crate may give another.
    let hash = |text: &str| text.bytes().fold(0x811c_9dc5u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let label = |name| incident.labels.get(name).map_or(0, hash);
    [hash(&incident.category), label("model_id"), label("metric_type")]
}

fn pack(incident: &Incident, book: &Book) -> Body {
    // Only a map without a known length or a failing `Serialize` could fail here, and these types have neither.
    let packed = postcard::to_extend(&(incident, book), Vec::with_capacity(1024)).unwrap_or_default();
    Body::plain(&packed)
}

pub fn half(fingerprint: &[u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&fingerprint[..16]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the 1 KB that a live incident may take, the rest is its body's (docs/performance.md).
    #[test]
    fn an_entry_is_small() {
        assert!(size_of::<Entry>() <= 256, "{}", size_of::<Entry>());
    }

    #[test]
    fn an_incident_unpacks_to_what_was_packed() {
        let mut incident = crate::model::incident::tests::incident();
        incident.metadata.0.insert("x".to_owned(), json!({ "deep": [1, 2.5, null] }));
        incident.note(Time(5), TimelineEvent::Triggered, None, serde_json::Value::Null);
        let book = Book::default();
        let packed = pack(&incident, &book);
        let bytes = packed.read().expect("it is plain");
        let (read, book_read): (Incident, Book) = postcard::from_bytes(&bytes).expect("it reads what it wrote");
        assert_eq!((read, book_read), (incident, book));
    }
}
