//! `topics create` against a cluster.

use crate::app::Failure;
use crate::config::Config;
use crate::kafka::{self, Clients};

pub use crate::kafka::topics::{Outcome, Report as TopicReport};

/// Makes the topics that are missing and says how the others stand.
pub fn create_topics(config: &Config) -> Result<Vec<TopicReport>, Failure> {
    let clients = Clients::new(&config.kafka, rand::random())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(super::run::no_runtime)?;
    let reports = runtime.block_on(kafka::topics::create(&clients, &config.topics))?;
    // Its admin client may still have a request under way; nobody waits for that.
    runtime.shutdown_background();
    Ok(reports)
}
