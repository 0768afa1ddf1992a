//! What comes in, made from a seed: alerts, duplicates, late ones, resolutions, commands and events, each with its moment.

use incidentd::model::home::home;
use incidentd::model::time::{MINUTE, SECOND};
use incidentd::model::{
    ActionId, Change, Command, Environment, EventBody, Fingerprint, IncidentCommand, IncidentId, Matcher, Measurement, Origin,
    RemediationOutcome, ServiceEvent, Severity, Silence, Time, Topic,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

pub const START: Time = Time(1_768_471_200_000);
pub const SERVICES: [&str; 7] = ["api", "gateway", "model", "cache", "left", "right", "lonely"];
/// Each depends on the other of its pair.
pub const DEPENDS: [(&str, &str); 5] =
    [("api", "gateway"), ("api", "cache"), ("gateway", "model"), ("left", "right"), ("right", "left")];
/// The same as a file.
pub const DEPENDENCIES: &str =
    "[dependencies]\napi = [\"gateway\", \"cache\"]\ngateway = [\"model\"]\nleft = [\"right\"]\nright = [\"left\"]\n";

/// An alert as a record; [`crate::sim::world`] makes the engine's of it.
#[derive(Clone, PartialEq, Debug)]
pub struct AlertRecord {
    pub origin: Origin,
    pub service: &'static str,
    pub key: u32,
    pub severity: Severity,
    pub environment: Environment,
    pub resolved: bool,
    pub timestamp: Time,
    pub source: Option<u32>,
}

impl AlertRecord {
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_dedup_key(&self.key.to_string())
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    Alert(AlertRecord),
    Command(Command, Time),
    Event(ServiceEvent),
}

/// One record, `after` the one before it, into `partition`.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub after: i64,
    pub partition: u32,
    pub record: Record,
}

/// What the script leaves out where only links are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    All,
    Links,
}

fn pause(random: &mut StdRng) -> i64 {
    match random.random_range(0..20) {
        0..8 => 0,
        8..14 => random.random_range(0..5_000),
        14..18 => random.random_range(0..2 * MINUTE),
        18 => random.random_range(0..12 * MINUTE),
        _ => random.random_range(0..50 * MINUTE),
    }
}

pub fn script(random: &mut StdRng, partitions: u32, kind: Kind) -> Vec<Arrival> {
    let mut now = START;
    let mut offsets = vec![0; partitions as usize];
    let mut alerts: Vec<AlertRecord> = Vec::new();
    let mut script = Vec::new();
    // Producers that key otherwise than by service. Where links are compared each service has one place, and nobody says
    // anything: a command that overtakes its alert on the way would make other incidents.
    let mut aside = StdRng::seed_from_u64(random.clone().random());
    let strays = kind == Kind::All || aside.random_bool(0.3);
    let places: Vec<u32> = SERVICES
        .iter()
        .map(|service| match strays && kind == Kind::Links && aside.random_bool(0.4) {
            true => aside.random_range(0..partitions),
            false => home(service.as_bytes(), partitions),
        })
        .collect();
    for number in 0..random.random_range(8..45) {
        let after = pause(random);
        now = now + after;
        let choice = random.random_range(
            0..if kind == Kind::All {
                100
            } else if strays {
                70
            } else {
                80
            },
        );
        let stray = (kind == Kind::All && aside.random_bool(0.08)).then(|| aside.random_range(0..partitions));
        let (partition, record) = match choice {
            0..70 => {
                let place = |service: &str| {
                    let place = SERVICES.iter().position(|other| **other == *service).map(|at| places[at]);
                    stray.or(place).expect("one of ours")
                };
                let alert = alert(random, now, &alerts, place, &mut offsets);
                alerts.push(alert.clone());
                (alert.origin.partition, Record::Alert(alert))
            }
            70..92 => {
                let id = alerts.get(random.random_range(0..alerts.len().max(1))).map(|alert| incident(alert, partitions));
                let Some(id) = id else { continue };
                let act = act(random, id, kind);
                let command = Command::Incident { id, user: Some("ann".to_owned()), note: None, act };
                (u32::from(id.partition), Record::Command(command, now))
            }
            92..96 => {
                let id = format!("silence-{}", random.random_range(0..3));
                let command = match random.random_bool(0.25) {
                    true => Command::ExpireSilence { id: id.clone(), user: None },
                    false => Command::Silence(silence(random, id.clone(), now)),
                };
                (home(id.as_bytes(), partitions), Record::Command(command, now))
            }
            _ => {
                let service = SERVICES[random.random_range(0..SERVICES.len())];
                let event = ServiceEvent { service_id: service.to_owned(), body: event(random, number, now) };
                (home(service.as_bytes(), partitions), Record::Event(event))
            }
        };
        script.push(Arrival { after, partition: stray.unwrap_or(partition), record });
    }
    script
}

