//! The role `api`: the board and its tail, the writer and its replies, the tokens, and what the routes ask of the rules.

use crate::app::{Failure, RulesStatus};
use crate::board::{Board, Following, History, Tail};
use crate::config::{Config, Scope};
use crate::http::access::{self, Access, Token};
use crate::http::rules::Desk;
use crate::http::{self, Api, Bodies, Commands, Pages, Replies};
use crate::kafka::{Appender, Clients, Layout, Names};
use crate::metrics as names;
use crate::rules_dir::Asker;
use crate::settings;
use metrics::gauge;
use std::sync::Arc;

/// What runs for the API; ends when dropped.
pub struct Serving {
    pub api: Arc<Api>,
    pub following: Arc<Following>,
    _tail: Tail,
}

/// Starts it all. `rules`: who looks at the folder when asked, where somebody follows it.
pub fn start(
    config: &Config,
    clients: &Arc<Clients>,
    layout: &Layout,
    status: RulesStatus,
    rules: Option<Asker>,
) -> Result<Serving, Failure> {
    let names = Names::new(&config.topics);
    let board = Arc::new(Board::default());
    let (tail, following) = Tail::start(Arc::clone(&board), Arc::clone(clients), &names, layout)?;
    let commands = Commands {
        appender: Appender::impatient(clients, http::APPEND)?,
        replies: Replies::start(Arc::clone(clients), &names, layout, rand::random())?,
        board: Arc::clone(&board),
        layout: layout.clone(),
        codec: Arc::new(settings::codec(config)),
        names: names.clone(),
    };
    let history = History::start(Arc::clone(clients), &names)?;
    let access = access(config);
    let desk = Desk {
        report: Box::new(move || status.report()),
        look: Box::new(move |told| {
            let Some(rules) = &rules else {
                let _ = told.send(false);
                return true;
            };
            rules.ask(move |applied| {
                // Whoever asked may have gone.
                let _ = told.send(applied);
            })
        }),
    };
    let api = Arc::new(Api { board, history, commands, access, rules: desk, bodies: Bodies::default(), pages: Pages::default() });
    Ok(Serving { api, following, _tail: tail })
}

fn access(config: &Config) -> Access {
    let scope = |scope: &Scope| match scope {
        Scope::Read => access::Scope::Read,
        Scope::Alert => access::Scope::Alert,
        Scope::Operate => access::Scope::Operate,
        Scope::Admin => access::Scope::Admin,
    };
    let tokens = config.api.tokens.iter().filter_map(|token| {
        // The configuration took 64 hex digits alone.
        let sha256 = const_hex::decode_to_array(&token.sha256).ok()?;
        Some(Token { name: token.name.as_str().into(), sha256, scopes: token.scopes.iter().map(scope).collect() })
    });
    Access::new(tokens.collect(), config.api.rate_limit, config.api.public_url.as_deref().and_then(host))
}

/// `https://incidents.example.com:443/x` → `incidents.example.com`.
fn host(url: &str) -> Option<String> {
    let uri: axum::http::Uri = url.parse().ok()?;
    uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

impl Serving {
    pub fn ready(&self) -> Result<(), String> {
        match self.following.is_caught_up() {
            true => Ok(()),
            false => Err("the board has not read `incidents` and `silences` to their ends yet".to_owned()),
        }
    }

    /// Every few seconds: gauges, and clients that have not come for a while are forgotten.
    pub fn upkeep(&self) {
        self.api.access.upkeep();
        self.api.pages.look(&self.api.board);
        let (incidents, silences) = self.api.board.len();
        for (kind, records) in [("incidents", incidents), ("silences", silences), ("unreadable", self.following.bad() as usize)] {
            gauge!(names::BOARD, "kind" => kind).set(records as f64);
        }
        for (topic, partition, behind) in self.following.lag() {
            gauge!(names::CONSUMER_LAG, "topic" => topic, "partition" => partition.to_string()).set(behind as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_read_from_the_public_url() {
        for (url, wanted) in [
            ("https://incidents.example.com", Some("incidents.example.com")),
            ("http://incidents.example.com:8080/x", Some("incidents.example.com")),
            ("http://[::1]:8080", Some("::1")),
        ] {
            assert_eq!(host(url).as_deref(), wanted);
        }
    }
}
