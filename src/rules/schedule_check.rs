//! Warns of schedules that leave somebody out or nobody on call: gaps in the week, layers that others hide, overrides that
//! overlap.
//!
//! A week is looked at by the wall clock, minute by minute. There is no clock here that says which layers have begun: of two
//! the one that begins later is taken to hide the other only from then on, so nothing is said of it.

use crate::rules::beside::{Part, Span};
use crate::rules::hours::{DAYS, Week};
use crate::rules::schedule::{Layer, Schedule};

/// `spans`: where its layers and overrides stand, those without an error.
pub(super) fn check(part: &Part<'_>, schedule: &Schedule, layers: &[Span], overrides: &[Span]) {
    gaps(part, schedule);
    for (number, span) in layers.iter().enumerate() {
        let Some((layer, after)) = schedule.layers.get(number..).and_then(<[Layer]>::split_first) else { continue };
        let mut hidden = Week::default();
        // Unset is before any other.
        after.iter().filter(|other| other.start <= layer.start).for_each(|other| hidden.add(other.hours.as_ref()));
        let mut own = Week::default();
        own.add(layer.hours.as_ref());
        if own.within(&hidden) {
            let message = format!("nobody of this layer of {} is ever on call: later layers lie over all of it", part.name);
            part.warning(span.clone(), message, "put it behind them, give them `hours`, or take it out");
        }
    }
    for (number, span) in overrides.iter().enumerate() {
        let Some((over, before)) = schedule.overrides.get(..=number).and_then(|upto| upto.split_last()) else { continue };
        if let Some(other) = before.iter().find(|other| other.start < over.end && over.start < other.end) {
            let message =
                format!("this override of `{}` overlaps one of `{}`: where they do, this one counts", over.user, other.user);
            part.warning(span.clone(), message, "let one end where the other begins");
        }
    }
}

fn gaps(part: &Part<'_>, schedule: &Schedule) {
    if schedule.layers.is_empty() {
        return;
    }
    let mut week = Week::default();
    schedule.layers.iter().for_each(|layer| week.add(layer.hours.as_ref()));
    if let Some((from, to)) = week.first_gap() {
        let message = format!("nobody is on call in {} from {} to {}, week after week", part.name, told(from), told(to));
        let help = "add a layer without `hours` below the others, or let a policy's next level tell somebody else";
        part.warning(part.span(), message, help);
    }
}

/// `Mon 17:00`.
fn told(minute: usize) -> String {
    let (day, minute) = (minute / Week::DAY % 7, minute % Week::DAY);
    let name = &DAYS[day][..3];
    format!("{}{} {:02}:{:02}", name[..1].to_uppercase(), &name[1..], minute / 60, minute % 60)
}