fn alert(
    random: &mut StdRng,
    now: Time,
    before: &[AlertRecord],
    place: impl Fn(&str) -> u32,
    offsets: &mut [i64],
) -> AlertRecord {
    // Often of an identity that was there before; now and then the very same once more.
    let known = before.get(random.random_range(0..before.len().max(1))).filter(|_| random.random_bool(0.6)).cloned();
    let fresh = AlertRecord {
        origin: Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 },
        service: SERVICES[random.random_range(0..SERVICES.len())],
        key: random.random_range(0..30),
        severity: Severity::ALL[random.random_range(0..Severity::ALL.len())],
        environment: if random.random_bool(0.9) { Environment::Production } else { Environment::Staging },
        resolved: false,
        timestamp: now,
        source: random.random_bool(0.3).then(|| random.random_range(0..3)),
    };
    let mut alert = known.clone().unwrap_or(fresh);
    if !random.random_bool(0.1) {
        alert.timestamp = now;
    }
    if random.random_bool(0.15) {
        alert.timestamp = alert.timestamp + -random.random_range(0..20 * MINUTE);
    }
    if random.random_bool(0.2) {
        alert.severity = Severity::ALL[random.random_range(0..Severity::ALL.len())];
    }
    alert.resolved = known.is_some() && random.random_bool(0.35);
    let partition = place(alert.service);
    alert.origin = Origin { topic: Topic::Alerts, partition, offset: offsets[partition as usize], index: 0 };
    offsets[partition as usize] += 1;
    alert
}

/// The incident that the alert opens, if it opens one.
fn incident(alert: &AlertRecord, partitions: u32) -> IncidentId {
    IncidentId::derive(home(alert.service.as_bytes(), partitions) as u16, &alert.origin)
}

fn act(random: &mut StdRng, id: IncidentId, kind: Kind) -> IncidentCommand {
    use IncidentCommand::*;
    let action = |rule| ActionId::derive(id, "remediation", rule, "triggered:0", 0);
    match random.random_range(0..if kind == Kind::All { 16 } else { 5 }) {
        0 | 1 => Acknowledge,
        2 => Investigate,
        3 => Identify,
        4 => Resolve { resolution: None },
        5 | 6 => Resolve { resolution: Some("fixed".to_owned()) },
        7 => Reopen,
        8 => Close,
        9 | 10 => Snooze { minutes: random.random_range(1..30) },
        11 => Escalate,
        12 => ApproveRemediation,
        13 => RejectRemediation,
        14 => Note,
        _ => RemediationResult {
            action_id: action(["restart", "budgeted", "approved"][random.random_range(0..3)]),
            outcome: [RemediationOutcome::Started, RemediationOutcome::Succeeded, RemediationOutcome::Failed]
                [random.random_range(0..3)],
            error: None,
        },
    }
}

fn silence(random: &mut StdRng, id: String, now: Time) -> Silence {
    let service = SERVICES[random.random_range(0..SERVICES.len())];
    let starts_at = now + random.random_range(-MINUTE..5 * MINUTE);
    Silence {
        id,
        matchers: vec![Matcher { name: "service_id".to_owned(), value: service.to_owned(), is_regex: false, is_equal: true }],
        starts_at,
        ends_at: starts_at + random.random_range(SECOND..40 * MINUTE),
        created_by: None,
        comment: None,
        updated_at: now,
    }
}

fn event(random: &mut StdRng, number: u32, now: Time) -> EventBody {
    if random.random_bool(0.5) {
        let id = Some(number.to_string());
        EventBody::Change(Change { kind: "deployment".to_owned(), description: String::new(), timestamp: now, id })
    } else {
        let reading = Measurement { value: random.random_range(0.0..200.0), unit: None, timestamp: now };
        EventBody::Measurement { metric: "queue".to_owned(), reading }
    }
}
