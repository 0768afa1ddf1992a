//! What could not be taken, as it came, with the reason beside it: the record of `dead-letters` (SPEC 2, 3).

use crate::codec::{OutRecord, Settings};
use crate::model::Topic;

/// How much of a reason is kept.
const REASON_MOST: usize = 1_000;

/// A record, or an alert of a webhook body, that is refused.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    /// The name on the cluster of the topic that it was read from.
    pub topic: &'a str,
    pub partition: u32,
    pub offset: i64,
    /// Its place in a webhook body, 0 otherwise.
    pub index: u32,
    /// What refused it, such as `decode`: the label `stage` of `incidentd_dead_letters_total`.
    pub stage: &'a str,
    /// What is wrong, naming the field.
    pub reason: &'a str,
    /// The record's own, untouched.
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(String, Vec<u8>)],
}

/// Key, value and headers of the record itself, and the headers `__incidentd.error.…`. What makes the record larger than
/// `record_max` is left out, the value first, and `__incidentd.error.truncated` says so.
pub fn dead_letter(letter: &DeadLetter<'_>, settings: &Settings) -> OutRecord {
    let reason = match letter.reason.char_indices().nth(REASON_MOST) {
        Some((at, _)) => format!("{}…", &letter.reason[..at]),
        None => letter.reason.to_owned(),
    };
    let header = |name: &str, text: String| (format!("__incidentd.error.{name}"), text.into_bytes());
    let mut errors = vec![
        header("topic", letter.topic.to_owned()),
        header("partition", letter.partition.to_string()),
        header("offset", letter.offset.to_string()),
        header("index", letter.index.to_string()),
        header("stage", letter.stage.to_owned()),
        header("reason", reason),
    ];
    let size = |headers: &[(String, Vec<u8>)]| headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    // The room that the `truncated` header needs is kept free.
    let mut room = settings.record_max.saturating_sub(size(&errors) + 64);
    let mut truncated = false;
    let mut fits = |bytes: usize| {
        let fits = bytes <= room;
        room = room.saturating_sub(if fits { bytes } else { 0 });
        truncated |= !fits;
        fits
    };
    let key = letter.key.filter(|key| fits(key.len()));
    let mut headers = if fits(size(letter.headers)) { letter.headers.to_vec() } else { Vec::new() };
    let value = letter.value.filter(|value| fits(value.len()));
    if truncated {
        errors.push(header("truncated", "true".to_owned()));
    }
    headers.append(&mut errors);
    OutRecord {
        topic: Topic::DeadLetters,
        partition: None,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter<'a>(value: Option<&'a [u8]>, headers: &'a [(String, Vec<u8>)]) -> DeadLetter<'a> {
        let (topic, stage, reason) = ("prod.alerts", "decode", "title: missing");
        DeadLetter { topic, partition: 3, offset: 42, index: 7, stage, reason, key: Some(b"\0key"), value, headers }
    }

    fn texts(record: &OutRecord) -> Vec<(String, String)> {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        record.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    }

    #[test]
    fn carries_the_bytes_untouched_and_says_where_they_stood() {
        let own = [("traceparent".to_owned(), b"00-1".to_vec())];
        let record = dead_letter(&letter(Some(b"\xff\0 {not json"), &own), &Settings::default());
        assert_eq!(record.topic, Topic::DeadLetters);
        assert_eq!(record.key.as_deref(), Some(&b"\0key"[..]));
        assert_eq!(record.value.as_deref(), Some(&b"\xff\0 {not json"[..]));
        let expected = [
            ("traceparent", "00-1"),
            ("__incidentd.error.topic", "prod.alerts"),
            ("__incidentd.error.partition", "3"),
            ("__incidentd.error.offset", "42"),
            ("__incidentd.error.index", "7"),
            ("__incidentd.error.stage", "decode"),
            ("__incidentd.error.reason", "title: missing"),
        ];
        assert_eq!(texts(&record), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn what_is_too_large_goes_without_its_value_and_says_so() {
        let settings = Settings { record_max: 1_000, ..Settings::default() };
        let record = dead_letter(&letter(Some(&[b'x'; 1_000]), &[]), &settings);
        assert_eq!(record.value, None);
        assert_eq!(record.key.as_deref(), Some(&b"\0key"[..]));
        assert_eq!(texts(&record).last(), Some(&("__incidentd.error.truncated".to_owned(), "true".to_owned())));
        let tombstone = dead_letter(&letter(None, &[]), &settings);
        assert!(tombstone.value.is_none() && tombstone.headers.len() == 6, "nothing was left out of a tombstone");
    }
}
