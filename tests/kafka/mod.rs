//! On a real Apache Kafka broker.

use crate::support::broker;

#[test]
fn the_shared_broker_starts() {
    assert!(!broker::bootstrap().is_empty());
}
