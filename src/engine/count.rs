//! A change of counts alone, which is nearly all that happens: published at most every `publish_interval`, the last of it always
//! (SPEC 3.2).

use crate::engine::entry::{Counts, Entry, Slot};
use crate::engine::lifecycle::unpack;
use crate::engine::shard::Shard;
use crate::engine::sources::Signal;
use crate::engine::step::{Change, Step};
use crate::model::{Alert, CurrentValue, Time};

impl Shard {
    pub(super) fn count<'a>(
        &self,
        now: Time,
        slot: Slot,
        entry: &Entry,
        mut counts: Counts,
        fired: Option<Signal<'a>>,
        step: &mut Step<'_, 'a>,
    ) {
        self.touch_root(entry, now, step);
        if now - counts.published_at < self.settings.publish_interval {
            counts.unpublished = true;
        } else if let Some(mut full) = unpack(entry) {
            full.take_counts(&counts);
            if self.publish_counts(slot, entry, &mut full, now, step) {
                if let Some(signal) = fired {
                    full.sources.fire(signal, self.settings.max_sources);
                }
                return self.save(Some(slot), full, now, step);
            }
            counts.version = full.incident.version;
            counts.published_at = full.published_at;
            counts.unpublished = false;
        }
        step.changes.push(Change::Count { slot, counts, fired });
    }

    /// An occurrence of a duplicate restarts the time after which its root goes stale.
    pub(super) fn touch_root(&self, entry: &Entry, now: Time, step: &mut Step<'_, '_>) {
        if entry.traits.duplicate {
            let fingerprint = entry.fingerprint;
            let same = self.store.of_identity_half(self.store.name_of(entry), &fingerprint);
            let roots = same.filter(|(_, entry)| entry.status.fires() && !entry.traits.duplicate);
            step.changes.extend(roots.last().map(|(slot, _)| Change::Touch { slot, at: now }));
        }
    }
}

/// `occurrences`: how many more there are now.
pub(super) fn counts_after(entry: &Entry, alert: &Alert<'_>, now: Time, occurrences: u64) -> Counts {
    let before = &entry.counts;
    Counts {
        occurrences: before.occurrences + occurrences,
        last_seen_at: before.last_seen_at.max(alert.timestamp),
        last_alert: alert.origin.into(),
        current_value: match alert.current_value {
            CurrentValue::Number(value) => value,
            _ => before.current_value,
        },
        read_at: now.max(before.read_at),
        ..before.clone()
    }
}
