//! What a closure sees: the incident as in SPEC 3.2 and the context, read-only, built only where it is asked for.
//!
//! A missing label or metadata value is `()`; so is a field that is not set. Writing to any of them is an error. Times are
//! moments: in a text they are RFC 3339, `a - b` is in milliseconds, and `hour`, `minute` and `weekday` (0 = Sunday) are UTC.

use crate::model::{Change, Incident, Metadata, RuleEvent, ServiceContext, Time, time};
use crate::rules::Context;
use crate::rules::channel::described;
use crate::rules::meter::Meter;
use crate::rules::sandbox::failure;
use rhai::{Dynamic, Engine, EvalAltResult, FLOAT, INT, Map};
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// An incident.
#[derive(Clone)]
pub(super) struct View {
    pub incident: Arc<Incident>,
    /// On a dry run: what stands where a sample has nothing.
    pub sample: Option<Rc<Sample>>,
}

/// What a sample of the dry run has beyond its incident.
#[derive(Default)]
pub(super) struct Sample {
    /// Every label that is asked for is there.
    pub all_labels: bool,
    /// So is all metadata, with this value.
    pub metadata: Dynamic,
    /// A closure asked for metadata that the incident has not.
    pub asked: Cell<bool>,
    /// A closure read what no number of samples can go through: anything but severity, environment, status and event.
    pub open: Cell<bool>,
}

impl View {
    pub fn of(incident: &Arc<Incident>) -> View {
        View { incident: incident.clone(), sample: None }
    }
}

/// A context; on a dry run every measurement that is asked for may be there (`all_measured`).
#[derive(Clone)]
pub(super) struct ContextView {
    context: Context,
    all_measured: bool,
    sample: Option<Rc<Sample>>,
}

impl ContextView {
    pub fn of(context: &Context) -> ContextView {
        ContextView { context: context.clone(), all_measured: false, sample: None }
    }

    /// What is read of it is no severity, environment, status or event.
    fn open(&self) -> &Context {
        note_open(&self.sample);
        &self.context
    }

    /// For a dry run: with a deployment, measurements, attempts and other incidents, or with none of them.
    pub fn sample(now: Time, event: RuleEvent, full: bool, sample: Option<Rc<Sample>>) -> ContextView {
        let mut context = Context::new(now, event);
        if full {
            let kind = "deployment".to_owned();
            let deployment = Change { kind, description: "v2".to_owned(), timestamp: now, id: None };
            context.service = Rc::new(ServiceContext { changes: vec![deployment], ..ServiceContext::default() });
            (context.attempts, context.open_incidents) = (1, 3);
        }
        ContextView { context, all_measured: full, sample }
    }
}

pub(super) const CONTEXT_FIELDS: [&str; 2] = ["now", "event"];
pub(super) const CONTEXT_FUNCTIONS: [&str; 4] = ["recent_deployment", "measurement", "attempts", "open_incidents"];

/// A type of its own, for a map would swallow writes.
#[derive(Clone)]
struct LabelsView(View);

#[derive(Clone)]
struct MetadataView(View);

pub(super) const FIELDS: [&str; 34] = [
    "id",
    "fingerprint",
    "dedup_key",
    "title",
    "description",
    "severity",
    "category",
    "service_id",
    "environment",
    "status",
    "triggered_at",
    "acknowledged_at",
    "acknowledged_by",
    "resolved_at",
    "resolved_by",
    "resolution",
    "labels",
    "metadata",
    "parent_incident_id",
    "related_incident_ids",
    "suppressed",
    "correlation",
    "silenced_by",
    "snoozed_until",
    "notifications",
    "escalation_level",
    "escalation_policy_id",
    "assigned_to",
    "timeline",
    "occurrence_count",
    "first_seen_at",
    "last_seen_at",
    "version",
    "last_alert",
];

