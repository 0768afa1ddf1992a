//! `notification(#{…})`: who is told of what (SPEC 4.7).

use crate::model::{Channel, EventSet, RuleEvent};
use crate::rules::channel;
use crate::rules::collector::{Declarations, Refusal};
use crate::rules::declaration::{Common, Declared, Listed, Makes, array_or_closure};
use crate::rules::diagnostic::suggest;
use crate::rules::kind::Kind;
use crate::rules::reader::Reader;
use crate::rules::{Digest, NotificationRule, RateLimit};
use rhai::Array;
use std::cell::RefCell;

const REMEDY: &str = "write `channels: [slack(\"#ops\")]` or `channels: |incident| [slack(`#${incident.service_id}`)]`";

/// Keys within keys.
pub(super) const RATE_LIMIT: [&str; 2] = ["max_per_hour", "max_per_day"];
pub(super) const DIGEST: [&str; 4] = ["enabled", "interval_minutes", "by", "lead"];

impl Kind for NotificationRule {
    type Made = Channel;
    const WORD: &'static str = "notification";
    const KEYS: &'static [&'static str] =
        &["channels", "on", "after_occurrences", "repeat_minutes", "rate_limit", "digest", "send_on_resolve"];
    const MAKES: &'static str = "channels";
    const LEARNS: bool = true;
    const EXAMPLE: &'static str = "`[]` tells nobody, `[slack(\"#ops\")]` one channel";

    fn declared(declarations: &Declarations) -> &RefCell<Vec<Declared<NotificationRule>>> {
        &declarations.notifications
    }

    fn read(reader: &mut Reader, common: Common) -> (NotificationRule, Common, Option<Makes<Channel>>) {
        let channels = read_channels(reader);
        let on = read_events(reader);
        warn_of_idle_waits(reader, on);
        let (after_occurrences, repeat_minutes) = (reader.positive("after_occurrences"), reader.positive("repeat_minutes"));
        let fixed_wants = matches!(&channels, Some(Makes::Fixed(fixed)) if channel::wants_resolution(fixed));
        let rule = NotificationRule {
            name: common.name.clone(),
            priority: common.priority,
            enabled: common.enabled,
            description: common.description.clone(),
            on,
            after_occurrences,
            repeat_minutes,
            send_on_resolve: reader.flag("send_on_resolve", false) || fixed_wants,
            rate_limit: read_rate_limit(reader),
            digest: read_digest(reader),
        };
        (rule, common, channels)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn priority(&self) -> i64 {
        self.priority
    }

    fn enabled(&self) -> bool {
        self.enabled
    }

    fn events(&self) -> Vec<RuleEvent> {
        let listed = RuleEvent::LISTENABLE.into_iter();
        let listed = listed.filter(|event| self.on.has(*event) || self.send_on_resolve && *event == RuleEvent::Resolved);
        listed.chain(self.repeat_minutes.map(|_| RuleEvent::Reminder)).collect()
    }

    fn made(&self, items: &Array) -> Result<Vec<Channel>, String> {
        channel::read_all(items)
    }

    fn learn(&mut self, made: &[Channel]) {
        self.send_on_resolve |= channel::wants_resolution(made);
    }
}

fn read_channels(reader: &mut Reader) -> Option<Makes<Channel>> {
    let items = match array_or_closure(reader, "channels", REMEDY)? {
        Listed::Closure(function) => return Some(Makes::Closure(function)),
        Listed::Items(items) => items,
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
                } else if let Some((message, help)) = channel::doubt(&channel) {
                    reader.note(false, false, path, message, Some(help.to_owned()));
                }
                channels.push(channel);
            }
            Err(Refusal { message, help }) => {
                sound = false;
                reader.note(true, false, path, message, Some(help));
            }
        }
    }
    if sound && channels.is_empty() && (items.is_empty() || !reader.refused) {
        reader.error("channels", "`channels` is empty: the rule would tell nobody".to_owned(), REMEDY);
    }
    sound.then_some(Makes::Fixed(channels))
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

/// Keys that count for nothing with these events.
fn warn_of_idle_waits(reader: &mut Reader, on: EventSet) {
    const REMEDY: &str = "list `triggered` in `on` too, or take it out";
    if on.is_empty() {
        return;
    }
    if reader.has("repeat_minutes") && !on.has(RuleEvent::Triggered) {
        let message = "`repeat_minutes` has no effect: only what acted on `triggered` is repeated".to_owned();
        reader.warning("repeat_minutes", message, REMEDY);
    }
    if reader.has("after_occurrences") && on == EventSet::EMPTY.with(RuleEvent::Resolved) {
        let message = "`after_occurrences` has no effect: on `resolved` a rule always acts".to_owned();
        reader.warning("after_occurrences", message, REMEDY);
    }
}

fn read_rate_limit(reader: &mut Reader) -> Option<RateLimit> {
    let mut inner = reader.inner("rate_limit", &RATE_LIMIT)?;
    let (named_hour, named_day) = (inner.has("max_per_hour"), inner.has("max_per_day"));
    let limit = RateLimit { max_per_hour: inner.positive("max_per_hour"), max_per_day: inner.positive("max_per_day") };
    if !named_hour && !named_day {
        inner.missing("max_per_hour", "write `rate_limit: #{ max_per_hour: 60 }`, with `max_per_day` or in its place");
    }
    if let (Some(hour), Some(day)) = (limit.max_per_hour, limit.max_per_day)
        && hour >= day
    {
        let message = format!("`max_per_hour` has no effect: {hour} an hour is never reached with {day} a day");
        inner.warning("max_per_hour", message, "make it smaller than `max_per_day`, or take it out");
    }
    reader.close(inner);
    Some(limit)
}

fn read_digest(reader: &mut Reader) -> Option<Digest> {
    let mut inner = reader.inner("digest", &DIGEST)?;
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
    enabled.then_some(Digest { interval_minutes, by, lead })
}
