//! Who fires an incident: it resolves when the last one has (SPEC 4.3).

use crate::model::Time;
use serde::{Deserialize, Serialize};

/// The sources that fire. One that gives no name is the anonymous one, which needs no memory of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sources {
    /// The anonymous source's last firing; `NEVER` where it does not fire.
    anonymous: Time,
    /// `None` where no named source fires, which is the common case.
    #[allow(clippy::box_collection, reason = "a pointer's worth in each of a million incidents, not three")]
    named: Option<Box<Vec<Source>>>,
    /// More fire than are remembered: only a person or `stale_after` resolves the incident.
    overflowed: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Source {
    name: Box<str>,
    /// Event time of the last firing.
    fired_at: Time,
    /// Alertmanager's; tells its firings apart.
    starts_at: Option<Time>,
}

/// A firing or a resolution as it concerns the sources.
#[derive(Clone, Copy, Debug)]
pub struct Signal<'a> {
    pub name: Option<&'a str>,
    pub at: Time,
    pub starts_at: Option<Time>,
}

/// What a firing changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fired {
    /// A known source's time moved.
    Moved,
    /// Who fires changed.
    Joined,
}

impl Sources {
    pub fn none() -> Sources {
        Sources { anonymous: Time::NEVER, named: None, overflowed: false }
    }

    pub fn of(signal: Signal<'_>) -> Sources {
        let mut sources = Sources::none();
        sources.fire(signal, usize::MAX);
        sources
    }

    fn named(&self) -> &[Source] {
        self.named.as_deref().map_or(&[], |named| named.as_slice())
    }

    /// Nobody fires any more.
    pub fn are_silent(&self) -> bool {
        self.anonymous == Time::NEVER && self.named().is_empty() && !self.overflowed
    }

    /// Alertmanager says this firing again: the same source and `startsAt` (SPEC 3.1).
    pub fn hold(&self, signal: Signal<'_>) -> bool {
        match (signal.name, signal.starts_at) {
            (Some(name), Some(starts_at)) => {
                self.named().iter().any(|source| source.starts_at == Some(starts_at) && *source.name == *name)
            }
            _ => false,
        }
    }

    /// Takes a firing; past `max` sources it is only remembered that there are more.
    pub fn fire(&mut self, signal: Signal<'_>, max: usize) -> Fired {
        let Some(name) = signal.name else {
            let joined = self.anonymous == Time::NEVER;
            self.anonymous = if joined { signal.at } else { self.anonymous.max(signal.at) };
            return if joined { Fired::Joined } else { Fired::Moved };
        };
        let count = self.named().len() + usize::from(self.anonymous != Time::NEVER);
        let named = self.named.get_or_insert_default();
        if let Some(source) = named.iter_mut().find(|source| *source.name == *name) {
            source.fired_at = source.fired_at.max(signal.at);
            if source.starts_at < signal.starts_at {
                source.starts_at = signal.starts_at;
                return Fired::Joined;
            }
            return Fired::Moved;
        }
        if count >= max {
            let joined = !self.overflowed;
            self.overflowed = true;
            return if joined { Fired::Joined } else { Fired::Moved };
        }
        named.push(Source { name: name.into(), fired_at: signal.at, starts_at: signal.starts_at });
        Fired::Joined
    }

    /// Takes a resolution: does it end a firing? One older than its source's last firing does not; for Alertmanager,
    /// whose clock is not Kafka's, `startsAt` tells.
    pub fn resolve(&mut self, signal: Signal<'_>) -> bool {
        match signal.name {
            None => {
                // `NEVER` is later than any resolution.
                let ends = self.anonymous <= signal.at;
                if ends {
                    self.anonymous = Time::NEVER;
                }
                ends
            }
            Some(name) => {
                let Some(named) = &mut self.named else { return false };
                let before = named.len();
                named.retain(|source| {
                    let ends = match (source.starts_at, signal.starts_at) {
                        (Some(firing), Some(resolution)) => firing <= resolution,
                        _ => source.fired_at <= signal.at,
                    };
                    *source.name != *name || !ends
                });
                let ended = named.len() < before;
                if named.is_empty() {
                    self.named = None;
                }
                ended
            }
        }
    }

    /// The last firings in a fixed order, for the changelog's counts.
    pub fn times(&self) -> impl Iterator<Item = Time> + '_ {
        Some(self.anonymous).filter(|at| *at != Time::NEVER).into_iter().chain(self.named().iter().map(|source| source.fired_at))
    }

    /// Puts back what [`Sources::times`] gave, for the same sources.
    pub fn set_times(&mut self, mut times: impl Iterator<Item = Time>) {
        if self.anonymous != Time::NEVER {
            self.anonymous = times.next().unwrap_or(self.anonymous);
        }
        for source in self.named.iter_mut().flat_map(|named| named.iter_mut()) {
            source.fired_at = times.next().unwrap_or(source.fired_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What only moves a time is written down as a count; who fires, with the whole incident.
    #[test]
    fn who_fires_changes_with_a_new_source_and_with_a_newer_firing_of_alertmanagers() {
        let signal = |name: &'static str, at: i64, starts_at: Option<i64>| Signal {
            name: Some(name),
            at: Time(at),
            starts_at: starts_at.map(Time),
        };
        let mut sources = Sources::none();
        for (fired, changes) in [
            (signal("pod", 1, None), Fired::Joined),
            (signal("pod", 2, None), Fired::Moved),
            (signal("am", 2, Some(1)), Fired::Joined),
            (signal("am", 3, Some(1)), Fired::Moved),
            (signal("am", 4, Some(4)), Fired::Joined),
            (signal("am", 5, Some(1)), Fired::Moved),
        ] {
            assert_eq!(sources.fire(fired, 9), changes, "{fired:?}");
        }
        assert!(sources.hold(signal("am", 6, Some(4))), "the newest firing is the one that is held");
    }
}
