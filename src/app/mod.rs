//! Wiring: what starts in which order, what drains in which, and what each command needs of the parts.

mod api;
mod delivery;
mod demo;
mod drill;
mod explain;
mod failure;
mod logging;
mod observe;
mod reload;
mod rules_status;
mod run;
mod send;
mod topics;

pub use demo::{Options as DemoOptions, demo};
pub use drill::{DrillOptions, DrillReport, run_drill as drill};
pub use explain::{Looked, explain};
pub use failure::Failure;
pub use logging::{LogFormat, log_to_stderr};
pub use rules_status::{RulesStatus, finding};
pub use run::{run, traces};
pub use send::{Kind as SendKind, Sent, check, send};
pub use topics::{Outcome, TopicReport, create_topics};
