//! The words of the domain as plain data: what an alert, an incident, an action and a decision are.
//!
//! Invariant: nothing here reads a clock, a socket, a file or randomness, and nothing here imports another part of
//! incidentd.

pub mod action;
pub mod alert;
pub mod command;
pub mod decision;
pub mod event;
pub mod fact;
pub mod fingerprint;
pub mod home;
pub mod id;
pub mod incident;
pub mod number;
pub mod output;
pub mod policy;
pub mod remedy;
pub mod service;
pub mod severity;
pub mod silence;
pub mod status;
pub mod text;
pub mod time;
pub mod zone;

pub use action::{Action, ActionKind, Channel, DigestEntry, LimitNotice};
pub use alert::{Alert, AlertBody, AlertOutcome, AlertStatus, CurrentValue, Environment};
pub use command::{Command, IncidentCommand, RemediationOutcome};
pub use decision::{Decision, Verdict, Why};
pub use event::{EventSet, RuleEvent};
pub use fact::{BudgetAnswer, BudgetAsk, DeskAnswer, DeskItem, DeskOutcome, DigestTerms, Fact, Upstream};
pub use fingerprint::Fingerprint;
pub use id::{ActionId, IncidentId, Origin, Topic};
pub use incident::{Correlation, Incident, Receipt, TimelineEntry, TimelineEvent};
pub use output::Output;
pub use policy::{BusinessHours, Level, Person, Repeat, Target, TargetKind};
pub use remedy::Remedy;
pub use service::{Change, EventBody, Measurement, ServiceContext, ServiceEvent};
pub use severity::Severity;
pub use silence::{Matcher, Silence, Test};
pub use status::Status;
pub use text::{Labels, Metadata};
pub use time::Time;
pub use zone::Zone;
