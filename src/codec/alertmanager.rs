//! One alert of an Alertmanager webhook body (version 4), mapped as the seed's receiver does (SPEC 3.1).
//!
//! `labels` must be there; everything else may be missing. Annotations may hold any JSON, as metadata does.

use crate::codec::head::Head;
use crate::codec::native::{self, object, text};
use crate::codec::numbers::{self, Known, Numbers};
use crate::codec::{Settings, found};
use crate::model::{AlertBody, AlertStatus, Environment, Metadata, Severity, Time};
use serde_json::{Map, Value};

/// An alert of Alertmanager, from a webhook body or its event recorder; every part is checked for its type.
#[derive(Debug, Default)]
pub struct Element {
    pub status: AlertStatus,
    pub labels: Map<String, Value>,
    pub annotations: Map<String, Value>,
    pub starts_at: Option<Time>,
    pub ends_at: Option<Time>,
    pub generator_url: String,
    /// 16 hex digits, over the labels; empty where it does not say.
    pub fingerprint: String,
}

/// Reads an element of `alerts`, or says which field is wrong.
pub fn parse(json: &str, settings: &Settings) -> Result<Element, String> {
    let mut map = native::parse(json, settings)?;
    let status = native::status("status", text(&map, "status")?)?;
    let moment = |name| Ok::<_, String>(native::time(name, text(&map, name)?)?.filter(|time| !time.is_year_one()));
    let (starts_at, ends_at) = (moment("startsAt")?, moment("endsAt")?);
    let generator_url = text(&map, "generatorURL")?.to_owned();
    let fingerprint = text(&map, "fingerprint")?.to_owned();
    object(&map, "annotations")?;
    match map.get("labels") {
        None => return Err("labels: missing; every alert of Alertmanager has them".to_owned()),
        Some(Value::Object(labels)) => native::check_labels(labels, settings)?,
        Some(other) => return Err(format!("labels: {}", found::expected("an object", other))),
    }
    let mut take = |name: &str| match map.remove(name) {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let (labels, annotations) = (take("labels"), take("annotations"));
    Ok(Element { status, labels, annotations, starts_at, ends_at, generator_url, fingerprint })
}

impl Element {
    /// A label's value; empty where there is none.
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// An annotation that is a string; empty where there is none.
    fn annotation(&self, name: &str) -> &str {
        self.annotations.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn category(&self) -> &str {
        first(&[self.label("category"), "infrastructure"])
    }

    fn environment(&self, settings: &Settings) -> Option<Environment> {
        settings.environment(self.label("environment"))
    }

    /// The seed's table; for words that are not in it what everybody else may write (a page too many, never one too few).
    fn severity(&self, settings: &Settings) -> Option<Severity> {
        let word = self.label("severity");
        let table =
            [("critical", Severity::Critical), ("error", Severity::High), ("warning", Severity::Medium), ("info", Severity::Low)];
        let said = table.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        said.map(|(_, severity)| severity).or_else(|| settings.severity(word))
    }

    pub fn head(&self, settings: &Settings) -> Result<Head<'_>, String> {
        let numbers = Numbers::of(&self.annotations);
        Ok(Head {
            service_id: first(&[self.label("service"), self.label("job"), "unknown"]),
            category: self.category(),
            metric_type: self.label("metric_type"),
            model_id: self.label("model_id"),
            alertname: self.label("alertname"),
            dedup_key: "",
            source: &self.fingerprint,
            environment: self.environment(settings).unwrap_or_default(),
            severity: self.severity(settings).unwrap_or(Severity::Medium),
            status: self.status,
            timestamp: match self.status {
                // startsAt would fall out of every window.
                AlertStatus::Firing => None,
                AlertStatus::Resolved => self.ends_at,
            },
            starts_at: self.starts_at,
            threshold: numbers.number(Known::Threshold),
            current_value: numbers.current_value(),
        })
    }

    pub fn body(&self, settings: &Settings) -> AlertBody {
        let environment = self.environment(settings);
        let mut metadata: Map<String, Value> = self.annotations.clone();
        metadata.retain(|_, value| !value.is_null());
        for (name, value) in [
            ("dashboard_url", self.annotation("dashboard")),
            ("runbook_url", self.annotation("runbook")),
            ("alert_manager_url", &self.generator_url),
        ] {
            if !value.is_empty() {
                metadata.insert(name.to_owned(), Value::from(value));
            }
        }
        numbers::convert(&mut metadata);
        native::keep_originals(
            &mut metadata,
            (self.label("environment"), environment),
            (self.label("severity"), self.severity(settings)),
        );
        AlertBody {
            title: first(&[self.label("alertname"), self.annotation("summary"), "unnamed alert"]).to_owned(),
            description: first(&[self.annotation("description"), self.annotation("summary")]).to_owned(),
            category: self.category().to_owned(),
            environment: environment.unwrap_or_default(),
            dedup_key: None,
            labels: native::labels(&self.labels),
            metadata: Metadata(metadata),
        }
    }
}

/// The first that is not empty.
fn first<'t>(texts: &[&'t str]) -> &'t str {
    texts.iter().copied().find(|text| !text.is_empty()).unwrap_or_default()
}
