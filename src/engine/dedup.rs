//! Which incident an alert belongs to (SPEC 4.3): time against time, nothing else.

use crate::engine::Settings;
use crate::model::Time;

/// What an alert is to one incident of its identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// Outside its window: not this one's.
    Outside,
    Merges,
    Reopens,
    /// It fired before the incident was resolved: counted, raises nothing, reopens nothing.
    CountsOnly,
}

/// The times of an incident that is not closed; `resolved_at` is `NEVER` while it fires.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub first_seen_at: Time,
    pub last_seen_at: Time,
    pub resolved_at: Time,
}

/// `at`: the event time of a firing alert. All bounds are inclusive.
pub fn fit(at: Time, span: Span, settings: &Settings) -> Fit {
    let too_early = at < span.first_seen_at && span.first_seen_at - at > settings.window;
    if too_early {
        return Fit::Outside;
    }
    if span.resolved_at != Time::NEVER {
        return match at {
            at if at < span.resolved_at => Fit::CountsOnly,
            at if settings.reopen_within > 0 && at - span.resolved_at <= settings.reopen_within => Fit::Reopens,
            _ => Fit::Outside,
        };
    }
    let anchor = if settings.anchor_last_seen { span.last_seen_at } else { span.first_seen_at };
    if at - anchor <= settings.window { Fit::Merges } else { Fit::Outside }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::MINUTE;

    fn settings(anchor_last_seen: bool) -> Settings {
        Settings { anchor_last_seen, ..Settings::default() }
    }

    #[test]
    fn the_edges_of_every_window() {
        let minute = |m: i64| Time(m * MINUTE);
        let open = Span { first_seen_at: minute(100), last_seen_at: minute(110), resolved_at: Time::NEVER };
        let resolved = Span { resolved_at: minute(160), ..open };
        let first = settings(false);
        for (at, fits) in [
            (minute(115), Fit::Merges),
            (Time(115 * MINUTE + 1), Fit::Outside),
            (minute(85), Fit::Merges),
            (Time(85 * MINUTE - 1), Fit::Outside),
        ] {
            assert_eq!(fit(at, open, &first), fits, "{at}");
        }
        assert_eq!(fit(minute(125), open, &settings(true)), Fit::Merges);
        assert_eq!(fit(Time(125 * MINUTE + 1), open, &settings(true)), Fit::Outside);
        for (at, fits) in [
            (minute(159), Fit::CountsOnly),
            (minute(160), Fit::Reopens),
            (minute(165), Fit::Reopens),
            (Time(165 * MINUTE + 1), Fit::Outside),
            (Time(85 * MINUTE - 1), Fit::Outside),
        ] {
            assert_eq!(fit(at, resolved, &first), fits, "resolved, {at}");
        }
        let off = Settings { reopen_within: 0, ..settings(false) };
        assert_eq!(fit(minute(160), resolved, &off), Fit::Outside, "0 is off");
    }
}
