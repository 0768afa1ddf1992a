//! A whole history: one thread reads the input ahead, the caller's is the engine, and what is said goes on in batches.
//!
//! Chunks of whole lines pass a short queue, each with what was read of its lines beside its bytes, so that nothing is
//! copied; memory is bounded by the queue, whatever the history's length.

use crate::codec;
use crate::replay::{Ahead, Replay, Told};
use crossbeam_channel::{Receiver, Sender, bounded};
use self_cell::self_cell;
use std::io::Read;
use std::sync::Arc;

/// Bytes of one line: a webhook body and what is around it.
const LINE: usize = 16 << 20;
/// Bytes that are read at once, and such chunks on their way: together they stay in the cache.
const CHUNK: usize = 64 << 10;
const QUEUE: usize = 4;
/// So many lines before it is taken, an alert's incident is asked for.
const EXPECT: usize = 12;

type Lines<'a> = Vec<(u64, Ahead<'a>)>;

self_cell!(
    struct Chunk {
        owner: Vec<u8>,
        #[not_covariant]
        dependent: Lines,
    }
);

/// Plays every line of `input`, whose name stands in errors with the line's number.
pub fn play(replay: &mut Replay, input: impl Read + Send, name: &str, sink: &mut dyn FnMut(Told)) -> Result<(), String> {
    let (settings, partitions) = (Arc::clone(replay.codec()), replay.partitions());
    std::thread::scope(|scope| {
        let (sender, chunks) = bounded(QUEUE);
        let reading = std::thread::Builder::new().name("history".to_owned());
        reading
            .spawn_scoped(scope, move || Reading { settings, partitions, number: 0 }.read(input, &sender))
            .map_err(|error| format!("the thread that reads the history cannot start: {error}"))?;
        take_all(replay, &chunks, name, sink)
    })
}

fn take_all(
    replay: &mut Replay,
    chunks: &Receiver<Result<Chunk, Fault>>,
    name: &str,
    sink: &mut dyn FnMut(Told),
) -> Result<(), String> {
    for chunk in chunks {
        let mut chunk = chunk.map_err(|fault| match fault.line {
            Some(number) => format!("{name}:{number}: {}", fault.what),
            None => format!("{name}: {}", fault.what),
        })?;
        chunk.with_dependent_mut(|_, lines| {
            for at in 0..lines.len() {
                if let Some((_, soon)) = lines.get(at + EXPECT) {
                    replay.expect(soon);
                }
                let (number, line) = &mut lines[at];
                replay.take(line, sink).map_err(|error| format!("{name}:{number}: {error}"))?;
            }
            Ok::<(), String>(())
        })?;
    }
    Ok(())
}

/// Why reading ended early.
struct Fault {
    line: Option<u64>,
    what: String,
}

struct Reading {
    settings: Arc<codec::Settings>,
    partitions: u32,
    /// Of the last line that was handed on.
    number: u64,
}

impl Reading {
    /// Ends early where nobody listens any more.
    fn read(mut self, input: impl Read, sender: &Sender<Result<Chunk, Fault>>) {
        let end = self.read_all(input, &mut |chunk| sender.send(Ok(chunk)).is_ok());
        if let Err(fault) = end {
            let _ = sender.send(Err(fault));
        }
    }

    fn read_all(&mut self, mut input: impl Read, pass: &mut dyn FnMut(Chunk) -> bool) -> Result<(), Fault> {
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let mut bytes = rest;
            let begun = bytes.len();
            bytes.resize(begun + CHUNK, 0);
            let read = loop {
                match input.read(&mut bytes[begun..]) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(Fault { line: None, what: error.to_string() }),
                    Ok(read) => break read,
                }
            };
            bytes.truncate(begun + read);
            let whole = match memchr::memrchr(b'\n', &bytes[begun..]) {
                _ if read == 0 => bytes.len(),
                Some(last) => begun + last + 1,
                None => 0,
            };
            rest = bytes.split_off(whole);
            if rest.len() > LINE {
                let what = format!("the line is longer than {} MiB", LINE >> 20);
                return Err(Fault { line: Some(self.number + 1 + lines_of(&bytes)), what });
            }
            if !bytes.is_empty() && !pass(self.chunk(bytes)) {
                return Ok(());
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn chunk(&mut self, bytes: Vec<u8>) -> Chunk {
        let Reading { settings, partitions, number } = self;
        Chunk::new(bytes, |bytes| {
            let mut lines = Vec::new();
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                *number += 1;
                let text = line.trim_ascii();
                if !text.is_empty() {
                    lines.push((*number, Ahead::of(text, settings, *partitions)));
                }
            }
            lines
        })
    }
}

fn lines_of(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}
