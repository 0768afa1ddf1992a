//! Kafka, bytes only: consumer, transactional producer, restore, topics, embedded broker.
