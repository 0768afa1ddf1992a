//! `silences`: lists, adds and expires them, over the HTTP API, with matchers in amtool's syntax.

use crate::app::Failure;
use crate::cli::remote::{Remote, Server, read};
use crate::cli::watch::Watch;
use crate::cli::{print, show};
use crate::codec::{matcher_text, read_matchers};
use crate::config::parse_duration;
use crate::model::{Matcher, Time};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Subcommand)]
pub enum Silences {
    /// List silences, the one that ends last first
    #[command(visible_alias = "ls")]
    List(List),
    /// Keep what matches quiet for a while
    #[command(
        after_help = "Examples:\n  incidentd silences add service_id=api 'region=~eu-.*' --for 2h --comment \"moving racks\"\n  \
                            incidentd silences add 'title=~\"GPU .*\"' severity!=critical --until 2026-01-31T12:00:00Z\n\n\
                            A matcher names a label, or service_id, severity, category, environment, title. All must hold; an\n\
                            expression is for the whole text; one that could match everything is refused."
    )]
    Add(Add),
    /// End silences now
    Expire(Expire),
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    watch: Watch,
}

#[derive(Args)]
pub struct Add {
    #[command(flatten)]
    server: Server,
    /// NAME=VALUE, NAME!=VALUE, NAME=~REGEX, NAME!~REGEX
    #[arg(required = true, value_name = "MATCHER", value_parser = matchers)]
    matchers: Vec<Matchers>,
    /// For how long, such as 2h or 1d12h
    #[arg(long = "for", value_name = "DURATION", value_parser = length, required_unless_present = "until")]
    length: Option<i64>,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "length")]
    until: Option<Time>,
    /// From when on [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Time>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Changes the silence of that id, or makes one that has it
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Who says so [default: the token's name, or without a token the variable USER]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

#[derive(Args)]
pub struct Expire {
    #[command(flatten)]
    server: Server,
    #[arg(value_name = "SILENCE", required = true, num_args = 1..=500)]
    ids: Vec<String>,
}

/// Those of one argument.
type Matchers = Vec<Wire>;

/// A matcher in Alertmanager's shape.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: String,
    value: String,
    is_regex: bool,
    is_equal: bool,
}

fn matchers(text: &str) -> Result<Matchers, String> {
    let wire = |it: Matcher| Wire { name: it.name, value: it.value, is_regex: it.is_regex, is_equal: it.is_equal };
    Ok(read_matchers(text)?.into_iter().map(wire).collect())
}

fn length(text: &str) -> Result<i64, String> {
    parse_duration(text).filter(|millis| *millis > 0).ok_or_else(|| "write a duration such as 30m, 2h or 1d12h".to_owned())
}

fn moment(text: &str) -> Result<Time, String> {
    Time::parse(text).ok_or_else(|| "write a time such as 2026-01-31T12:00:00Z".to_owned())
}

#[derive(Deserialize)]
struct Listed {
    silences: Vec<Silence>,
}

#[derive(Deserialize)]
struct Silence {
    id: String,
    matchers: Vec<Wire>,
    starts_at: Timestamp,
    ends_at: Timestamp,
    created_by: Option<String>,
    comment: Option<String>,
}

#[derive(Deserialize)]
struct Changed {
    status: String,
    silence: Option<Named>,
    silence_id: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

impl Silences {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Silences::List(list) => list.run(),
            Silences::Add(add) => add.run(),
            Silences::Expire(expire) => expire.run(),
        }
    }
}

impl List {
    fn run(self) -> Result<(), Failure> {
        let remote = self.server.open()?;
        let ask = || remote.ask(Method::GET, &["v1", "silences"], &[], None);
        self.watch.run(ask, |answer| {
            if self.server.json {
                return print::line(answer);
            }
            let Listed { silences } = read(answer)?;
            if silences.is_empty() {
                return print::line("no silences");
            }
            let now = Timestamp::now();
            show::rows(["ID", "STATE", "MATCHERS", "ENDS", "BY", "COMMENT"], silences.into_iter().map(|it| it.row(now)))
        })
    }
}

impl Silence {
    fn row(self, now: Timestamp) -> [String; 6] {
        let (state, ends) = match (now >= self.ends_at, now < self.starts_at) {
            (true, _) => ("over", format!("{} ago", show::age(self.ends_at, now))),
            (false, true) => ("planned", self.ends_at.to_string()),
            (false, false) => ("active", format!("in {}", show::age(now, self.ends_at))),
        };
        let text =
            |it: Wire| matcher_text(&Matcher { name: it.name, value: it.value, is_regex: it.is_regex, is_equal: it.is_equal });
        let matchers: Vec<String> = self.matchers.into_iter().map(text).collect();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [self.id, state.to_owned(), matchers.join(" "), ends, or_none(self.created_by), or_none(self.comment)]
    }
}

impl Add {
    fn run(self) -> Result<(), Failure> {
        let remote = self.server.open()?;
        let answer = remote.ask(Method::POST, &["v1", "silences"], &[], Some(&Value::Object(self.body(&remote))))?;
        told(&answer, self.server.json)
    }

    fn body(&self, remote: &Remote) -> Map<String, Value> {
        let now = Time(Timestamp::now().as_millisecond());
        let ends_at = self.until.unwrap_or_else(|| self.from.unwrap_or(now).after(self.length.unwrap_or_default()));
        let user = || std::env::var("USER").ok().filter(|name| !name.is_empty() && !remote.has_token());
        let optional = [
            ("silence_id", self.id.clone()),
            ("starts_at", self.from.map(|from| from.to_string())),
            ("comment", self.comment.clone()),
            ("user", self.user.clone().or_else(user)),
        ];
        let mut body: Map<String, Value> =
            optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))).collect();
        body.insert("matchers".to_owned(), json!(self.matchers.concat()));
        body.insert("ends_at".to_owned(), json!(ends_at));
        body
    }
}

impl Expire {
    fn run(self) -> Result<(), Failure> {
        let remote = self.server.open()?;
        let mut failures = Vec::new();
        for id in &self.ids {
            let done = remote.ask(Method::DELETE, &["v1", "silences", id], &[], None);
            match done.and_then(|answer| told(&answer, self.server.json)) {
                Ok(()) => {}
                Err(failure) if self.ids.len() == 1 => return Err(failure),
                Err(failure) => failures.push(format!("{id}: {failure}")),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Failure::Wrong(failures.join("\n"))) }
    }
}

fn told(answer: &str, json: bool) -> Result<(), Failure> {
    if json {
        return print::line(answer);
    }
    let Changed { status, silence, silence_id, message } = read(answer)?;
    let id = silence.map(|silence| silence.id).or(silence_id).unwrap_or_default();
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    print::line(show::plain(&format!("{id}  {status}{message}")))
}
