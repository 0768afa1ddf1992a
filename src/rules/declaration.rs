//! `notification(#{…})`: its keys, their types and defaults (SPEC 4.7, 5); and the two kinds that this version refuses.

use crate::model::{Channel, EventSet, RuleEvent};
use crate::rules::channel::{self, described};
use crate::rules::collector::{Collector, Finding, MOST_RULES, at_top};
use crate::rules::diagnostic::{Place, suggest};
use crate::rules::matcher::Where;
use crate::rules::reader::Reader;
use crate::rules::sandbox::failure;
use crate::rules::{Digest, NotificationRule, RateLimit, where_clause};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};
use std::rc::Rc;

const KEYS: [&str; 16] = [
    "name",
    "description",
    "priority",
    "enabled",
    "where",
    "when",
    "channels",
    "on",
    "after_occurrences",
    "repeat_minutes",
    "rate_limit",
    "digest",
    "send_on_resolve",
    // The seed's rule has these; they change nothing here.
    "id",
    "created_at",
    "updated_at",
];

/// A rule as its file declared it.
pub(super) struct Declared {
    pub rule: NotificationRule,
    pub matcher: Where,
    pub when: Option<FnPtr>,
    pub channels: Option<Channels>,
    /// Of the call of `notification`.
    pub place: Place,
}

pub(super) enum Channels {
    Fixed(Vec<Channel>),
    Closure(FnPtr),
}

pub(super) fn register(engine: &mut Engine, collector: &Rc<Collector>) {
    let declaring = collector.clone();
    engine.register_fn("notification", move |context: NativeCallContext, map: Dynamic| declare(&declaring, &context, map));
    for kind in ["escalation", "remediation"] {
        let collector = collector.clone();
        engine.register_fn(kind, move |context: NativeCallContext, _: Dynamic| {
            let message = format!(
                "this version of incidentd does not run `{kind}(…)` yet; take it out, so that nobody relies on it in vain"
            );
            collector.refuse(&context, message)
        });
    }
}

fn declare(collector: &Collector, context: &NativeCallContext, map: Dynamic) -> Result<Dynamic, Box<EvalAltResult>> {
    if !collector.loading.get() {
        return Err(failure("`notification` declares a rule while its file is loaded; a closure cannot"));
    }
    let map = match map.try_cast_result::<Map>() {
        Ok(map) => map,
        Err(other) => {
            return collector
                .refuse(context, format!("`notification` takes a map, `notification(#{{ … }})`, not {}", described(&other)));
        }
    };
    let (declared, findings) = read(map, context.call_position().into());
    if !at_top(context)
        && let Some(Finding { message, help, .. }) = findings.iter().find(|finding| finding.error)
    {
        let name = &declared.rule.name;
        return Err(failure(format!("rule `{name}`: {message}; {}", help.as_deref().unwrap_or_default())));
    }
    collector.rules.set(collector.rules.get() + 1);
    if collector.rules.get() > MOST_RULES {
        return Err(failure(format!("more than {MOST_RULES} rules in this folder")));
    }
    collector.note(findings)?;
    collector.declared.borrow_mut().push(declared);
    Ok(Dynamic::UNIT)
}

