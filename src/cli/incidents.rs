//! `incidents`: lists them, shows one, and acts on them, over the HTTP API (SPEC 6).

use crate::app::Failure;
use crate::cli::print;
use crate::cli::remote::{Remote, Server, read};
use crate::cli::show::{self, Incident};
use crate::cli::watch::Watch;
use crate::config::parse_duration;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Subcommand)]
pub enum Incidents {
    /// List incidents, newest first
    #[command(
        visible_alias = "ls",
        after_help = "Examples:\n  incidentd incidents list --open --severity critical,high\n  \
                            incidentd incidents list --service-id llm-gateway --watch\n  incidentd incidents list --json | jq .pagination.total"
    )]
    List(List),
    /// Show one with its timeline
    Show(Show),
    /// Acknowledge: somebody has it in hand, escalation stops
    #[command(visible_alias = "acknowledge")]
    Ack(Plain),
    /// Resolve: it is over
    Resolve(Resolve),
    /// Somebody looks for the cause
    Investigate(Plain),
    /// The cause is known
    Identify(Plain),
    /// Close: it is over for good
    Close(Plain),
    /// A resolved incident fires again
    Reopen(Plain),
    /// Say who is to take care of it
    Assign(Assign),
    /// A word for the timeline
    Note(Note),
    /// Nobody is told for so long
    Snooze(Snooze),
    /// Page the next level now
    Escalate(Plain),
    /// The remediation that waits may start
    Approve(Plain),
    /// The remediation that waits is not started
    Reject(Plain),
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    server: Server,
    /// Any of these: triggered, acknowledged, investigating, identified, resolved, closed
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    status: Vec<String>,
    /// What fires: neither resolved nor closed
    #[arg(long, conflicts_with = "status")]
    open: bool,
    /// Any of these: critical, high, medium, low, info
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    severity: Vec<String>,
    /// Any of these services
    #[arg(long, visible_alias = "service", value_name = "LIST", value_delimiter = ',')]
    service_id: Vec<String>,
    /// Any of these: production, staging, development
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    environment: Vec<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// After so many
    #[arg(long, value_name = "N", default_value_t = 0)]
    offset: u32,
    #[command(flatten)]
    watch: Watch,
}

#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    server: Server,
    #[arg(value_name = "INCIDENT")]
    id: String,
    #[command(flatten)]
    watch: Watch,
}

/// Who says so, and to which API.
#[derive(Args)]
struct Say {
    #[command(flatten)]
    server: Server,
    /// Who says so [default: the token's name, or without a token the variable USER]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    say: Say,
    #[arg(value_name = "INCIDENT", required = true, num_args = 1..=500)]
    ids: Vec<String>,
    /// Stands in the timeline
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Args)]
pub struct Resolve {
    #[command(flatten)]
    plain: Plain,
    /// What ended it
    #[arg(long, value_name = "TEXT")]
    resolution: Option<String>,
}

#[derive(Args)]
pub struct Assign {
    #[command(flatten)]
    say: Say,
    #[arg(value_name = "INCIDENT")]
    id: String,
    /// Who is to take care of it
    assignee: String,
    /// Stands in the timeline
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Args)]
pub struct Note {
    #[command(flatten)]
    say: Say,
    #[arg(value_name = "INCIDENT")]
    id: String,
    text: String,
}

#[derive(Args)]
pub struct Snooze {
    #[command(flatten)]
    plain: Plain,
    /// For how long, such as 30m or 2h
    #[arg(long = "for", value_name = "DURATION", value_parser = minutes)]
    minutes: u64,
}

fn minutes(text: &str) -> Result<u64, String> {
    let millis = parse_duration(text).ok_or("write a duration such as 30m, 2h or 1d")?;
    match u64::try_from(millis).unwrap_or(0).div_ceil(60_000) {
        minutes @ 1..=43_200 => Ok(minutes),
        _ => Err("from 1m to 30d".to_owned()),
    }
}

#[derive(Deserialize)]
struct Listed {
    incidents: Vec<Incident>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    total: u64,
    offset: u64,
}

/// What a command did.
#[derive(Deserialize)]
struct Taken {
    status: String,
    message: Option<String>,
}

