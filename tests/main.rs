//! The tests of what a user notices, in one binary: one module an area.

#![allow(clippy::disallowed_methods, reason = "tests wait with deadlines by the clock")]

mod cases;
mod cli;
mod delivery;
mod deploy;
mod drill;
mod fidelity;
mod http;
mod kafka;
mod page;
mod peers;
mod prove;
mod rules;
mod schemas;
mod sim;
mod support;
mod tidy;
