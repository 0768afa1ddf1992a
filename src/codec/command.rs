//! A record of `commands` (SPEC 3.3). Fields that a command does not have are ignored, for senders add their own.

use crate::codec::fields::{self, NAME, PROSE};
use crate::codec::found::quoted;
use crate::codec::{Settings, native, silence};
use crate::model::{ActionId, Command, IncidentCommand, IncidentId, Receipt, RemediationOutcome, Time};
use serde_json::{Map, Value};

/// 30 days, the longest that a snooze may be.
const SNOOZE_MOST: u64 = 30 * 24 * 60;

/// Every command, in the SPEC's order.
pub const COMMANDS: [&str; 16] = [
    "acknowledge",
    "investigate",
    "identify",
    "resolve",
    "close",
    "reopen",
    "assign",
    "note",
    "snooze",
    "escalate",
    "approve_remediation",
    "reject_remediation",
    "silence",
    "expire_silence",
    "remediation_result",
    "delivery_receipt",
];

/// Reads a record of `commands` with the Kafka timestamp `time`, or says which field is wrong and what would be right.
pub fn read_command(value: Option<&[u8]>, time: Time, settings: &Settings) -> Result<Command, String> {
    let map = fields::record("a command", value, settings)?;
    let name = native::text(&map, "command")?;
    match name {
        "" => Err(format!("command: missing or empty; there are {}", COMMANDS.join(", "))),
        "silence" => silence::read(&map, time).map(Command::Silence),
        "expire_silence" => Ok(Command::ExpireSilence { id: silence::id(&map)?, user: fields::optional(&map, "user", NAME)? }),
        name => {
            let act = act(name, &map, time)?;
            let (user, note) = (fields::optional(&map, "user", NAME)?, fields::optional(&map, "note", PROSE)?);
            if act == IncidentCommand::Note && note.is_none() {
                return Err("note: missing or empty; say what is to be noted".to_owned());
            }
            Ok(Command::Incident { id: incident_id(&map)?, user, note, act })
        }
    }
}

fn incident_id(map: &Map<String, Value>) -> Result<IncidentId, String> {
    let text = fields::required(map, "incident_id", NAME, "name the incident that it is about")?;
    let error = |_| format!("incident_id: expected `inc_` and 20 lower-case hex digits, found {}", quoted(&text));
    text.parse().map_err(error)
}

fn action_id(map: &Map<String, Value>) -> Result<ActionId, String> {
    fields::required(map, "action_id", NAME, "name the action that it is about, as its record has it in `id`").map(ActionId)
}

/// What is to happen to an incident.
fn act(name: &str, map: &Map<String, Value>, time: Time) -> Result<IncidentCommand, String> {
    Ok(match name {
        "acknowledge" => IncidentCommand::Acknowledge,
        "investigate" => IncidentCommand::Investigate,
        "identify" => IncidentCommand::Identify,
        "resolve" => IncidentCommand::Resolve { resolution: fields::optional(map, "resolution", PROSE)? },
        "close" => IncidentCommand::Close,
        "reopen" => IncidentCommand::Reopen,
        "assign" => IncidentCommand::Assign {
            assignee: fields::required(map, "assignee", NAME, "name the person that it is assigned to")?,
        },
        "note" => IncidentCommand::Note,
        "snooze" => IncidentCommand::Snooze {
            minutes: fields::whole(map, "minutes", 1, SNOOZE_MOST)?
                .ok_or_else(|| format!("minutes: missing; a whole number from 1 to {SNOOZE_MOST} is required"))?,
        },
        "escalate" => IncidentCommand::Escalate,
        "approve_remediation" => IncidentCommand::ApproveRemediation,
        "reject_remediation" => IncidentCommand::RejectRemediation,
        "remediation_result" => IncidentCommand::RemediationResult {
            action_id: action_id(map)?,
            outcome: outcome(native::text(map, "outcome")?)?,
            error: fields::report(map, "error")?,
        },
        "delivery_receipt" => IncidentCommand::DeliveryReceipt {
            action_id: action_id(map)?,
            receipt: Receipt {
                channel: fields::required(map, "channel", NAME, "name the channel, such as `slack`")?,
                target: fields::required(map, "target", NAME * 8, "name whom or what it was sent to")?,
                sent_at: fields::moment(map, "sent_at")?.unwrap_or(time),
                delivered: match map.get("delivered") {
                    None | Some(Value::Null) => return Err("delivered: missing; true or false is required".to_owned()),
                    Some(_) => fields::boolean(map, "delivered", false)?,
                },
                error: fields::report(map, "error")?,
            },
            attempts: fields::whole(map, "attempts", 0, 1_000_000)?.unwrap_or(1),
        },
        unknown => return Err(no_such(unknown)),
    })
}

fn outcome(word: &str) -> Result<RemediationOutcome, String> {
    match word {
        "started" => Ok(RemediationOutcome::Started),
        "succeeded" => Ok(RemediationOutcome::Succeeded),
        "failed" => Ok(RemediationOutcome::Failed),
        "" => Err("outcome: missing or empty; `started`, `succeeded` or `failed` is required".to_owned()),
        other => Err(format!("outcome: expected `started`, `succeeded` or `failed`, found {}", quoted(other))),
    }
}

#[cold]
fn no_such(name: &str) -> String {
    // A long word is like none, and would take long to be compared.
    let near = COMMANDS.iter().filter(|_| name.len() <= 64).map(|known| (strsim::jaro_winkler(known, name), *known));
    let nearest = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    let meant = nearest.map_or_else(String::new, |(_, known)| format!(" (did you mean `{known}`?)"));
    format!("command: there is no {}{meant}; there are {}", quoted(name), COMMANDS.join(", "))
}
