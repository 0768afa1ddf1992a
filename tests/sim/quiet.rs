//! Who is kept quiet, and by whom (SPEC 4.4), said once more apart from the engine: asked whenever all that has come in is
//! worked off, so that it holds too while something is silenced or snoozed, and not only when all is over.

use crate::sim::rules::Set;
use crate::sim::script::DEPENDS;
use crate::sim::story::{Story, brief};
use crate::sim::world::World;
use incidentd::model::time::{HOUR, MINUTE, Millis, SECOND};
use incidentd::model::{Incident, IncidentId, Status, Time, TimelineEvent};
use std::cmp::Reverse;

const WINDOW: Millis = 30 * MINUTE;
const GRACE: Millis = 6 * MINUTE;

/// What is known at a moment at which nothing is left to do.
struct Rest<'w> {
    story: &'w Story,
    now: Time,
    /// When anything was read, or said, last: a shard that nobody had hears late.
    worked_at: Time,
    /// By so much the clocks of those that wrote may have been off.
    skew: Millis,
    /// Longer than a better parent that changes nothing of who is told waits for its name.
    names_within: Millis,
    /// Longer than an opening takes: from then on an incident of which nobody was told will not be told of by it.
    opens_within: Millis,
}

pub fn check(world: &mut World) {
    let World { story, out, txns, .. } = world;
    story.read(out.committed(txns));
    let rest = Rest {
        story: &world.story,
        now: world.now,
        worked_at: world.worked_at,
        skew: if world.skews { 2 * HOUR } else { 0 },
        // A look, and the publication that it leaves it to.
        names_within: 2 * world.settings.publish_interval,
        opens_within: match world.set {
            // The hold.
            Set::Plain | Set::Quiet => 2 * SECOND,
            // Remediations are waited for, digests gather, and the limit holds them back for an hour.
            Set::All | Set::Other => 3 * HOUR,
        },
    };
    for child in rest.story.last.values().filter(|incident| incident.status.fires()) {
        if child.suppressed {
            rest.is_by_who_may(child);
        }
        rest.is_by_the_best(child);
    }
}

