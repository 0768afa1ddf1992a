//! incidentd: alerts in, incidents and pages out, exactly once.

pub mod app;
pub mod cli;
pub mod codec;
pub mod config;
pub mod engine;
pub mod http;
pub mod kafka;
pub mod metrics;
pub mod model;
pub mod replay;
pub mod rules;
pub mod rules_dir;
pub mod settings;
pub mod worker;
