//! Whose page it is. A person belongs to the first team, by name, of `teams.toml` that has them as a member, and else to
//! nobody but themselves; a channel that is no person's address stands for itself: `slack #llm-incidents`.

use crate::explain::{self, addresses};
use crate::model::{Channel, Person, TargetKind};
use crate::rules::People;

/// Of an escalation's target.
pub fn of_person(person: &Person, people: &People) -> String {
    match person.kind {
        TargetKind::User => people.team_of(&person.id).unwrap_or(&person.id).to_owned(),
        kind => explain::person(kind.name(), &person.id),
    }
}

/// Of a notification's channel.
pub fn of_channel(channel: &Channel, people: &People) -> String {
    let places = addresses(&channel.kind, &channel.config.0);
    let users: Option<Vec<&str>> = places.iter().map(|place| people.user_at(place)).collect();
    let mut teams: Vec<&str> = users.unwrap_or_default().into_iter().map(|user| people.team_of(user).unwrap_or(user)).collect();
    teams.dedup();
    match teams.as_slice() {
        // All are people of one team.
        [team] => (*team).to_owned(),
        _ => explain::channel(&channel.kind, &channel.config.0),
    }
}
