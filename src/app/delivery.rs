//! The role `delivery`: what it goes by, from the configuration and from what the brokers say of the topics.

use crate::app::Failure;
use crate::config::Config;
use crate::delivery::channel::Channels;
use crate::delivery::{self, Delivery, Settings};
use crate::kafka::{Clients, Layout, Names, Observer};
use crate::settings;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// For the brokers to say how topics are cut that were just seen to be there.
const TOPICS: Duration = Duration::from_secs(30);

pub fn start(config: &Config, clients: Arc<Clients>, layout: &Layout, runtime: &Handle) -> Result<Delivery, Failure> {
    let channels = channels(config)?;
    let names = Names::new(&config.topics);
    let observer = Observer::new(&clients)?;
    let deadline = Instant::now() + TOPICS;
    let (partitions, dead_letters) =
        (observer.partitions(&names.delivery, deadline)?, observer.partitions(&names.dead_letters, deadline)?);
    if config.delivery.remediation.webhook_url.is_none() {
        tracing::info!(
            "no executor is configured (delivery.remediation.webhook_url): remediations are left to whoever reads them"
        );
    }
    let settings = Settings {
        clients,
        names,
        codec: settings::codec(config),
        fallback: config.delivery.fallback.clone(),
        executor: config.delivery.remediation.clone(),
        heartbeat: config.delivery.heartbeat.clone(),
        breaker: config.delivery.breaker,
        shards: layout.shards,
        commands_at_home: layout.commands == layout.shards,
        partitions,
        dead_letters,
    };
    Ok(delivery::start(settings, Arc::new(channels), runtime)?)
}

/// Ready to send; wrong settings are told as such (exit 78).
pub fn channels(config: &Config) -> Result<Channels, Failure> {
    Channels::new(&config.delivery, config.api.public_url.as_deref()).map_err(|error| Failure::Configuration(error.to_string()))
}