impl Incidents {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Incidents::List(list) => list.run(),
            Incidents::Show(show) => show.run(),
            Incidents::Ack(plain) => plain.order("acknowledge", Map::new()),
            Incidents::Investigate(plain) => plain.order("investigate", Map::new()),
            Incidents::Identify(plain) => plain.order("identify", Map::new()),
            Incidents::Close(plain) => plain.order("close", Map::new()),
            Incidents::Reopen(plain) => plain.order("reopen", Map::new()),
            Incidents::Escalate(plain) => plain.order("escalate", Map::new()),
            Incidents::Approve(plain) => plain.order("approve_remediation", Map::new()),
            Incidents::Reject(plain) => plain.order("reject_remediation", Map::new()),
            Incidents::Resolve(Resolve { plain, resolution }) => plain.order("resolve", field("resolution", resolution)),
            Incidents::Snooze(Snooze { plain, minutes }) => {
                plain.order("snooze", Map::from_iter([("minutes".to_owned(), json!(minutes))]))
            }
            Incidents::Assign(Assign { say, id, assignee, note }) => {
                Plain { say, ids: vec![id], note }.order("assign", field("assignee", Some(assignee)))
            }
            Incidents::Note(Note { say, id, text }) => Plain { say, ids: vec![id], note: Some(text) }.order("note", Map::new()),
        }
    }
}

fn field(name: &str, value: Option<String>) -> Map<String, Value> {
    value.map(|value| (name.to_owned(), json!(value))).into_iter().collect()
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let remote = self.server.open()?;
        let query = self.query();
        let ask = || remote.ask(Method::GET, &["v1", "incidents"], &query, None);
        self.watch.run(ask, |answer| {
            if self.server.json {
                return print::line(answer);
            }
            let Listed { incidents, pagination } = read(answer)?;
            if incidents.is_empty() && pagination.total == 0 {
                return print::line("no incidents");
            }
            show::incidents(&incidents, Timestamp::now())?;
            let end = pagination.offset + incidents.len() as u64;
            match pagination.total > incidents.len() as u64 {
                true => print::line(format!("{end} of {}; the next: --offset {end}", pagination.total)),
                false => Ok(()),
            }
        })
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let open = "triggered,acknowledged,investigating,identified".to_owned();
        let lists = [
            ("status", if self.open { open } else { self.status.join(",") }),
            ("severity", self.severity.join(",")),
            ("service_id", self.service_id.join(",")),
            ("environment", self.environment.join(",")),
        ];
        let mut query: Vec<_> = lists.into_iter().filter(|(_, list)| !list.is_empty()).collect();
        query.extend([("limit", self.limit.to_string()), ("offset", self.offset.to_string())]);
        query
    }
}

impl Show {
    fn run(self) -> Result<(), Failure> {
        let remote = self.server.open()?;
        let ask = || remote.ask(Method::GET, &["v1", "incidents", &self.id], &[], None);
        self.watch.run(ask, |answer| match self.server.json {
            true => print::line(answer),
            false => show::incident(&read(answer)?, answer, Timestamp::now()),
        })
    }
}

impl Say {
    fn open(&self) -> Result<Remote, Failure> {
        self.server.open()
    }

    /// Whom the body names: a token has a name of its own.
    fn user(&self, remote: &Remote) -> Option<String> {
        let of_shell = || std::env::var("USER").ok().filter(|name| !name.is_empty() && !remote.has_token());
        self.user.clone().or_else(of_shell)
    }
}

impl Plain {
    /// The command to each of the incidents; what one refuses does not keep it from the others.
    fn order(self, name: &str, mut fields: Map<String, Value>) -> Result<(), Failure> {
        let remote = self.say.open()?;
        fields.extend(field("note", self.note.clone()));
        fields.extend(field("user", self.say.user(&remote)));
        let body = Value::Object(fields);
        let mut failures = Vec::new();
        for id in &self.ids {
            let done = remote.ask(Method::PATCH, &["v1", "incidents", id, name], &[], Some(&body));
            match done.and_then(|answer| self.told(id, &answer)) {
                Ok(()) => {}
                Err(failure) if self.ids.len() == 1 => return Err(failure),
                Err(failure) => failures.push(format!("{id}: {failure}")),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Failure::Wrong(failures.join("\n"))) }
    }

    fn told(&self, id: &str, answer: &str) -> Result<(), Failure> {
        if self.say.server.json {
            return print::line(answer);
        }
        let Taken { status, message } = read(answer)?;
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        print::line(show::plain(&format!("{id}  {status}{message}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snooze_is_whole_minutes() {
        for (text, wanted) in [("30m", Some(30)), ("90s", Some(2)), ("1h30m", Some(90)), ("30d", Some(43_200))] {
            assert_eq!(minutes(text).ok(), wanted, "{text}");
        }
        for text in ["0", "31d", "soon", "-5m", ""] {
            assert!(minutes(text).is_err(), "{text}");
        }
    }
}
