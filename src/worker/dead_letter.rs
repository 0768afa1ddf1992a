//! Records that cannot be taken: to `dead-letters` with their own key, bytes and headers, and why (SPEC 2, 3).

use crate::codec::{self, DeadLetter, OutRecord};
use crate::kafka::Record;
use crate::model::Origin;
use crate::worker::forward::own_headers;

/// `bytes`: what was wrong, which is one element of a webhook body or the whole value. `topic`: its name on the cluster.
pub fn dead_letter(
    record: &Record<'_>,
    origin: Origin,
    topic: &str,
    stage: &'static str,
    reason: &str,
    bytes: Option<&[u8]>,
    settings: &codec::Settings,
) -> OutRecord {
    let letter = DeadLetter {
        topic,
        partition: origin.partition,
        offset: origin.offset,
        index: origin.index,
        stage,
        reason,
        key: record.key(),
        value: bytes,
        headers: &own_headers(record),
    };
    codec::dead_letter(&letter, settings)
}
