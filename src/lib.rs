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
//!
//! Around it:
//! - [`replay`]: the engine over an in-memory log: `incidentd replay`, and the tests' three ways
//! - [`kafka`]: consumer, transaction, restore, topics, embedded broker; bytes only
//! - [`worker`]: the loop; the only reader of the clock for the engine
//! - [`config`], [`settings`]: the file and the environment; what each part goes by
//! - [`rules_dir`]: the rules folder, followed while it changes
//! - [`metrics`], [`http`]: what machines and probes see
//! - [`app`], [`cli`]: wiring, start and drain order; arguments
//!
//! Invariant: the core imports nothing of what is around it, no clock, thread, socket, file, randomness or log. `tests/tidy.rs`
//! holds the table of who may import whom.

// What stands at the edge may read the clock, which clippy.toml bans.
#[allow(clippy::disallowed_methods, reason = "the edge")]
pub mod app;
pub mod cli;
pub mod codec;
pub mod config;
pub mod engine;
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
pub mod worker;