/// What is read of an incident is new each time: it is weighed, as a variable is.
pub(super) fn register(engine: &mut Engine, meter: &Rc<Meter>) {
    engine.register_type_with_name::<View>("Incident");
    macro_rules! fields {
        ($($name:ident => |$incident:ident| $value:expr;)*) => {
            $({
                let meter = meter.clone();
                engine.register_get(stringify!($name), move |view: &mut View| -> Read {
                    if !["severity", "environment", "status"].contains(&stringify!($name)) {
                        note_open(&view.sample);
                    }
                    let $incident = &*view.incident;
                    weighed(&meter, $value)
                });
            })*
        };
    }
    fields! {
        id => |i| i.id.to_string().into();
        fingerprint => |i| i.fingerprint.to_string().into();
        dedup_key => |i| text(&i.dedup_key);
        title => |i| i.title.as_str().into();
        description => |i| i.description.as_str().into();
        severity => |i| i.severity.name().into();
        category => |i| i.category.as_str().into();
        service_id => |i| i.service_id.as_str().into();
        environment => |i| i.environment.name().into();
        status => |i| i.status.name().into();
        triggered_at => |i| moment(i.triggered_at);
        acknowledged_at => |i| i.acknowledged_at.map_or(Dynamic::UNIT, moment);
        acknowledged_by => |i| text(&i.acknowledged_by);
        resolved_at => |i| i.resolved_at.map_or(Dynamic::UNIT, moment);
        resolved_by => |i| text(&i.resolved_by);
        resolution => |i| text(&i.resolution);
        parent_incident_id => |i| i.parent_incident_id.map_or(Dynamic::UNIT, |id| id.to_string().into());
        related_incident_ids => |i| list(i.related_incident_ids.iter().map(|id| id.to_string().into()));
        suppressed => |i| i.suppressed.into();
        correlation => |i| i.correlation.as_ref().map_or(Dynamic::UNIT, |c| {
            value(&json!({"type": c.kind, "confidence": c.confidence, "reason": c.reason}))
        });
        silenced_by => |i| list(i.silenced_by.iter().map(|id| id.as_str().into()));
        snoozed_until => |i| i.snoozed_until.map_or(Dynamic::UNIT, moment);
        notifications => |i| list(i.notifications.iter().map(|n| Dynamic::from_map(Map::from([
            ("channel".into(), n.channel.as_str().into()),
            ("target".into(), n.target.as_str().into()),
            ("sent_at".into(), moment(n.sent_at)),
            ("delivered".into(), n.delivered.into()),
            ("error".into(), text(&n.error)),
        ]))));
        escalation_level => |i| INT::from(i.escalation_level).into();
        escalation_policy_id => |i| text(&i.escalation_policy_id);
        assigned_to => |i| text(&i.assigned_to);
        timeline => |i| list(i.timeline.iter().map(|entry| Dynamic::from_map(Map::from([
            ("timestamp".into(), moment(entry.timestamp)),
            ("event".into(), entry.event.name().into()),
            ("user".into(), entry.user.as_deref().unwrap_or("system").into()),
            ("details".into(), object(&entry.details)),
        ]))));
        occurrence_count => |i| count(i.occurrence_count);
        first_seen_at => |i| moment(i.first_seen_at);
        last_seen_at => |i| moment(i.last_seen_at);
        version => |i| count(i.version);
        last_alert => |i| value(&json!({
            "topic": i.last_alert.topic.name(), "partition": i.last_alert.partition, "offset": i.last_alert.offset,
        }));
    }
    engine.register_get("labels", |view: &mut View| {
        note_open(&view.sample);
        LabelsView(view.clone())
    });
    engine.register_get("metadata", |view: &mut View| {
        note_open(&view.sample);
        MetadataView(view.clone())
    });
    register_maps(engine, meter);
    register_moment(engine);
    register_context(engine);
}

fn note_open(sample: &Option<Rc<Sample>>) {
    if let Some(sample) = sample {
        sample.open.set(true);
    }
}

type Read = Result<Dynamic, Box<EvalAltResult>>;

fn weighed(meter: &Meter, value: Dynamic) -> Read {
    meter.weigh(&value).map(|()| value).map_err(failure)
}

fn register_context(engine: &mut Engine) {
    engine.register_type_with_name::<ContextView>("Context");
    engine.register_get("now", |view: &mut ContextView| view.open().now);
    engine.register_get("event", |view: &mut ContextView| view.context.event.name());
    engine.register_fn("attempts", |view: &mut ContextView| count(view.open().attempts));
    engine.register_fn("open_incidents", |view: &mut ContextView| count(view.open().open_incidents));
    engine.register_fn("recent_deployment", |view: &mut ContextView, minutes: Dynamic| {
        match minutes.as_int().ok().and_then(|minutes| u64::try_from(minutes).ok()) {
            Some(minutes) => Ok(view.open().service.recent_deployment(minutes, view.context.now)),
            None => Err(failure(format!("`recent_deployment` takes whole minutes, not {}", described(&minutes)))),
        }
    });
    engine.register_fn("measurement", |view: &mut ContextView, name: Dynamic| {
        let Ok(name) = name.as_immutable_string_ref() else {
            return Err(failure(format!("`measurement` takes the name of a metric, not {}", described(&name))));
        };
        let reading = view.open().service.measurement(&name, view.context.now);
        Ok(reading.or(view.all_measured.then_some(1.0)).map_or(Dynamic::UNIT, |value| Dynamic::from_float(value as FLOAT)))
    });
}

