//! What comes out of a replay: things said, records, lines; and a file of them, written on a thread of its own.

use crate::codec::{self, OutRecord};
use crate::model::{Output, Time, Topic};
use std::io::Write;
use std::sync::Arc;

/// One thing that the replay has said.
#[derive(Clone, Debug)]
pub struct Told {
    /// Wall time.
    pub at: Time,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Said(Output),
    /// To `dead-letters`.
    Buried(OutRecord),
}

/// One record that would have been produced.
#[derive(Clone, Debug, PartialEq)]
pub struct Produced {
    /// Wall time.
    pub at: Time,
    pub record: OutRecord,
}

impl Told {
    /// `None` for what only counts.
    pub fn record(self, settings: &codec::Settings) -> Option<Produced> {
        let record = match self.what {
            What::Said(output) => codec::write_output(&output, settings)?,
            What::Buried(record) => record,
        };
        Some(Produced { at: self.at, record })
    }
}

impl Produced {
    /// The output line: `{"topic", "key", "value", "at"}`, with `headers` where it has any.
    pub fn to_json(&self) -> String {
        let mut line = Vec::new();
        self.write(&mut line);
        String::from_utf8(line).unwrap_or_default()
    }

    /// The same behind what stands in `line`; always UTF-8, and one line.
    pub fn write(&self, line: &mut Vec<u8>) {
        let Produced { at, record } = self;
        let text = |line: &mut Vec<u8>, bytes: &[u8]| {
            // Writing a text into memory cannot fail.
            let _ = serde_json::to_writer(line, &String::from_utf8_lossy(bytes));
        };
        line.extend([b"{\"topic\":\"", record.topic.name().as_bytes(), b"\",\"key\":"].concat());
        match &record.key {
            Some(key) => text(line, key),
            None => line.extend(b"null"),
        }
        line.extend(b",\"value\":");
        match record.value.as_deref() {
            None => line.extend(b"null"),
            // Our own records are JSON on one line.
            Some(value) if record.topic != Topic::DeadLetters => line.extend(value),
            // A dead letter may be anything.
            Some(value) => match serde_json::from_slice::<serde::de::IgnoredAny>(value) {
                Ok(_) => line.extend(String::from_utf8_lossy(value).replace(['\n', '\r'], " ").bytes()),
                Err(_) => text(line, value),
            },
        }
        let _ = write!(line, ",\"at\":\"{at}\"");
        if !record.headers.is_empty() {
            let headers = record.headers.iter();
            let headers = headers.map(|(name, value)| (name.clone(), String::from_utf8_lossy(value).into_owned().into()));
            let _ = write!(line, ",\"headers\":{}", serde_json::Value::Object(headers.collect()));
        }
        line.push(b'}');
    }
}

/// Turns what is said into lines, a batch at a time, so that a thread of its own can do it.
pub struct Writer<W> {
    settings: Arc<codec::Settings>,
    output: W,
    lines: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub fn new(settings: Arc<codec::Settings>, output: W) -> Writer<W> {
        Writer { settings, output, lines: Vec::new() }
    }

    pub fn write(&mut self, told: impl IntoIterator<Item = Told>) -> std::io::Result<()> {
        self.lines.clear();
        for produced in told.into_iter().filter_map(|told| told.record(&self.settings)) {
            produced.write(&mut self.lines);
            self.lines.push(b'\n');
        }
        self.output.write_all(&self.lines)
    }

    pub fn flush(&mut self) -> std::io::Result<()> {
        self.output.flush()
    }

    pub fn into_inner(self) -> W {
        self.output
    }
}
