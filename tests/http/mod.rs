//! The HTTP API on a real broker, as its users meet it.

mod cli;
pub mod client;
mod instances;
mod overload;
mod pair;
mod routes;
mod rules;
mod silences;
mod tokens;
mod webhooks;

use crate::support::app::{App, Process, Settings};
use client::Client;

pub const PARTITIONS: u32 = 4;

/// Topics, rules and configuration of a service with engine and API.
pub fn app(name: &str, settings: Settings) -> App {
    App::new(name, Settings { roles: r#"["engine", "api"]"#, partitions: PARTITIONS, ..settings })
}

/// A running one, once it is ready.
pub fn ready(process: &Process) -> Client {
    let client = Client::new(&process.url());
    client.wait_ready();
    client
}
