//! Delivery: from an action to people.

pub mod channels;
