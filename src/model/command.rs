//! What a person or a program tells incidentd to do (SPEC 3.3).

use crate::model::{ActionId, IncidentId, Receipt, Silence, home};

/// A record of `commands`.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    Incident { id: IncidentId, user: Option<String>, note: Option<String>, act: IncidentCommand },
    Silence(Silence),
    ExpireSilence { id: String, user: Option<String> },
}

/// What is to happen to one incident.
#[derive(Clone, PartialEq, Debug)]
pub enum IncidentCommand {
    Acknowledge,
    Investigate,
    Identify,
    Resolve {
        resolution: Option<String>,
    },
    Close,
    Reopen,
    Assign {
        assignee: String,
    },
    Note,
    Snooze {
        minutes: u64,
    },
    /// The next level now.
    Escalate,
    ApproveRemediation,
    RejectRemediation,
    RemediationResult {
        action_id: ActionId,
        outcome: RemediationOutcome,
        error: Option<String>,
    },
    DeliveryReceipt {
        action_id: ActionId,
        receipt: Receipt,
        attempts: u64,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemediationOutcome {
    Started,
    Succeeded,
    Failed,
}

impl Command {
    /// As a record has it in `command`.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Silence(_) => "silence",
            Command::ExpireSilence { .. } => "expire_silence",
            Command::Incident { act, .. } => act.name(),
        }
    }

    /// The partition whose shard it is for (SPEC 2, «Home»).
    pub fn home(&self, partitions: u32) -> u32 {
        match self {
            Command::Incident { id, .. } => u32::from(id.partition),
            Command::Silence(Silence { id, .. }) | Command::ExpireSilence { id, .. } => home::home(id.as_bytes(), partitions),
        }
    }
}

impl IncidentCommand {
    fn name(&self) -> &'static str {
        match self {
            IncidentCommand::Acknowledge => "acknowledge",
            IncidentCommand::Investigate => "investigate",
            IncidentCommand::Identify => "identify",
            IncidentCommand::Resolve { .. } => "resolve",
            IncidentCommand::Close => "close",
            IncidentCommand::Reopen => "reopen",
            IncidentCommand::Assign { .. } => "assign",
            IncidentCommand::Note => "note",
            IncidentCommand::Snooze { .. } => "snooze",
            IncidentCommand::Escalate => "escalate",
            IncidentCommand::ApproveRemediation => "approve_remediation",
            IncidentCommand::RejectRemediation => "reject_remediation",
            IncidentCommand::RemediationResult { .. } => "remediation_result",
            IncidentCommand::DeliveryReceipt { .. } => "delivery_receipt",
        }
    }
}
