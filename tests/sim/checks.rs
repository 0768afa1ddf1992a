//! What must hold when all has come to rest (ARCHITECTURE, Tests; the letters are those of the failures).

use crate::sim::rules::Set;
use crate::sim::script::DEPENDS;
use crate::sim::world::{INBOX, Line, Said, World, counts};
use incidentd::model::time::{HOUR, MINUTE};
use incidentd::model::{Action, ActionKind, Environment, Incident, IncidentId, Output, Severity, Status, TimelineEvent};
use std::collections::{BTreeMap, BTreeSet};

/// The committed life of each incident.
struct Story<'w> {
    last: BTreeMap<IncidentId, &'w Incident>,
    /// The place in the log at which its last epoch began.
    opened: BTreeMap<IncidentId, usize>,
    /// The place of the last action about it.
    told: BTreeMap<IncidentId, usize>,
}

impl Story<'_> {
    /// Was anybody told of it since its last epoch began?
    fn told(&self, id: IncidentId) -> bool {
        self.told.get(&id).is_some_and(|told| self.opened.get(&id).is_some_and(|opened| told > opened))
    }
}

fn openings(incident: &Incident) -> usize {
    use TimelineEvent::*;
    let opens = |event| matches!(event, Triggered | Reopened | Unsuppressed | Unacknowledged);
    incident.timeline.iter().filter(|entry| opens(entry.event)).count()
}

fn about(action: &Action) -> Vec<IncidentId> {
    match &action.kind {
        ActionKind::Notice { .. } | ActionKind::Remediation { .. } => Vec::new(),
        ActionKind::Digest { incidents, .. } => incidents.iter().map(|entry| entry.id).collect(),
        ActionKind::Notification { .. } | ActionKind::Escalation { .. } => vec![action.incident.id],
    }
}

fn story(world: &World) -> Story<'_> {
    let mut story = Story { last: BTreeMap::new(), opened: BTreeMap::new(), told: BTreeMap::new() };
    let mut digest_overflowed = false;
    for (place, line) in world.committed().enumerate() {
        match &line.said {
            Said::Output(Output::Incident(incident)) => {
                if let Some(before) = story.last.get(&incident.id) {
                    assert!(before.version < incident.version, "the version of {} does not rise", incident.id);
                }
                let before = story.last.insert(incident.id, incident).map_or(0, openings);
                if openings(incident) > before {
                    story.opened.insert(incident.id, place);
                }
            }
            Said::Output(Output::Action(action)) => {
                for id in about(action) {
                    story.told.insert(id, place);
                }
                digest_overflowed |= matches!(&action.kind, ActionKind::Digest { more: 1.., .. });
            }
            _ => {}
        }
    }
    if digest_overflowed {
        // Who is past the limit is only counted: told of, without a name.
        let all: Vec<IncidentId> = story.last.keys().copied().collect();
        story.told.extend(all.into_iter().map(|id| (id, usize::MAX)));
    }
    story
}

/// A, D: no action twice by its id, none before its time, none of a rule about one incident out of order.
pub fn actions(world: &World) {
    let mut ids = BTreeSet::new();
    let mut versions: BTreeMap<(IncidentId, &str), u64> = BTreeMap::new();
    for Line { now, said, .. } in world.committed() {
        let Said::Output(Output::Action(action)) = said else { continue };
        assert!(ids.insert(&action.id), "A: doubled: {} of {} for {}", action.id.0, action.rule, action.event);
        // One member's clock may be ahead of another's.
        let latest = *now + if world.skews { 2 * HOUR } else { 0 };
        assert!(
            action.created_at <= latest,
            "D: {} of {} is due at {}, and was written at {now}",
            action.event,
            action.rule,
            action.created_at
        );
        if matches!(action.kind, ActionKind::Notification { .. } | ActionKind::Escalation { .. }) {
            let last = versions.entry((action.incident.id, &action.rule)).or_default();
            assert!(*last <= action.incident.version, "A: out of order: {} of {}", action.event, action.rule);
            *last = action.incident.version;
        }
    }
}

/// E: every input was taken once, and every occurrence counted.
pub fn accounts(world: &World) {
    let mut taken = 0;
    let mut occurrences = 0;
    for line in world.committed() {
        if let Said::Taken(outcome, true) = &line.said {
            taken += 1;
            occurrences += u64::from(counts(outcome));
        }
    }
    assert_eq!(taken, world.inputs, "E: inputs taken");
    for partition in &world.partitions {
        for (topic, log) in partition.inputs.iter().enumerate().filter(|(topic, _)| *topic != INBOX) {
            assert_eq!(partition.positions[topic], log.len(), "E: left unread");
        }
    }
    let counted: u64 = story(world).last.values().map(|incident| incident.occurrence_count).sum();
    assert_eq!(counted, occurrences, "E: occurrences counted");
}

