//! Who is on call when: rotations that hand over by the wall clock, layers, overrides (SPEC 4.6, 5).
//!
//! The shifts of a layer lie end to end from an anchor on, all of one length of the wall clock: on the night of a change of
//! the clock one is an hour shorter or longer, and the hand-off stays at its time. A hand-off that the clock jumps over is at
//! the jump; one that it shows twice is at the first.

use crate::model::{Time, Zone};
use crate::rules::hours::Hours;
use jiff::SignedDuration;
use jiff::civil::DateTime;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Schedule {
    pub zone: Zone,
    /// Later ones lie over earlier ones.
    pub layers: Vec<Layer>,
    /// Of those that overlap the last one counts.
    pub overrides: Vec<Override>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Override {
    pub user: String,
    pub start: Time,
    /// Excluded.
    pub end: Time,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// One at least; they take shifts in this order.
    pub users: Vec<String>,
    pub rotation: Rotation,
    /// Nobody before it. The first user's shift is the one that it falls in.
    pub start: Option<Time>,
    /// Outside of them nobody of this layer.
    pub hours: Option<Hours>,
}

/// When one shift ends and the next begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rotation {
    /// A hand-off.
    pub anchor: DateTime,
    /// Of a shift, by the wall clock; at least [`LEAST_MINUTES`].
    pub minutes: i64,
}

/// A shift shorter than this is surely a mistake.
pub(super) const LEAST_MINUTES: i64 = 60;
/// No change of a clock is longer than a day, so no more shifts of the least length lie within one.
const MOST_REPEATED: usize = 25;

impl Schedule {
    pub fn on_call(&self, at: Time) -> Option<String> {
        let covers = |over: &&Override| over.start <= at && at < over.end;
        if let Some(over) = self.overrides.iter().rev().find(covers) {
            return Some(over.user.clone());
        }
        self.layers.iter().rev().find_map(|layer| layer.on_call(&self.zone, at)).map(str::to_owned)
    }
}

impl Layer {
    fn on_call(&self, zone: &Zone, at: Time) -> Option<&str> {
        if self.start.is_some_and(|start| at < start) {
            return None;
        }
        let local = zone.local(at)?;
        if self.hours.as_ref().is_some_and(|hours| !hours.hold(local)) {
            return None;
        }
        if let [only] = self.users.as_slice() {
            return Some(only);
        }
        let first = self.start.map_or(Some(0), |start| self.rotation.shift(zone, start))?;
        let turn = self.rotation.shift(zone, at)? - first;
        let turn = usize::try_from(turn.rem_euclid(i64::try_from(self.users.len()).ok()?)).ok()?;
        self.users.get(turn).map(String::as_str)
    }
}

impl Rotation {
    /// The number of the shift that a moment falls in; 0 begins at the anchor.
    fn shift(&self, zone: &Zone, at: Time) -> Option<i64> {
        let since = self.anchor.duration_until(zone.local(at)?);
        let mut shift = since.as_secs().div_euclid(self.minutes * 60);
        // A clock that was turned back shows an hour again whose hand-offs are over.
        for _ in 0..MOST_REPEATED {
            match self.begins(zone, shift + 1) {
                Some(next) if next <= at => shift += 1,
                _ => break,
            }
        }
        Some(shift)
    }

    fn begins(&self, zone: &Zone, shift: i64) -> Option<Time> {
        let after = SignedDuration::from_secs(shift.checked_mul(self.minutes * 60)?);
        zone.first(self.anchor.checked_add(after).ok()?)
    }
}
