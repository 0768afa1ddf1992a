//! Who is behind a target: users, teams and schedules, from the files beside the rules (SPEC 4.6, 5).

use crate::model::{Person, Target, TargetKind, Time};
use crate::rules::beside::{Part, Span, read_file};
use crate::rules::channel::is_phone;
use crate::rules::diagnostic::{Diagnostic, suggest};
use crate::rules::schedule::Schedule;
use crate::rules::{RuleSource, schedule_file};
use std::collections::{BTreeMap, BTreeSet};

const MOST_USERS: usize = 50_000;
const MOST_TEAMS: usize = 10_000;
const MOST_MEMBERS: usize = 1_000;

/// The people that targets name, as of one rule set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct People {
    users: BTreeMap<String, User>,
    teams: BTreeMap<String, Vec<String>>,
    schedules: BTreeMap<String, Schedule>,
}

/// One address at least.
#[derive(Clone, Debug, Default, PartialEq)]
struct User {
    email: Option<String>,
    phone: Option<String>,
    slack: Option<String>,
}

impl People {
    /// Whom a target means at that moment, each once; nobody where its id stands in no file.
    pub fn reach(&self, target: &Target, at: Time) -> Vec<Person> {
        let ids = match target.kind {
            TargetKind::SlackChannel => {
                let (kind, id) = (target.kind, target.id.clone());
                return vec![Person { kind, id, email: None, phone: None, slack: None }];
            }
            TargetKind::User => return self.user(&target.id, target.email.as_ref()).into_iter().collect(),
            TargetKind::Schedule => self.on_call(&target.id, at),
            TargetKind::Team => self.teams.get(&target.id).cloned().unwrap_or_default(),
        };
        let mut seen = BTreeSet::new();
        ids.iter().filter(|id| seen.insert(*id)).filter_map(|id| self.user(id, None)).collect()
    }

    /// The users on call at that moment: one at most, for the last override or layer that has somebody counts alone.
    pub fn on_call(&self, schedule: &str, at: Time) -> Vec<String> {
        self.schedules.get(schedule).and_then(|schedule| schedule.on_call(at)).into_iter().collect()
    }

    /// Schedules that have nobody before a moment which is still to come, with that moment.
    pub fn not_begun(&self, at: Time) -> impl Iterator<Item = (&str, Time)> {
        self.schedules.iter().filter_map(move |(id, schedule)| {
            let begins: Option<Vec<Time>> = schedule.layers.iter().map(|layer| layer.start).collect();
            let first = begins?.into_iter().min().filter(|first| *first > at)?;
            Some((id.as_str(), first))
        })
    }

    /// The first team, by name, that has the user as a member.
    pub fn team_of(&self, user: &str) -> Option<&str> {
        self.teams.iter().find(|(_, members)| members.iter().any(|member| member == user)).map(|(team, _)| team.as_str())
    }

    /// The first user, by id, with that e-mail address, phone number or Slack id.
    pub fn user_at(&self, address: &str) -> Option<&str> {
        let has = |user: &User| [&user.email, &user.phone, &user.slack].into_iter().flatten().any(|own| own == address);
        self.users.iter().find(|(_, user)| has(user)).map(|(id, _)| id.as_str())
    }

    /// `email` of the target goes before the one of the file, and does for a user without one.
    fn user(&self, id: &str, email: Option<&String>) -> Option<Person> {
        let user = self.users.get(id).cloned();
        if user.is_none() && email.is_none() {
            return None;
        }
        let User { email: own, phone, slack } = user.unwrap_or_default();
        Some(Person { kind: TargetKind::User, id: id.to_owned(), email: email.cloned().or(own), phone, slack })
    }

    /// Why nobody can be behind a target, whatever the moment; the second is the remedy.
    pub(super) fn unresolved(&self, kind: TargetKind, id: &str) -> Option<(String, String)> {
        let (key, names) = match kind {
            TargetKind::User if !self.users.contains_key(id) => ("users", names(&self.users)),
            TargetKind::Team if !self.teams.contains_key(id) => ("teams", names(&self.teams)),
            TargetKind::Schedule if !self.schedules.contains_key(id) => ("schedules", names(&self.schedules)),
            _ => return None,
        };
        let help = match suggest(id, names) {
            near if near.starts_with("did") => near,
            _ => format!("add `[{key}.{}]` to {key}.toml", quoted(id)),
        };
        Some((format!("there is no {} `{id}`", kind.name()), help))
    }

