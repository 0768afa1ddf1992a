//! The levels of a policy and their targets: maps in the seed's shape (SPEC 4.6).

use crate::model::{Level, Target, TargetKind};
use crate::rules::channel;
use crate::rules::collector::Finding;
use crate::rules::diagnostic::{Place, suggest};
use crate::rules::reader::Reader;
use rhai::{Array, Dynamic};

/// Of one policy, and of one level.
const MOST_LEVELS: usize = 50;
const MOST_TARGETS: usize = 100;
/// Keys of a level and of a target.
pub(super) const LEVEL: [&str; 3] = ["level", "delay_minutes", "targets"];
pub(super) const TARGET: [&str; 3] = ["type", "id", "email"];
const REMEDY: &str = "write `level(15, [team(\"llm\")])` or `#{ delay_minutes: 15, targets: [team(\"llm\")] }`";

/// What a closure gave, or the first thing wrong with it.
pub(super) fn made(items: &Array) -> Result<Vec<Level>, String> {
    let (levels, findings) = read_all(items, Place::default());
    match findings.iter().find(|finding| finding.error) {
        Some(finding) => Err(format!("{}: {}", finding.path, finding.told())),
        None => Ok(levels),
    }
}

/// The array under `levels`, and what is wrong with it.
pub(super) fn read_all(items: &Array, place: Place) -> (Vec<Level>, Vec<Finding>) {
    let (mut levels, mut findings) = (Vec::<Level>::new(), Vec::new());
    let mut number = i64::MIN;
    for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_unit()) {
        let path = format!("levels[{index}]");
        let mut reader = match Reader::of_item("a level", path.clone(), item, place, &LEVEL, REMEDY) {
            Ok(reader) => reader,
            Err(finding) => {
                findings.push(finding);
                continue;
            }
        };
        // The seed numbers its levels; what counts is their order, so the two must not differ.
        let given = reader.integer("level", number.saturating_add(1));
        if given <= number {
            reader.error("level", format!("level {given} stands after level {number}"), "levels stand in the order they fire in");
        }
        number = given;
        let level = Level { delay_minutes: read_delay(&mut reader), targets: read_targets(&mut reader) };
        match levels.last() {
            Some(before) if level.delay_minutes < before.delay_minutes => {
                let message = format!(
                    "a level's delay counts from the start: {} minutes are less than the {} of the level before",
                    level.delay_minutes, before.delay_minutes
                );
                reader.error("delay_minutes", message, "give each level at least the delay of the one before it");
            }
            None if level.delay_minutes > 0 => {
                let message = "the first level fires at once: its delay counts for nothing".to_owned();
                reader.note(
                    false,
                    false,
                    reader.path_of("delay_minutes"),
                    message,
                    Some("write 0, or put a level before it".to_owned()),
                );
            }
            _ => {}
        }
        findings.append(&mut reader.findings);
        levels.push(level);
    }
    if levels.len() > MOST_LEVELS {
        let message = format!("{} levels; {MOST_LEVELS} is the most", levels.len());
        let help = Some("let `repeat` run the same levels again".to_owned());
        findings.push(Finding { place, path: "levels".to_owned(), at_key: false, error: true, message, help });
    }
    (levels, findings)
}

fn read_delay(reader: &mut Reader) -> u64 {
    if !reader.has("delay_minutes") {
        reader.missing("delay_minutes", "write for example `delay_minutes: 15`, 0 for the first level");
    }
    reader.whole("delay_minutes").unwrap_or_default()
}

fn read_targets(reader: &mut Reader) -> Vec<Target> {
    const REMEDY: &str = "write for example `targets: [schedule(\"llm-primary\"), user(\"alice\")]`";
    let Some(value) = reader.take("targets") else {
        reader.missing("targets", REMEDY);
        return Vec::new();
    };
    let items = match value.try_cast_result::<Array>() {
        Ok(items) => items,
        Err(other) => {
            reader.wrong("targets", "an array", &other, REMEDY);
            return Vec::new();
        }
    };
    if items.is_empty() {
        reader.warning(
            "targets",
            "`targets` is empty: the level tells nobody, and the next one fires at once".to_owned(),
            REMEDY,
        );
    }
    if items.len() > MOST_TARGETS {
        reader.error("targets", format!("{} targets; {MOST_TARGETS} is the most", items.len()), "name a team");
    }
    let mut targets = Vec::new();
    for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_unit()) {
        let path = format!("{}[{index}]", reader.path_of("targets"));
        match read_target(path, item, reader.place()) {
            Ok((target, found)) => {
                targets.extend(target);
                reader.findings.extend(found);
            }
            Err(finding) => reader.findings.push(finding),
        }
    }
    targets
}

/// The kind of a channel that stands in place of a target.
fn channel_of(item: &Dynamic) -> Option<&'static str> {
    let map = item.read_lock::<rhai::Map>().filter(|map| map.contains_key("config"))?;
    let kind = map.get("type")?.clone().into_immutable_string().ok()?;
    channel::kinds().find(|known| *known == kind.as_str())
}

fn read_target(path: String, item: &Dynamic, place: Place) -> Result<(Option<Target>, Vec<Finding>), Finding> {
    const REMEDY: &str = "write `user(\"alice\")`, `schedule(…)`, `team(…)` or `slack_channel(\"#ops\")`";
    if let Some(kind) = channel_of(item) {
        let message = format!("a level tells targets, not channels such as `{kind}(…)`");
        return Err(Finding { place, path, at_key: false, error: true, message, help: Some(REMEDY.to_owned()) });
    }
    let mut reader = Reader::of_item("a target", path, item, place, &TARGET, REMEDY)?;
    for key in ["type", "id"].into_iter().filter(|key| !reader.has(key)).collect::<Vec<_>>() {
        reader.missing(key, REMEDY);
    }
    let kind = reader.text("type", REMEDY).and_then(|name| {
        let kind = TargetKind::named(&name);
        if kind.is_none() {
            let help = suggest(&name, TargetKind::ALL.map(TargetKind::name));
            reader.error("type", format!("there is no target of type `{name}`"), &help);
        }
        kind
    });
    let (id, email) = (reader.text("id", "write the id in quotes"), reader.text("email", "write the address in quotes"));
    if email.is_some() && kind.is_some_and(|kind| kind != TargetKind::User) {
        reader.error("email", "only a user has an `email`".to_owned(), "take it out");
    }
    let target = kind.zip(id).map(|(kind, id)| Target { kind, id, email });
    Ok((target, reader.findings))
}
