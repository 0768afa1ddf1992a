//! A record of `alerts`, whatever it is, as the alerts in it (SPEC 2, 3.1). Every record yields at least one item.

use crate::codec::alertmanager::{self, Element};
use crate::codec::head::Head;
use crate::codec::shape::{Shape, shape};
use crate::codec::{Settings, native, quick, recorder};
use crate::model::{Alert, AlertBody, Fingerprint, Origin, Time};

/// A record of `alerts` (or one forwarded from it).
#[derive(Clone, Copy)]
pub struct AlertRecord<'a> {
    pub origin: Origin,
    /// Its Kafka timestamp.
    pub time: Time,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// What a forwarder found it to be; `None`: told by its shape.
    pub form: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Native,
    /// One element of an Alertmanager webhook body's `alerts`.
    Element,
    /// A record of Alertmanager's own Kafka event recorder.
    Recorder,
}

/// One thing found in a record of `alerts`.
pub enum Item<'a> {
    /// `bytes`: the alert alone, as it came (the element of a webhook body).
    Alert { alert: &'a Alert<'a>, form: Form, bytes: &'a [u8] },
    /// To `dead-letters`, with `reason` naming the field. `index`: its place in a webhook body.
    Rejected { index: u32, reason: String, bytes: &'a [u8] },
    /// A record that tells of no alert: another event of Alertmanager's recorder, or a body whose `alerts` is empty.
    Ignored,
}

/// Reads a record of `alerts`, in the order of a body's alerts.
pub fn read_alerts(record: &AlertRecord<'_>, settings: &Settings, sink: &mut dyn FnMut(Item<'_>)) {
    open(*record, settings).read(settings, sink);
}

/// A record begun to be read: its plain alert is known but for what only a creation needs, and nothing is said of it yet.
/// So whoever has many can ask for the incidents of all before the first is dealt with.
pub struct Opened<'a> {
    pub record: AlertRecord<'a>,
    /// `None`: anything but a plain alert as usual.
    plain: Option<Plain<'a>>,
}

struct Plain<'a> {
    text: &'a str,
    head: Head<'a>,
    fingerprint: Fingerprint,
}

/// The first part of [`read_alerts`].
pub fn open<'a>(record: AlertRecord<'a>, settings: &Settings) -> Opened<'a> {
    Opened { record, plain: Plain::of(&record, settings) }
}

impl<'a> Plain<'a> {
    fn of(record: &AlertRecord<'a>, settings: &Settings) -> Option<Plain<'a>> {
        if !matches!(record.form, None | Some(Form::Native)) {
            return None;
        }
        let bytes = record.value.filter(|bytes| bytes.len() <= settings.max_alert)?;
        let text = simdutf8::basic::from_utf8(bytes).ok()?;
        let head = quick::words(text, settings)?.head(settings).ok()?;
        let fingerprint = head.fingerprint(settings);
        Some(Plain { text, head, fingerprint })
    }
}

impl Opened<'_> {
    /// Of a plain alert.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.plain.as_ref().map(|plain| &plain.fingerprint)
    }

    /// Of a plain alert the service, and the time as it says it.
    pub fn plain(&self) -> Option<(&str, Option<Time>)> {
        self.plain.as_ref().map(|plain| (plain.head.service_id, plain.head.timestamp))
    }

    /// The second part of [`read_alerts`].
    pub fn read(&self, settings: &Settings, sink: &mut dyn FnMut(Item<'_>)) {
        let reader = Reader { record: &self.record, settings };
        if let Some(plain) = &self.plain {
            return reader.plain(plain, sink);
        }
        if let Err(reason) = reader.read(sink) {
            let bytes = self.record.value.unwrap_or_default();
            sink(Item::Rejected { index: self.record.origin.index, reason, bytes });
        }
    }
}

struct Reader<'r> {
    record: &'r AlertRecord<'r>,
    settings: &'r Settings,
}

impl Reader<'_> {
    /// What is not a plain alert as usual. An error refuses the whole record; nothing was said then.
    fn read(&self, sink: &mut dyn FnMut(Item<'_>)) -> Result<(), String> {
        let bytes = self.record.value.ok_or("the record has no value (a tombstone)")?;
        let most = self.settings.max_body_bytes.max(self.settings.max_alert);
        if bytes.len() > most {
            return Err(format!("{} bytes; a record may have at most {most} (limits.body_bytes)", bytes.len()));
        }
        let text = simdutf8::basic::from_utf8(bytes).or_else(|_| {
            simdutf8::compat::from_utf8(bytes).map_err(|error| format!("not UTF-8: byte {} is wrong", error.valid_up_to()))
        })?;
        match self.record.form {
            Some(Form::Native) => self.full(text, sink),
            Some(Form::Element) => {
                let element = alertmanager::parse(text, self.settings)?;
                self.element(self.record.origin, &element, Form::Element, text, sink)
            }
            Some(Form::Recorder) => self.recorder(text, sink),
            None => match shape(text, self.settings)? {
                Shape::Native => self.full(text, sink),
                Shape::Recorder => self.recorder(text, sink),
                Shape::Webhook(elements) => {
                    if elements.is_empty() {
                        sink(Item::Ignored);
                    }
                    for (index, element) in (0..).zip(elements) {
                        let text = element.get();
                        let origin = Origin { index, ..self.record.origin };
                        let read = alertmanager::parse(text, self.settings)
                            .and_then(|element| self.element(origin, &element, Form::Element, text, sink));
                        if let Err(reason) = read {
                            sink(Item::Rejected { index, reason, bytes: text.as_bytes() });
                        }
                    }
                    Ok(())
                }
            },
        }
    }

    fn plain(&self, plain: &Plain<'_>, sink: &mut dyn FnMut(Item<'_>)) {
        let Plain { text, head, fingerprint } = plain;
        let body = || match native::parse(text, self.settings) {
            Ok(map) => native::body(map, self.settings),
            Err(error) => native::unreadable(&error),
        };
        let alert = head.alert(self.record.origin, self.record.time, *fingerprint, &body);
        sink(Item::Alert { alert: &alert, form: Form::Native, bytes: text.as_bytes() });
    }

    fn full(&self, text: &str, sink: &mut dyn FnMut(Item<'_>)) -> Result<(), String> {
        let map = native::parse(text, self.settings)?;
        let words = native::words(&map, self.settings)?;
        let head = words.head(self.settings)?;
        let body = || native::body(map.clone(), self.settings);
        self.emit(self.record.origin, &head, &body, Form::Native, text, sink);
        Ok(())
    }

    fn recorder(&self, text: &str, sink: &mut dyn FnMut(Item<'_>)) -> Result<(), String> {
        match recorder::parse(text, self.settings)? {
            Some(element) => self.element(self.record.origin, &element, Form::Recorder, text, sink)?,
            None => sink(Item::Ignored),
        }
        Ok(())
    }

    fn element(
        &self,
        origin: Origin,
        element: &Element,
        form: Form,
        text: &str,
        sink: &mut dyn FnMut(Item<'_>),
    ) -> Result<(), String> {
        let head = element.head(self.settings)?;
        let body = || element.body(self.settings);
        self.emit(origin, &head, &body, form, text, sink);
        Ok(())
    }

    fn emit(
        &self,
        origin: Origin,
        head: &Head<'_>,
        body: &dyn Fn() -> AlertBody,
        form: Form,
        text: &str,
        sink: &mut dyn FnMut(Item<'_>),
    ) {
        let alert = head.alert(origin, self.record.time, head.fingerprint(self.settings), body);
        sink(Item::Alert { alert: &alert, form, bytes: text.as_bytes() });
    }
}