    /// Reads the three files; false where something is wrong with one.
    pub(super) fn load(source: &RuleSource, found: &mut Vec<Diagnostic>) -> (People, bool) {
        let mut people = People::default();
        let users_sound = read_file(source, "users.toml", found, |root| people.read_users(root));
        let check = |people: &People, part: &Part<'_>, user: &str, span: Span| {
            if users_sound && let Some((message, help)) = people.unresolved(TargetKind::User, user) {
                part.error(span, message, &help);
            }
        };
        let teams_sound = read_file(source, "teams.toml", found, |root| people.read_teams(root, check));
        let schedules_sound = read_file(source, "schedules.toml", found, |root| {
            let schedules = schedule_file::read(root, |part, user, span| check(&people, part, user, span));
            people.schedules = schedules;
        });
        (people, users_sound && teams_sound && schedules_sound)
    }

    fn read_users(&mut self, root: &Part<'_>) {
        root.know(&["users"]);
        for (id, part) in root.named("users", MOST_USERS) {
            part.know(&["email", "phone", "slack"]);
            let help = "write it in quotes";
            let own = |key| part.text(key, help).map(str::to_owned);
            let user = User { email: own("email"), phone: own("phone"), slack: own("slack") };
            if user.email.as_ref().is_some_and(|email| !email.contains('@')) {
                part.wrong("email", "an e-mail address", "write for example `email = \"alice@example.com\"`");
            }
            if user.phone.as_ref().is_some_and(|phone| !is_phone(phone)) {
                part.wrong("phone", "a phone number", "write for example `phone = \"+4915550100\"`");
            }
            if id.trim().is_empty() {
                part.error(part.span(), "a user has no id".to_owned(), "write for example `[users.alice]`");
            }
            if !["email", "phone", "slack"].iter().any(|key| part.has(key)) {
                let help = "write for example `email = \"alice@example.com\"`, `phone` or `slack`";
                part.error(part.span(), format!("{} has no address: nobody could be told", part.name), help);
            }
            self.users.insert(id.to_owned(), user);
        }
    }

    fn read_teams(&mut self, root: &Part<'_>, check: impl Fn(&People, &Part<'_>, &str, Span)) {
        const HELP: &str = "write for example `members = [\"alice\", \"bob\"]`";
        root.know(&["teams"]);
        let teams = root.named("teams", MOST_TEAMS);
        let ids: BTreeSet<&str> = teams.iter().map(|(id, _)| *id).collect();
        let is_team = |id: &str| ids.contains(id);
        for (id, part) in teams {
            part.know(&["members"]);
            let members = part.texts("members", MOST_MEMBERS, HELP);
            match part.has("members") {
                false => part.missing("members", HELP),
                true if members.is_empty() => part.wrong("members", "one user at least", HELP),
                true => {}
            }
            for (user, span) in &members {
                match is_team(user) && !self.users.contains_key(*user) {
                    true => {
                        let message = format!("`{user}` is a team, and the members of a team are users");
                        part.error(span.clone(), message, &format!("name the members of `{user}` here too"));
                    }
                    false => check(self, &part, user, span.clone()),
                }
            }
            self.teams.insert(id.to_owned(), members.into_iter().map(|(user, _)| user.to_owned()).collect());
        }
    }
}

/// For a suggestion: so many are compared with a word in no time.
fn names<T>(people: &BTreeMap<String, T>) -> Vec<&str> {
    const MOST: usize = 2_000;
    people.keys().map(String::as_str).take(MOST).collect()
}

/// As a key of TOML.
fn quoted(id: &str) -> String {
    let bare = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { id.to_owned() } else { format!("{id:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people() -> People {
        let files = [
            ("users.toml", "[users.alice]\nemail = \"alice@example.com\"\nphone = \"+1\"\n[users.bob]\nslack = \"U1\"\n"),
            ("teams.toml", "[teams.llm]\nmembers = [\"bob\", \"alice\", \"bob\"]\n"),
            ("schedules.toml", "[[schedules.primary.layers]]\nusers = [\"bob\"]\n"),
        ];
        let files = files.map(|(path, text)| (path.to_owned(), text.to_owned()));
        let mut found = Vec::new();
        let (people, sound) = People::load(&RuleSource { files: files.into() }, &mut found);
        assert!(sound, "{found:?}");
        people
    }

    #[test]
    fn a_target_reaches_people_once_each_and_nobody_by_a_missing_id() {
        let people = people();
        let reach = |kind: TargetKind, id: &str| {
            let target = Target { kind, id: id.to_owned(), email: None };
            people.reach(&target, Time(0)).into_iter().map(|person| person.id).collect::<Vec<_>>()
        };
        assert_eq!(reach(TargetKind::User, "alice"), ["alice"]);
        assert_eq!(reach(TargetKind::Team, "llm"), ["bob", "alice"]);
        assert_eq!(reach(TargetKind::Schedule, "primary"), ["bob"]);
        assert_eq!(reach(TargetKind::SlackChannel, "#any"), ["#any"]);
        for kind in [TargetKind::User, TargetKind::Team, TargetKind::Schedule] {
            assert_eq!(reach(kind, "nobody"), [""; 0], "{kind:?}");
        }
        let alice = &people.reach(&Target { kind: TargetKind::User, id: "alice".to_owned(), email: None }, Time(0))[0];
        assert_eq!(
            (alice.email.as_deref(), alice.phone.as_deref(), &alice.slack),
            (Some("alice@example.com"), Some("+1"), &None)
        );
    }

    #[test]
    fn a_schedule_that_has_not_begun_is_known() {
        let layer = |id: &str, start: &str| format!("[[schedules.{id}.layers]]\nusers = [\"bob\"]\n{start}\n");
        let later = ["start = 2026-01-05T09:00:00Z", "start = 2026-01-06"].map(|start| layer("later", start));
        let text = layer("always", "") + later.concat().as_str();
        let files = [("users.toml", "[users.bob]\nslack = \"U1\"\n".to_owned()), ("schedules.toml", text)];
        let source = RuleSource { files: files.map(|(path, text)| (path.to_owned(), text)).into() };
        let (people, sound) = People::load(&source, &mut Vec::new());
        let begin = Time::parse("2026-01-05T09:00:00Z").unwrap();
        let not_begun = |at| people.not_begun(at).map(|(id, first)| (id.to_owned(), first)).collect::<Vec<_>>();
        assert!(sound);
        assert_eq!(not_begun(begin + -1), [("later".to_owned(), begin)]);
        assert_eq!(not_begun(begin), []);
    }

    #[test]
    fn the_seeds_email_of_a_target_goes_before_the_files() {
        let people = people();
        for (id, phone) in [("alice", Some("+1")), ("carol", None)] {
            let email = Some("other@example.com".to_owned());
            let reached = people.reach(&Target { kind: TargetKind::User, id: id.to_owned(), email: email.clone() }, Time(0));
            assert_eq!(reached.len(), 1);
            assert_eq!((&reached[0].email, reached[0].phone.as_deref()), (&email, phone), "{id}");
        }
    }
}