/// C: nobody waits for ever.
pub fn rests(world: &World) {
    for (member, partition) in world.owner.iter().zip(0u32..) {
        let lane = &world.members[*member].lanes[&partition];
        let waiting = lane.shard.waiting();
        assert!(waiting.is_empty(), "C: still waiting: {waiting:?}");
        assert!(lane.shard.next_due() > world.now, "C: a timer is left in the past");
        let misplaced = lane.shard.misplaced(world.now);
        assert!(misplaced.is_empty(), "links: a fact was not followed up: {misplaced:?}");
    }
}

/// No page is lost: whatever fires and would have been told of has been, or its live root.
pub fn pages(world: &World) {
    let story = story(world);
    for (id, incident) in &story.last {
        let mutes = incident.snoozed_until.is_some() || !incident.silenced_by.is_empty();
        let tells = match world.set {
            Set::Quiet => incident.category == "category-0",
            Set::All | Set::Other | Set::Plain => incident.severity >= Severity::High,
        };
        let matters = tells && incident.status == Status::Triggered;
        if !matters || mutes {
            continue;
        }
        if !incident.suppressed {
            assert!(
                story.told(*id),
                "page lost: {id} ({}) fires, and nobody was told of it since it opened\n{incident:#?}",
                incident.title
            );
            continue;
        }
        let mut root = incident;
        let mut chain = vec![brief(root)];
        for _ in 0..6 {
            let parent = root.parent_incident_id.and_then(|parent| story.last.get(&parent));
            let Some(parent) = parent.filter(|_| root.suppressed) else { break };
            root = parent;
            chain.push(brief(root));
        }
        let hand = root.acknowledged_at.is_some();
        let chain = chain.join("\n  ");
        assert!(root.status.fires() && !root.suppressed, "page lost: suppressed by what does not fire itself:\n  {chain}");
        assert!(hand || story.told.contains_key(&root.id), "page lost: suppressed by what nobody was told of:\n  {chain}");
    }
}

/// Whoever is kept quiet is so by somebody who may (SPEC 4.4), as people see both: said once more, apart from the engine.
pub fn suppression(world: &World) {
    let story = story(world);
    let suppressed = story.last.values().filter(|incident| incident.suppressed && incident.status.fires());
    for child in suppressed {
        let parent = child.parent_incident_id.and_then(|parent| story.last.get(&parent));
        let Some(parent) = parent else { panic!("suppressed by nobody: {}", brief(child)) };
        let says = |what: &str| format!("suppressed by one that {what}:\n  {}\n  {}", brief(child), brief(parent));
        assert!(parent.status.fires(), "{}", says("fires no more"));
        assert!(parent.severity >= child.severity, "{}", says("matters less"));
        assert!(parent.environment == child.environment, "{}", says("is of another environment"));
        assert!(parent.silenced_by.is_empty() && parent.snoozed_until.is_none(), "{}", says("is muted"));
        // One that is suppressed is its own parent's affair.
        assert!(parent.suppressed || story.told(parent.id), "{}", says("nobody was told of"));
        let (own, others) = (child.service_id.as_str(), parent.service_id.as_str());
        match child.correlation.as_ref().map(|found| found.kind.as_str()) {
            Some("duplicate") => {
                assert!(own == others && parent.fingerprint == child.fingerprint, "{}", says("is another identity"));
            }
            Some("cascade") => {
                assert!(DEPENDS.contains(&(own, others)), "{}", says("it does not depend on"));
                let apart = (parent.first_seen_at - child.first_seen_at).abs();
                assert!(apart <= 30 * MINUTE, "{}", says("was there at another time"));
                let (earlier, later) = ((parent.first_seen_at, parent.id), (child.first_seen_at, child.id));
                assert!(earlier < later || !DEPENDS.contains(&(others, own)), "{}", says("is the later of a cycle"));
            }
            _ => panic!("{}", says("is no parent")),
        }
    }
}

/// What of an incident has to do with its links.
fn brief(incident: &Incident) -> String {
    let Incident { id, service_id, title, severity, status, suppressed, parent_incident_id, first_seen_at, .. } = incident;
    let kind = incident.correlation.as_ref().map_or("", |found| found.kind.as_str());
    let what: Vec<String> = incident.timeline.iter().map(|entry| format!("{:?}@{}", entry.event, entry.timestamp)).collect();
    format!(
        "{id} of {service_id} ({title}): {severity}, {status}, suppressed: {suppressed}, {kind} of {parent_incident_id:?}, \
         first seen {first_seen_at}: {}",
        what.join(" ")
    )
}

/// What must be the same under every interleaving of partitions.
pub type Links = BTreeMap<IncidentId, (Option<IncidentId>, bool, Status, Severity, Environment)>;

pub fn links(world: &World) -> Links {
    let show = |incident: &Incident| {
        (incident.parent_incident_id, incident.suppressed, incident.status, incident.severity, incident.environment)
    };
    // What fires no more keeps whatever link it had.
    let firing = story(world).last.into_iter().filter(|(_, incident)| incident.status.fires());
    firing.map(|(id, incident)| (id, show(incident))).collect()
}
