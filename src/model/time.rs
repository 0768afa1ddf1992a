//! A moment: milliseconds since 1970 in UTC, as Kafka and the seed's `Date` count them (SPEC 3).

use crate::model::text::ascii;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::{Add, Sub};

/// Milliseconds since 1970-01-01T00:00:00Z. Negative before it. JSON: RFC 3339 with three fractional digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub i64);

/// A length of time in milliseconds.
pub type Millis = i64;

pub const SECOND: Millis = 1_000;
pub const MINUTE: Millis = 60 * SECOND;
pub const HOUR: Millis = 60 * MINUTE;
pub const DAY: Millis = 24 * HOUR;

/// 9999-12-31T23:59:59.999Z: the last moment that RFC 3339 can write.
const LAST: i64 = 253_402_300_799_999;
/// 0000-01-01T00:00:00Z: the first one.
const FIRST: i64 = -62_167_219_200_000;

impl Time {
    /// A moment that never comes: the deadline of what has none.
    pub const NEVER: Time = Time(i64::MAX);

    /// Reads RFC 3339 with up to 9 fractional digits and any offset; finer than a millisecond is cut off.
    pub fn parse(text: &str) -> Option<Time> {
        // The `time` crate, not jiff: jiff's timestamps end a day before the year 9999 does, which people use for «never».
        let moment = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
        Some(Time(moment.unix_timestamp() * 1_000 + i64::from(moment.millisecond())))
    }

    /// `self + by`, staying at `NEVER` instead of overflowing.
    pub fn after(self, by: Millis) -> Time {
        Time(self.0.saturating_add(by))
    }

    /// RFC 3339, UTC, milliseconds. By hand: it stands in every record that we write, several times.
    fn text(self) -> [u8; 24] {
        let millis = self.0.clamp(FIRST, LAST);
        let (days, of_day) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
        // Civil date from days since 1970 (Howard Hinnant, «chrono-compatible low-level date algorithms»).
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        for (at, width, mut value) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, of_day / HOUR),
            (14, 2, of_day / MINUTE % 60),
            (17, 2, of_day / SECOND % 60),
            (20, 3, of_day % 1_000),
        ] {
            for digit in (at..at + width).rev() {
                text[digit] = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        text
    }

    /// Alertmanager writes year 1 where it means «no time» (SPEC 3.1).
    pub fn is_year_one(self) -> bool {
        (-62_135_596_800_000..-62_104_060_800_000).contains(&self.0)
    }
}

impl Sub for Time {
    type Output = Millis;
    fn sub(self, other: Time) -> Millis {
        self.0.saturating_sub(other.0)
    }
}

impl Add<Millis> for Time {
    type Output = Time;
    fn add(self, by: Millis) -> Time {
        self.after(by)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&self.text()))
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Time::NEVER { f.write_str("never") } else { fmt::Display::fmt(self, f) }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(ascii(&self.text()))
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            Time::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not an RFC 3339 timestamp")))
        } else {
            i64::deserialize(deserializer).map(Time)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_alertmanager_writes() {
        let ms = |text| Time::parse(text).map(|t| t.0);
        assert_eq!(ms("2026-11-23T18:04:10.510061+02:00"), ms("2026-11-23T16:04:10.510Z"));
        assert_eq!(ms("1970-01-01T00:00:00.123456789Z"), Some(123));
        assert!(Time::parse("0001-01-01T00:00:00Z").is_some_and(Time::is_year_one));
        assert_eq!(ms("yesterday"), None);
        assert_eq!(ms("2026-11-23T18:04:10"), None, "without an offset it names no moment");
    }

    #[test]
    fn writes_what_the_seeds_date_writes() {
        for text in [
            "2026-11-23T16:04:10.510Z",
            "1969-12-31T23:59:59.999Z",
            "2000-02-29T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
            "0001-01-01T00:00:00.000Z",
        ] {
            assert_eq!(Time::parse(text).map(|t| t.to_string()).as_deref(), Some(text));
        }
        assert_eq!(Time(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    }
}
