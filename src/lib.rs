//! incidentd: alerts in, incidents and pages out, exactly once.

pub mod codec;
pub mod config;
pub mod engine;
pub mod kafka;
pub mod model;
pub mod rules;
pub mod worker;
