//! `notification(#{…})`, `escalation(#{…})`, `remediation(#{…})`: the keys that all kinds have, and how a map becomes a
//! declared rule with its findings.

use crate::rules::channel::described;
use crate::rules::collector::{Collector, Finding, MOST_RULES, Refusal, at_top};
use crate::rules::diagnostic::Place;
use crate::rules::kind::Kind;
use crate::rules::matcher::Where;
use crate::rules::meter::Meter;
use crate::rules::reader::Reader;
use crate::rules::sandbox::failure;
use crate::rules::{EscalationRule, NotificationRule, RemediationRule, where_clause};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};
use std::rc::Rc;

pub(super) const KEYS: [&str; 6] = ["name", "description", "priority", "enabled", "where", "when"];
/// The seed's rules have these; they change nothing here.
pub(super) const IDLE: [&str; 3] = ["id", "created_at", "updated_at"];

/// What all kinds have.
pub(super) struct Common {
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    pub description: Option<String>,
    pub matcher: Where,
}

/// A rule as its file declared it.
pub(super) struct Declared<R: Kind> {
    pub rule: R,
    pub matcher: Where,
    pub when: Option<FnPtr>,
    pub makes: Option<Makes<R::Made>>,
    /// Of the call that declares it.
    pub place: Place,
}

pub(super) enum Makes<T> {
    Fixed(Vec<T>),
    Closure(FnPtr),
}

pub(super) fn register(engine: &mut Engine, collector: &Rc<Collector>, meter: &Rc<Meter>) {
    register_kind::<NotificationRule>(engine, collector, meter);
    register_kind::<EscalationRule>(engine, collector, meter);
    register_kind::<RemediationRule>(engine, collector, meter);
}

fn register_kind<R: Kind + 'static>(engine: &mut Engine, collector: &Rc<Collector>, meter: &Rc<Meter>) {
    let (collector, meter) = (collector.clone(), meter.clone());
    engine.register_fn(R::WORD, move |context: NativeCallContext, map: Dynamic| {
        let declared = declare::<R>(&collector, &context, map);
        meter.declared();
        declared
    });
}

fn declare<R: Kind>(collector: &Collector, context: &NativeCallContext, map: Dynamic) -> Result<Dynamic, Box<EvalAltResult>> {
    let word = R::WORD;
    if !collector.loading.get() {
        return Err(failure(format!("`{word}` declares a rule while its file is loaded; a closure cannot")));
    }
    let map = match map.try_cast_result::<Map>() {
        Ok(map) => map,
        Err(other) => {
            let message = format!("`{word}` takes a map, not {}", described(&other));
            return collector.refuse(context, Refusal { message, help: format!("write `{word}(#{{ name: \"…\", … }})`") });
        }
    };
    let (declared, findings) = read::<R>(map, context.call_position().into(), collector.has_errors());
    if !at_top(context)
        && let Some(finding) = findings.iter().find(|finding| finding.error)
    {
        return Err(failure(format!("rule `{}`: {}", declared.rule.name(), finding.told())));
    }
    collector.rules.set(collector.rules.get() + 1);
    if collector.rules.get() > MOST_RULES {
        return Err(failure(format!("more than {MOST_RULES} rules in this folder")));
    }
    collector.note(findings)?;
    R::declared(&collector.declared).borrow_mut().push(declared);
    Ok(Dynamic::UNIT)
}

fn read<R: Kind>(map: Map, place: Place, refused: bool) -> (Declared<R>, Vec<Finding>) {
    let known: Vec<&str> = KEYS.iter().chain(R::KEYS).chain(&IDLE).copied().collect();
    let mut reader = Reader::new(&format!("{}(…)", R::WORD), map, place, &known);
    reader.refused = refused;
    if !reader.has("name") {
        reader.missing("name", "give each rule a name of its own, such as `name: \"critical-production\"`");
    }
    for key in IDLE.into_iter().filter(|key| reader.has(key)).collect::<Vec<_>>() {
        reader.warning(key, format!("`{key}` has no effect"), "a rule is known by its `name`; take it out");
    }
    let name = reader.text("name", "write for example `name: \"critical-production\"`").unwrap_or_default();
    if name.chars().count() > 200 {
        reader.error("name", "`name` is longer than 200 characters".to_owned(), "a short name reads better in a page");
    }
    if name != name.trim() || name.contains(char::is_control) {
        let message = "`name` begins or ends with a blank, or holds a control character".to_owned();
        reader.error("name", message, "take it out: the name stands in metrics, decisions and pages");
    }
    let description = reader.text("description", "write it in quotes");
    let matcher = where_clause::read(&mut reader);
    let when = closure(&mut reader, "when");
    let (priority, enabled) = (reader.integer("priority", 0), reader.flag("enabled", true));
    let (rule, Common { matcher, .. }, makes) = R::read(&mut reader, Common { name, priority, enabled, description, matcher });
    (Declared { rule, matcher, when, makes, place }, reader.findings)
}

fn closure(reader: &mut Reader, key: &str) -> Option<FnPtr> {
    match reader.take(key)?.try_cast_result::<FnPtr>() {
        Ok(function) => Some(function),
        Err(other) => {
            let remedy = "write `|incident| incident.occurrence_count > 3`; what never changes belongs into `where`";
            reader.wrong(key, "a closure", &other, remedy);
            None
        }
    }
}

/// What stands under a key that takes an array or a closure which returns one.
pub(super) enum Listed {
    Items(Array),
    Closure(FnPtr),
}

/// None where it is missing or wrong, which is noted.
pub(super) fn array_or_closure(reader: &mut Reader, key: &str, remedy: &str) -> Option<Listed> {
    let Some(value) = reader.take(key) else {
        reader.missing(key, remedy);
        return None;
    };
    if value.is_fnptr() {
        return value.try_cast::<FnPtr>().map(Listed::Closure);
    }
    match value.try_cast_result::<Array>() {
        Ok(items) => Some(Listed::Items(items)),
        Err(other) => {
            reader.wrong(key, "an array or a closure that returns one", &other, remedy);
            None
        }
    }
}