fn register_maps(engine: &mut Engine, meter: &Rc<Meter>) {
    engine.register_type_with_name::<LabelsView>("Labels");
    let scales = meter.clone();
    engine.register_indexer_get(move |labels: &mut LabelsView, name: &str| weighed(&scales, labels.get(name)));
    engine.register_fn("contains", |labels: &mut LabelsView, name: &str| !labels.get(name).is_unit());
    engine.register_fn("keys", |labels: &mut LabelsView| list(labels.0.incident.labels.iter().map(|(name, _)| name.into())));
    engine.register_fn("len", |labels: &mut LabelsView| labels.0.incident.labels.len() as INT);

    engine.register_type_with_name::<MetadataView>("Metadata");
    let scales = meter.clone();
    engine.register_indexer_get(move |metadata: &mut MetadataView, name: &str| weighed(&scales, metadata.get(name)));
    engine.register_fn("contains", |metadata: &mut MetadataView, name: &str| !metadata.get(name).is_unit());
    engine.register_fn("keys", |metadata: &mut MetadataView| {
        list(metadata.0.incident.metadata.0.keys().map(|name| name.as_str().into()))
    });
    engine.register_fn("len", |metadata: &mut MetadataView| metadata.0.incident.metadata.0.len() as INT);
}

fn register_moment(engine: &mut Engine) {
    engine.register_type_with_name::<Time>("Moment");
    engine.register_fn("to_string", |time: &mut Time| time.to_string());
    engine.register_fn("to_debug", |time: &mut Time| time.to_string());
    engine.register_fn("-", |a: Time, b: Time| a - b);
    engine.register_fn("-", |time: Time, millis: INT| time + millis.saturating_neg());
    engine.register_fn("+", |time: Time, millis: INT| time + millis);
    engine.register_fn("==", |a: Time, b: Time| a == b);
    engine.register_fn("!=", |a: Time, b: Time| a != b);
    engine.register_fn("<", |a: Time, b: Time| a < b);
    engine.register_fn("<=", |a: Time, b: Time| a <= b);
    engine.register_fn(">", |a: Time, b: Time| a > b);
    engine.register_fn(">=", |a: Time, b: Time| a >= b);
    engine.register_get("hour", |time: &mut Time| time.0.rem_euclid(time::DAY) / time::HOUR);
    engine.register_get("minute", |time: &mut Time| time.0.rem_euclid(time::HOUR) / time::MINUTE);
    // 1970-01-01 was a Thursday.
    engine.register_get("weekday", |time: &mut Time| (time.0.div_euclid(time::DAY) + 4).rem_euclid(7));
}

impl LabelsView {
    fn get(&self, name: &str) -> Dynamic {
        match self.0.incident.labels.get(name) {
            Some(label) => label.into(),
            None if self.0.sample.as_ref().is_some_and(|sample| sample.all_labels) => "sample".into(),
            None => Dynamic::UNIT,
        }
    }
}

impl MetadataView {
    fn get(&self, name: &str) -> Dynamic {
        if let Some(found) = self.0.incident.metadata.0.get(name) {
            return value(found);
        }
        self.0.sample.as_ref().map_or(Dynamic::UNIT, |sample| {
            sample.asked.set(true);
            sample.metadata.clone()
        })
    }
}

fn moment(time: Time) -> Dynamic {
    Dynamic::from(time)
}

fn text(text: &Option<String>) -> Dynamic {
    text.as_deref().map_or(Dynamic::UNIT, Into::into)
}

fn count(count: u64) -> Dynamic {
    INT::try_from(count).unwrap_or(INT::MAX).into()
}

fn list(items: impl Iterator<Item = Dynamic>) -> Dynamic {
    Dynamic::from_array(items.collect())
}

fn object(metadata: &Metadata) -> Dynamic {
    Dynamic::from_map(metadata.0.iter().map(|(name, item)| (name.as_str().into(), value(item))).collect())
}

/// A JSON value as a script sees it; an integer past 64 bits with sign is a float.
fn value(json: &Value) -> Dynamic {
    match json {
        Value::Null => Dynamic::UNIT,
        Value::Bool(bool) => (*bool).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => Dynamic::from_float(number.as_f64().unwrap_or(f64::MAX) as FLOAT),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => list(items.iter().map(value)),
        Value::Object(map) => Dynamic::from_map(map.iter().map(|(name, item)| (name.as_str().into(), value(item))).collect()),
    }
}
