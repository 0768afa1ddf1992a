//! What must hold when all has come to rest (ARCHITECTURE, Tests; the letters are those of the failures).

use crate::sim::rules::Set;
use crate::sim::story::{Story, brief};
use crate::sim::world::{INBOX, Line, Said, World, counts};
use incidentd::model::time::HOUR;
use incidentd::model::{ActionKind, Environment, Incident, IncidentId, Output, Severity, Status};
use std::collections::{BTreeMap, BTreeSet};

fn story(world: &World) -> Story {
    let mut story = Story::default();
    story.read(world.committed());
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
        let mut root: &Incident = incident;
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
        assert!(hand || story.ever_told(root.id), "page lost: suppressed by what nobody was told of:\n  {chain}");
    }
}

/// What must be the same under every interleaving of partitions.
pub type Links = BTreeMap<IncidentId, (Option<IncidentId>, bool, Status, Severity, Environment)>;

pub fn links(world: &World) -> Links {
    let show = |incident: &Incident| {
        (incident.parent_incident_id, incident.suppressed, incident.status, incident.severity, incident.environment)
    };
    // What fires no more keeps whatever link it had.
    let firing = story(world).last.into_iter().filter(|(_, incident)| incident.status.fires());
    firing.map(|(id, incident)| (id, show(&incident))).collect()
}
