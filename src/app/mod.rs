//! Wiring: what starts in which order, what drains in which, and what each command needs of the parts.

mod demo;
mod failure;
mod logging;
mod observe;
mod reload;
mod run;
mod send;
mod topics;

pub use demo::{Options as DemoOptions, demo};
pub use failure::Failure;
pub use logging::{LogFormat, log_to_stderr};
pub use run::run;
pub use send::{Kind as SendKind, Sent, check, send};
pub use topics::{Outcome, TopicReport, create_topics};
