//! The tests of what a user notices, in one binary: one module an area.

mod cases;
mod fidelity;
mod kafka;
mod rules;
mod support;
