//! A line of the input, read as far as it can be without knowing what came before: the part of a replay that another thread
//! does while the engine is busy with earlier lines.

use crate::codec::{self, AlertRecord, Opened};
use crate::model::{Origin, Time, Topic, home::home};
use crate::replay::line::Line;

/// A line before it is taken.
#[allow(clippy::large_enum_variant, reason = "nearly all are the large one, and a box for each would be an allocation a line")]
pub enum Ahead<'a> {
    /// A plain alert: nearly all lines are. `home`: its service's partition.
    Alert { opened: Opened<'a>, home: u32, at: Option<Time> },
    /// Whatever else; an error says what of it cannot be understood.
    Line(Result<Line<'a>, String>),
}

impl<'a> Ahead<'a> {
    pub fn of(line: &'a [u8], settings: &codec::Settings, partitions: u32) -> Ahead<'a> {
        let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
        let opened = codec::open(AlertRecord { origin, time: Time(0), value: Some(line), form: None }, settings);
        let plain = opened.plain().map(|(service_id, at)| (home(service_id.as_bytes(), partitions), at));
        match plain {
            // One with an `at` of its own, or with what may be one, is read with care.
            Some((home, at)) if memchr::memmem::find(line, b"\"at\"").is_none() => Ahead::Alert { opened, home, at },
            _ => Ahead::Line(Line::parse(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Read ahead or with care, a line says the same.
    #[test]
    fn a_plain_alert_is_known_by_its_service_and_time() {
        let settings = codec::Settings::default();
        for (line, plain) in [
            (r#"{"service_id":"s","title":"t","timestamp":"1970-01-01T00:00:02Z"}"#, Some(Some(Time(2000)))),
            (r#"{"service_id":"s","title":"t"}"#, Some(None)),
            (r#"{"service_id":"s","title":"t","topic":"alerts","value":1,"advance":"5m"}"#, Some(None)),
            (r#"{"service_id":"s","title":"t","at":"1970-01-01T00:00:02Z"}"#, None),
            (r#"{"advance":"15m"}"#, None),
            (r#"{"topic":"alerts","value":{"service_id":"s","title":"t"}}"#, None),
            ("not json", None),
        ] {
            let found = match Ahead::of(line.as_bytes(), &settings, 12) {
                Ahead::Alert { home: at_home, at, .. } => {
                    assert_eq!(at_home, home(b"s", 12));
                    Some(at)
                }
                Ahead::Line(_) => None,
            };
            assert_eq!(found, plain, "{line}");
            if let Some(at) = plain {
                let Ok(Line::Record { at: with_care, .. }) = Line::parse(line.as_bytes()) else { panic!("an alert: {line}") };
                assert_eq!(with_care, at, "{line}");
            }
        }
    }
}