impl Rest<'_> {
    /// Whoever is suppressed is so by somebody who may.
    fn is_by_who_may(&self, child: &Incident) {
        let parent = child.parent_incident_id.and_then(|parent| self.story.last.get(&parent));
        let Some(parent) = parent else { panic!("suppressed by nobody: {}", brief(child)) };
        let says =
            |what: &str| format!("at {}: suppressed by one that {what}:\n  {}\n  {}", self.now, brief(child), brief(parent));
        let over = self.story.over(parent.id);
        assert!(over == Time::NEVER || self.now < over + (GRACE + self.skew), "{}", says("fires no more, and the grace is over"));
        assert!(parent.severity >= child.severity, "{}", says("matters less"));
        assert!(parent.environment == child.environment, "{}", says("is of another environment"));
        assert!(!mutes(parent), "{}", says("is muted"));
        // One that is suppressed is its own parent's affair.
        // An opening may have been interrupted for as long as nobody had its shard, or its desk's.
        let tries = parent.timeline.iter().filter(|entry| entry.event == TimelineEvent::AutoRemediation);
        let opened = tries.map(|entry| entry.timestamp).fold(self.story.opened(parent.id).max(self.worked_at), Time::max);
        let waits = self.now < opened + (self.opens_within + self.skew);
        let known = parent.suppressed || !parent.status.fires() || self.story.told(parent.id);
        assert!(known || waits, "{}", says("nobody was told of"));
        let (own, others) = (child.service_id.as_str(), parent.service_id.as_str());
        match kind(child) {
            "duplicate" => {
                assert!(own == others && parent.fingerprint == child.fingerprint, "{}", says("is another identity"));
            }
            "cascade" => {
                assert!(DEPENDS.contains(&(own, others)), "{}", says("it does not depend on"));
                assert!(apart(child, parent) <= WINDOW, "{}", says("was there at another time"));
                assert!(in_order(child, parent), "{}", says("is the later of a cycle"));
            }
            _ => panic!("{}", says("is no parent")),
        }
    }

    /// Of those that certainly may suppress it none is passed over: it is suppressed, and by one that is no worse.
    fn is_by_the_best(&self, child: &Incident) {
        let parent = child.parent_incident_id.and_then(|id| self.story.last.get(&id));
        let says = |better: &Incident| format!("at {}: passed over:\n  {}\n  {}", self.now, brief(better), brief(child));
        if kind(child) == "duplicate" {
            // Once its root was over, and the grace too, it is on its own, should the root come back.
            let had = |incident: &Incident, what| incident.timeline.iter().any(|entry| entry.event == what);
            let leaves = had(child, TimelineEvent::Unsuppressed) || had(child, TimelineEvent::Reopened);
            let certain = |root: &&Incident| root.status.fires() && !(leaves && had(root, TimelineEvent::Resolved));
            let root = parent.map(AsRef::as_ref).filter(certain).filter(|root| self.certainly_may(root, child));
            return assert!(child.suppressed || root.is_none(), "{}", root.map_or(String::new(), says));
        }
        // One that is over stays its parent, and suppresses it only for the grace.
        let held = parent.filter(|parent| child.suppressed || (!parent.status.fires() && is_no_less(parent, child)));
        for better in self.story.last.values() {
            if is_certainly_candidate(better, child) && self.certainly_may(better, child) {
                let Some(held) = held else { panic!("{}", says(better)) };
                // A better parent that changes nothing of who is told becomes it as counts are published.
                let waits = self.now < self.worked_at + (self.names_within + self.skew);
                assert!(waits || place(held, child) >= place(better, child), "{}\n  for {}", says(better), brief(held));
            }
        }
    }

    /// Where it hangs on what its own shard alone knows, it is not certain.
    fn certainly_may(&self, parent: &Incident, child: &Incident) -> bool {
        is_no_less(parent, child)
            && !mutes(parent)
            && !parent.timeline.iter().any(|entry| entry.event == TimelineEvent::Flapping)
            && !self.story.untraceable
            && (parent.suppressed || self.story.surely_told(parent.id))
    }
}

/// One that was active all the time was so when the child opened.
fn is_certainly_candidate(parent: &Incident, child: &Incident) -> bool {
    use TimelineEvent::{Identified, Resolved};
    DEPENDS.contains(&(&child.service_id, &parent.service_id))
        && matches!(parent.status, Status::Triggered | Status::Acknowledged | Status::Investigating)
        && !parent.timeline.iter().any(|entry| matches!(entry.event, Identified | Resolved))
        && kind(parent) != "duplicate"
        && apart(child, parent) <= WINDOW
        && in_order(child, parent)
}

fn kind(incident: &Incident) -> &str {
    incident.correlation.as_ref().map_or("", |found| found.kind.as_str())
}

fn is_no_less(parent: &Incident, child: &Incident) -> bool {
    parent.environment == child.environment && parent.severity >= child.severity
}

fn mutes(incident: &Incident) -> bool {
    incident.status.fires() && (!incident.silenced_by.is_empty() || incident.snoozed_until.is_some())
}

fn apart(one: &Incident, other: &Incident) -> Millis {
    (one.first_seen_at - other.first_seen_at).abs()
}

/// Of two that depend on each other only the earlier may be parent of the later.
fn in_order(child: &Incident, parent: &Incident) -> bool {
    let mutual = DEPENDS.contains(&(&parent.service_id, &child.service_id));
    !mutual || (parent.first_seen_at, parent.id) < (child.first_seen_at, child.id)
}

/// The greatest is the best: the newest that was there before the child, else the oldest after it.
fn place(parent: &Incident, child: &Incident) -> (bool, Ordered) {
    let key = (parent.first_seen_at, parent.id);
    match parent.first_seen_at <= child.first_seen_at {
        true => (true, Ordered::Up(key)),
        false => (false, Ordered::Down(Reverse(key))),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Ordered {
    Up((Time, IncidentId)),
    Down(Reverse<(Time, IncidentId)>),
}
