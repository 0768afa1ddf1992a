//! Records that cannot be taken: to `dead-letters` with their own key, bytes and headers, and why (SPEC 2, 3).

use crate::codec::OutRecord;
use crate::kafka::Record;
use crate::model::{Origin, Topic};
use crate::worker::forward::own_headers;
use crate::worker::lane::size;

/// Room for what Kafka itself puts around a record.
const OVERHEAD: usize = 1_024;
/// A reason quotes what was read, which may be long.
const MAX_REASON: usize = 1_000;

/// `bytes`: what was wrong, which is one element of a webhook body or the whole value. `topic`: its name on the cluster.
/// What does not fit into `record_max` goes without its value, then without its key and own headers;
/// `__incidentd.error.truncated` then says how many bytes the value had.
pub fn dead_letter(
    record: &Record<'_>,
    origin: Origin,
    topic: &str,
    stage: &'static str,
    reason: &str,
    bytes: Option<&[u8]>,
    record_max: usize,
) -> OutRecord {
    let cut = (0..=MAX_REASON.min(reason.len())).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
    let header = |name: &str, value: &str| (format!("__incidentd.error.{name}"), value.as_bytes().to_vec());
    let ours = [
        header("topic", topic),
        header("partition", &origin.partition.to_string()),
        header("offset", &origin.offset.to_string()),
        header("index", &origin.index.to_string()),
        header("stage", stage),
        header("reason", &reason[..cut]),
    ];
    let mut letter = OutRecord {
        topic: Topic::DeadLetters,
        partition: None,
        key: record.key().map(<[u8]>::to_vec),
        value: None,
        headers: own_headers(record),
    };
    letter.headers.extend(ours.iter().cloned());
    let length = bytes.map_or(0, <[u8]>::len);
    let room = record_max.saturating_sub(OVERHEAD);
    if size(&letter) + length <= room {
        letter.value = bytes.map(<[u8]>::to_vec);
        return letter;
    }
    let truncated = header("truncated", &format!("the value of {length} bytes is left out"));
    if size(&letter) > room {
        letter.key = None;
        letter.headers = ours.to_vec();
    }
    letter.headers.push(truncated);
    letter
}
