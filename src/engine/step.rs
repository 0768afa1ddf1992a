//! What one input does: changes of state and what is said, decided together and applied together (ARCHITECTURE 2).

use crate::engine::attempts::{Attempt, AttemptKey};
use crate::engine::budget::Grant;
use crate::engine::desks::DeskChange;
use crate::engine::entry::{Counts, Full, Slot};
use crate::engine::sources::Signal;
use crate::model::{Incident, IncidentId, Output, ServiceContext, Silence, Time, Upstream};
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;

/// The outcome of [`crate::engine::Shard::step`]; nothing has happened until it is applied.
pub struct Step<'o, 'a> {
    /// Nearly always one.
    pub changes: SmallVec<[Change<'a>; 1]>,
    pub outputs: &'o mut Vec<Output>,
}

impl<'o> Step<'o, '_> {
    pub fn new(outputs: &'o mut Vec<Output>) -> Self {
        Step { changes: SmallVec::new(), outputs }
    }

    /// The newest version of an incident that this step, or one before it, has published.
    pub fn last_shown(&self, id: IncidentId) -> Option<Arc<Incident>> {
        self.outputs.iter().rev().find_map(|output| match output {
            Output::Incident(incident) if incident.id == id => Some(Arc::clone(incident)),
            _ => None,
        })
    }

    /// As it stands in the newest version published here, or else as it is.
    pub fn shown(&self, full: &Full) -> Arc<Incident> {
        self.last_shown(full.incident.id).unwrap_or_else(|| Arc::new(full.incident.clone()))
    }
}

pub enum Change<'a> {
    /// At a rule's desk.
    Desk(DeskChange),
    /// An incident's counts, and its source's times where one fired.
    Count {
        slot: Slot,
        counts: Counts,
        fired: Option<Signal<'a>>,
    },
    /// An incident, new or changed, whole.
    Put {
        slot: Option<Slot>,
        full: Box<Full>,
    },
    /// An occurrence of its duplicate keeps it from going stale. `at`: wall time.
    Touch {
        slot: Slot,
        at: Time,
    },
    /// Whether it would hang on another was worked out.
    Seen {
        slot: Slot,
    },
    /// A newer incident was found to be related to it.
    Related {
        slot: Slot,
        id: IncidentId,
    },
    /// A closed incident leaves; only its id stays.
    Close {
        slot: Slot,
        forget_at: Time,
    },
    /// A closed incident's id goes too.
    Forget {
        id: IncidentId,
    },
    /// A silence, new or changed.
    Silence(Silence),
    /// Whom it concerns was judged by it.
    SilenceJudged {
        id: String,
        now: Time,
    },
    SilenceOver {
        id: String,
    },
    /// An incident of another service on which ours may hang. `now`: wall time.
    Upstream {
        fact: Arc<Upstream>,
        now: Time,
    },
    ForgetUpstream {
        id: IncidentId,
    },
    /// A remediation was tried.
    Attempt {
        key: AttemptKey,
        attempt: Attempt,
    },
    ForgetAttempt {
        key: AttemptKey,
    },
    /// What a remediation rule's budget has granted in the last hour; nothing: it is forgotten.
    Budget {
        rule: String,
        grants: Vec<Grant>,
    },
    /// What is known of a service.
    Context {
        service_id: String,
        context: Rc<ServiceContext>,
    },
}
