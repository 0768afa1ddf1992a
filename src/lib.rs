//! incidentd: alerts in, incidents and pages out, exactly once.
//!
//! A log comes in, a pure state machine turns it into changes and actions, a log goes out. Everything with a clock, a socket or
//! a thread stands at the edge.
//!
//! The core, pure:
//! - [`model`]: alert, fingerprint, severity, incident, action, decision, home, time
//! - [`codec`]: the JSON of the topics to the model and back, with every limit; `schemas/` says the same
//! - [`rules`]: the only place that names rhai: sandbox, declarations, the match index, evaluation, check
//! - [`engine`]: the shard: dedup, correlation, who is told and paged, what is repaired, timers, the changelog
//! - [`explain`]: what became of an incident and why, from its records, in sentences
//!
//! Around it:
//! - [`replay`]: the engine over an in-memory log: `incidentd replay`, and the tests' three ways
//! - [`cases`], [`compare`]: what the rules must do, and what a changed set would change, over a replay
//! - [`kafka`]: consumer, transaction, restore, topics, embedded broker; bytes only
//! - [`worker`]: the loop; the only reader of the clock for the engine
//! - [`delivery`]: from the action topics to Slack, e-mail, SMS, PagerDuty and webhooks
//! - [`traces`]: spans for an OpenTelemetry collector, where there is one
//! - [`config`], [`settings`]: the file and the environment; what each part goes by
//! - [`rules_dir`]: the rules folder, followed while it changes
//! - [`board`]: the committed picture of all incidents and silences, for people and programs
//! - [`http`]: the API: reads the board, writes through Kafka; [`metrics`]: what machines see
//! - [`app`], [`cli`]: wiring, start and drain order; arguments
//!
//! Invariant: the core imports nothing of what is around it, no clock, thread, socket, file, randomness or log. `tests/tidy.rs`
//! holds the table of who may import whom.

// What stands at the edge may read the clock, which clippy.toml bans.
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod app;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod board;
pub mod cases;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod cli;
pub mod codec;
pub mod compare;
pub mod config;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod delivery;
pub mod engine;
pub mod explain;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod http;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod kafka;
pub mod metrics;
pub mod model;
pub mod replay;
pub mod rules;
pub mod rules_dir;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod settings;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod traces;
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod worker;
