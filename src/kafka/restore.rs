//! Reads partitions of the changelog from their beginning to the high watermark seen at assignment, and no further.
//!
//! Not to the last stable offset: the transaction that made the group's offsets stable may still be writing its marker to
//! the changelog, behind which its records hide (ARCHITECTURE, «What librdkafka teaches»).

use crate::kafka::batch::{Batch, Entry};
use crate::kafka::error::{Error, Reaction};
use crate::kafka::reader::Reader;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How often the caller is asked whether to go on.
const TURN: Duration = Duration::from_millis(50);

/// A partition and the offsets between which it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    pub partition: u32,
    /// The low watermark.
    pub from: i64,
    /// The high watermark; nothing at or past it is waited for.
    pub until: i64,
}

/// Takes one record: partition, key, value.
pub type Put<'a> = dyn FnMut(u32, &[u8], Option<&[u8]>) -> Result<(), Error> + 'a;

/// Hands every committed record of the reader's first topic between the targets' offsets to `put`: partition, key and
/// value, in the order of each partition. False where `go_on` said so before the end.
///
/// Without any progress for `patience` it gives up: a truncated log has no record at its old end, and a transaction that
/// stays open would hold it for ever.
pub fn run(
    reader: &mut Reader,
    batch: &mut Batch,
    targets: &[Target],
    patience: Duration,
    put: &mut Put<'_>,
    go_on: &mut dyn FnMut() -> Result<bool, Error>,
) -> Result<bool, Error> {
    let mut left: BTreeMap<u32, Target> =
        targets.iter().filter(|target| target.from < target.until).map(|target| (target.partition, *target)).collect();
    for target in left.values() {
        reader.start(0, target.partition, target.from)?;
    }
    let result = read_all(reader, batch, &mut left, patience, put, go_on);
    reader.stop();
    result
}

fn read_all(
    reader: &Reader,
    batch: &mut Batch,
    left: &mut BTreeMap<u32, Target>,
    patience: Duration,
    put: &mut Put<'_>,
    go_on: &mut dyn FnMut() -> Result<bool, Error>,
) -> Result<bool, Error> {
    let topic = &reader.names()[0];
    let mut progress = Instant::now();
    while !left.is_empty() {
        if !go_on()? {
            return Ok(false);
        }
        reader.read(batch, TURN);
        let mut moved = false;
        for entry in batch.entries(reader.names()) {
            let (partition, next) = match entry {
                Entry::Record(_, record) => {
                    let Some(target) = left.get(&record.partition()) else { continue };
                    if record.offset() < target.until {
                        put(record.partition(), record.key().unwrap_or_default(), record.value())?;
                    }
                    moved = true;
                    (record.partition(), record.offset() + 1)
                }
                // It comes again whenever the end has moved, so only a new one is progress.
                Entry::End { partition, offset, .. } => (partition, offset),
                Entry::Error { partition, code, .. } => {
                    let error = Error::from_code(&format!("restoring from `{topic}` partition {partition}"), code);
                    if error.reaction != Reaction::Retry || code == rdkafka::error::RDKafkaErrorCode::AutoOffsetReset {
                        return Err(Error::fatal(error.what));
                    }
                    tracing::warn!("{error}");
                    continue;
                }
            };
            if let Some(target) = left.get_mut(&partition) {
                moved |= next > target.from;
                target.from = target.from.max(next);
                if target.from >= target.until {
                    left.remove(&partition);
                }
            }
        }
        if moved {
            progress = Instant::now();
        } else if progress.elapsed() > patience
            && let Some(target) = left.values().next()
        {
            return Err(Error::fatal(format!(
                "restoring from `{topic}` partition {} stands at offset {} of {} for {} s: the log was truncated, or a \
                 transaction stays open; look at it with `kafka-transactions.sh find-hanging`",
                target.partition,
                target.from,
                target.until,
                patience.as_secs()
            )));
        }
    }
    Ok(true)
}