fn read(map: Map, place: Place) -> (Declared, Vec<Finding>) {
    let mut reader = Reader::new("notification(…)", map, place, &KEYS);
    if !reader.has("name") {
        reader.missing("name", "give each rule a name of its own, such as `name: \"critical-production\"`");
    }
    for key in ["id", "created_at", "updated_at"].into_iter().filter(|key| reader.has(key)).collect::<Vec<_>>() {
        reader.warning(key, format!("`{key}` has no effect"), "a rule is known by its `name`; take it out");
    }
    let name = reader.text("name", "write for example `name: \"critical-production\"`").unwrap_or_default();
    if name.chars().count() > 200 {
        reader.error("name", "`name` is longer than 200 characters".to_owned(), "a short name reads better in a page");
    }
    let description = reader.text("description", "write it in quotes");
    let matcher = where_clause::read(&mut reader);
    let when = closure(&mut reader, "when");
    let channels = read_channels(&mut reader);
    let (after_occurrences, repeat_minutes) = (reader.positive("after_occurrences"), reader.positive("repeat_minutes"));
    let fixed_wants = matches!(&channels, Some(Channels::Fixed(fixed)) if channel::wants_resolution(fixed));
    let rule = NotificationRule {
        name,
        priority: reader.integer("priority", 0),
        enabled: reader.flag("enabled", true),
        description,
        on: read_events(&mut reader),
        after_occurrences,
        repeat_minutes,
        send_on_resolve: reader.flag("send_on_resolve", false) || fixed_wants,
        rate_limit: read_rate_limit(&mut reader),
        digest: read_digest(&mut reader),
    };
    (Declared { rule, matcher, when, channels, place }, reader.findings)
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

fn read_channels(reader: &mut Reader) -> Option<Channels> {
    const REMEDY: &str = "write `channels: [slack(\"#ops\")]` or `channels: |incident| [slack(`#${incident.service_id}`)]`";
    let Some(value) = reader.take("channels") else {
        reader.missing("channels", REMEDY);
        return None;
    };
    if value.is_fnptr() {
        return value.try_cast::<FnPtr>().map(Channels::Closure);
    }
    let Some(items) = value.read_lock::<Array>() else {
        reader.wrong("channels", "an array or a closure that returns one", &value, REMEDY);
        return None;
    };
    let (mut channels, mut sound) = (Vec::new(), true);
    for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_unit()) {
        let path = format!("channels[{index}]");
        match channel::read(item) {
            Ok(channel) => {
                if let Some(key) = channel::clear_secret(&channel) {
                    let message = format!("`{key}` stands here in clear and would be written to a topic");
                    let help = "name it: `secret(\"NAME\")`; only delivery reads its value".to_owned();
                    reader.note(false, false, path, message, Some(help));
                }
                channels.push(channel);
            }
            Err(message) => {
                sound = false;
                reader.note(true, false, path, message, None);
            }
        }
    }
    if items.is_empty() {
        reader.error("channels", "`channels` is empty: the rule would tell nobody".to_owned(), REMEDY);
    }
    sound.then_some(Channels::Fixed(channels))
}

fn read_events(reader: &mut Reader) -> EventSet {
    let triggered = EventSet::EMPTY.with(RuleEvent::Triggered);
    let Some(names) = reader.texts("on") else { return triggered };
    if names.is_empty() {
        let remedy = "leave `on` out for `[\"triggered\"]`";
        reader.error("on", "`on` is empty: the rule would never act".to_owned(), remedy);
    }
    let known = RuleEvent::LISTENABLE.map(RuleEvent::name);
    let mut events = EventSet::EMPTY;
    for (path, name) in names {
        match RuleEvent::named(&name) {
            Some(event) => events = events.with(event),
            None => {
                let help = suggest(&name, known.iter().copied());
                reader.note(true, false, path, format!("there is no event `{name}`"), Some(help));
            }
        }
    }
    events
}

fn read_rate_limit(reader: &mut Reader) -> Option<RateLimit> {
    let mut inner = reader.inner("rate_limit", &["max_per_hour", "max_per_day"])?;
    let (named_hour, named_day) = (inner.has("max_per_hour"), inner.has("max_per_day"));
    let limit = RateLimit { max_per_hour: inner.positive("max_per_hour"), max_per_day: inner.positive("max_per_day") };
    if !named_hour && !named_day {
        inner.missing("max_per_hour", "write `rate_limit: #{ max_per_hour: 60 }`, with `max_per_day` or in its place");
    }
    reader.close(inner);
    let message = "this version of incidentd does not limit rates yet: every notification is sent".to_owned();
    reader.warning("rate_limit", message, "it takes effect with a later version, without a change here");
    Some(limit)
}

fn read_digest(reader: &mut Reader) -> Option<Digest> {
    let mut inner = reader.inner("digest", &["enabled", "interval_minutes", "by", "lead"])?;
    let enabled = inner.flag("enabled", true);
    if !inner.has("interval_minutes") {
        inner.missing("interval_minutes", "write `digest: #{ interval_minutes: 15 }`");
    }
    let interval_minutes = inner.positive("interval_minutes").unwrap_or(1);
    let mut by = Vec::new();
    for (path, field) in inner.texts("by").unwrap_or_default() {
        const FIELDS: [&str; 5] = ["service_id", "severity", "category", "environment", "title"];
        if FIELDS.contains(&field.as_str()) || field.strip_prefix("labels.").is_some_and(|name| !name.is_empty()) {
            by.push(field);
        } else {
            let help = format!("{}; or a label, `labels.region`", suggest(&field, FIELDS));
            inner.note(true, false, path, format!("a digest cannot be made by `{field}`"), Some(help));
        }
    }
    let lead = inner.flag("lead", false);
    reader.close(inner);
    if !enabled {
        return None;
    }
    let message = "this version of incidentd makes no digests yet: every notification is sent by itself".to_owned();
    reader.warning("digest", message, "it takes effect with a later version, without a change here");
    Some(Digest { interval_minutes, by, lead })
}
