//! Bytes to the model and back: the JSON of the topics, with every limit (SPEC 3).
//!
//! Reading: [`read_alerts`] finds out what a record of `alerts` is (`shape`), and hands each alert in it on: a plain one by
//! `quick` (parsed in place, the hot path) or, in any doubt, by `native`; Alertmanager's by `alertmanager` and `recorder`.
//! [`read_command`] and [`read_event`] read the two other inputs, [`read_facts`] what shards tell each other.
//! Writing: one file a record, and `output` sends each to its topic.
//!
//! Invariant: pure. No input makes it panic, recurse without limit or allocate more than a small multiple of the record.

mod action;
mod alertmanager;
pub mod aliases;
mod command;
mod dead_letter;
mod decision;
mod depth;
mod event;
mod fact;
mod fields;
mod found;
mod head;
mod incident;
mod matcher;
mod native;
mod numbers;
mod output;
mod posted;
mod quick;
mod read;
mod recorder;
mod reply;
mod schema;
mod settings;
mod shape;
mod silence;
#[cfg(test)]
mod tests;

pub use command::{COMMANDS, read_command};
pub use dead_letter::{DeadLetter, dead_letter};
pub use event::read_event;
pub use fact::{FACT, FactBatch, read_facts, write_fact};
pub use incident::{Indexed, read_incident, read_indexed};
pub use matcher::{matcher_text, read_matchers};
pub use output::{OutRecord, write_output, write_outputs};
pub use posted::{Posted, PostedKind, Story, read_posted, read_story, snapshot, timeline_entry};
pub use read::{AlertRecord, Form, Item, Opened, open, read_alerts};
pub use reply::{Answered, REPLY_TO, REQUEST_ID, Reply, read_reply, reply};
pub use schema::{SCHEMAS, schema};
pub use settings::Settings;
pub use silence::read_silence;
