//! Kafka, bytes only: consumer, transactional producer, restore, topics, embedded broker.
//!
//! Invariant: nothing here knows what a record means, and nothing here imports another part of incidentd but `config`.
//! `unsafe` stands in `batch`, `consumer` and `producer` alone, each block with its reason.

pub mod append;
pub mod batch;
pub mod client;
pub mod consumer;
pub mod embedded;
pub mod error;
pub mod names;
pub mod producer;
pub mod reader;
pub mod restore;
pub mod topics;

pub use append::Appender;
pub use batch::{Batch, Headers, Record};
pub use client::{Clients, Invalid};
pub use consumer::{GroupConsumer, Offsets, Rebalance, Slot};
pub use embedded::Embedded;
pub use error::{Error, Reaction};
pub use names::Names;
pub use producer::{Producer, Send};
pub use reader::Reader;
pub use topics::{Layout, Observer};
