//! Times of day and days of the week as people write them: `09:00`, `Mon`, `Mon-Fri 09:00-17:00`.

use jiff::civil::DateTime;

/// Sunday first, as everywhere here.
pub(super) const DAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// `Mon`, `monday`: three letters or all of them; 0 = Sunday.
pub(super) fn day_named(name: &str) -> Option<usize> {
    let name = name.trim().to_lowercase();
    DAYS.iter().position(|day| name == *day || name == day[..3])
}

/// `09:00`, `9:00` or `24:00`, in minutes.
pub(super) fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, lengths: std::ops::RangeInclusive<usize>| {
        let digits = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let (hour, minute) = (number(hour, 1..=2)?, number(minute, 2..=2)?);
    let fits = hour < 24 && minute < 60 || (hour, minute) == (24, 0);
    fits.then_some(hour * 60 + minute)
}

/// Of some days: from one time of day to another one, that excluded. Past midnight it is still the day that it began on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hours {
    days: [bool; 7],
    start: u16,
    end: u16,
}

impl Hours {
    /// `09:00-17:00`, `Mon-Fri 22:00-06:00`, `Sat,Sun 00:00-24:00`.
    pub fn parse(text: &str) -> Option<Hours> {
        let (days, times) = match text.trim().rsplit_once(' ') {
            Some((days, times)) => (parse_days(days)?, times),
            None => ([true; 7], text.trim()),
        };
        let (start, end) = times.split_once('-')?;
        let (start, end) = (minute_of_day(start)?, minute_of_day(end)?);
        (start != end && start < 1440).then_some(Hours { days, start, end })
    }

    /// By the clock on the wall.
    pub fn hold(&self, local: DateTime) -> bool {
        let minute = local.hour().unsigned_abs() as u16 * 60 + local.minute().unsigned_abs() as u16;
        let today = usize::from(local.weekday().to_sunday_zero_offset().unsigned_abs());
        if self.start < self.end {
            return self.days[today] && (self.start..self.end).contains(&minute);
        }
        self.days[today] && minute >= self.start || self.days[(today + 6) % 7] && minute < self.end
    }
}

/// The minutes of a week by the clock on the wall, from Sunday 00:00 on, some of them marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Week(Vec<bool>);

impl Default for Week {
    fn default() -> Week {
        Week(vec![false; 7 * Week::DAY])
    }
}

impl Week {
    /// Minutes.
    pub const DAY: usize = 24 * 60;

    /// Marks them; all of the week without any.
    pub fn add(&mut self, hours: Option<&Hours>) {
        let Some(Hours { days, start, end }) = hours else { return self.0.fill(true) };
        let (start, end) = (usize::from(*start), usize::from(*end));
        let length = if start < end { end - start } else { end + Week::DAY - start };
        for day in (0..7).filter(|day| days[*day]) {
            (0..length).for_each(|minute| self.0[(day * Week::DAY + start + minute) % (7 * Week::DAY)] = true);
        }
    }

    pub fn within(&self, other: &Week) -> bool {
        self.0.iter().zip(&other.0).all(|(own, other)| !own || *other)
    }

    /// The first run of minutes that is not marked, from Monday on: its begin, and its end, excluded; a run may go over the
    /// end of the week.
    pub fn first_gap(&self) -> Option<(usize, usize)> {
        let length = self.0.len();
        let at = |minute: usize| self.0[minute % length];
        let begin = (Week::DAY..Week::DAY + length).find(|minute| !at(*minute) && at(minute + length - 1))?;
        let end = (begin..begin + length).find(|minute| at(*minute))?;
        Some((begin % length, end % length))
    }
}

/// `Mon`, `Mon-Fri`, `Sat,Sun`, `Fri-Mon`.
fn parse_days(text: &str) -> Option<[bool; 7]> {
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day_named(first)?, day_named(last)?);
        (0..=(last + 7 - first) % 7).for_each(|more| days[(first + more) % 7] = true);
    }
    Some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_days_as_people_write_them() {
        for (text, minute) in [
            ("09:00", Some(540)),
            ("9:05", Some(545)),
            ("00:00", Some(0)),
            ("23:59", Some(1439)),
            ("24:00", Some(1440)),
            ("24:01", None),
            ("12:60", None),
            ("+9:00", None),
            ("9", None),
            ("09:0", None),
            ("009:00", None),
        ] {
            assert_eq!(minute_of_day(text), minute, "{text}");
        }
        assert_eq!(["Sun", "monday", "SAT", "mo", ""].map(day_named), [Some(0), Some(1), Some(6), None, None]);
    }

    #[test]
    fn what_a_week_leaves_open() {
        let at = |day: usize, hour: usize| day * Week::DAY + hour * 60;
        for (hours, gap) in [
            (&["00:00-24:00"][..], None),
            (&["09:00-17:00", "17:00-09:00"], None),
            (&["Mon-Fri 09:00-17:00"], Some((at(1, 17), at(2, 9)))),
            (&["Mon-Fri 00:00-24:00"], Some((at(6, 0), at(1, 0)))),
            (&["Mon-Sat 00:00-24:00", "Sun 00:00-23:00"], Some((at(0, 23), at(1, 0)))),
            (&["Mon-Sun 22:00-06:00", "06:00-21:00"], Some((at(1, 21), at(1, 22)))),
        ] {
            let mut week = Week::default();
            hours.iter().for_each(|hours| week.add(Hours::parse(hours).as_ref()));
            assert_eq!(week.first_gap(), gap, "{hours:?}");
        }
        let mut all = Week::default();
        all.add(None);
        assert!(Week::default().within(&all) && !all.within(&Week::default()));
    }

    #[test]
    fn hours_of_days_and_over_midnight() {
        let friday = jiff::civil::date(2026, 1, 16);
        for (text, at, holds) in [
            ("09:00-17:00", friday.at(9, 0, 0, 0), true),
            ("09:00-17:00", friday.at(17, 0, 0, 0), false),
            ("Mon-Fri 22:00-06:00", friday.at(23, 0, 0, 0), true),
            // Friday's night lasts into Saturday, Sunday's is none.
            ("Mon-Fri 22:00-06:00", jiff::civil::date(2026, 1, 17).at(5, 59, 0, 0), true),
            ("Mon-Fri 22:00-06:00", jiff::civil::date(2026, 1, 19).at(5, 59, 0, 0), false),
            ("sat, sun 00:00-24:00", jiff::civil::date(2026, 1, 18).at(23, 59, 0, 0), true),
            ("fri-mon 00:00-24:00", jiff::civil::date(2026, 1, 20).at(0, 0, 0, 0), false),
        ] {
            assert_eq!(Hours::parse(text).map(|hours| hours.hold(at)), Some(holds), "{text} {at}");
        }
        for text in ["", "09:00", "09:00-09:00", "24:00-09:00", "Mo 09:00-17:00", "Mon- 09:00-17:00", "9-17"] {
            assert_eq!(Hours::parse(text), None, "{text}");
        }
    }
}
