//! Delivery: from an action to people.

mod channels;
