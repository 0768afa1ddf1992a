//! The hot path: an alert's words read in place, without a copy or an allocation.
//!
//! One visitor for both parsers: sonic-rs for what is short, serde_json above (sonic-rs's own skipping recurses with the
//! nesting; ours never goes deeper than the limit). It gives up on whatever is not as usual, and `native` decides then.

use crate::codec::Settings;
use crate::codec::native::Words;
use crate::codec::numbers::{Known, Numbers, Said};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Longer texts go to serde_json.
const SONIC_MOST: usize = 8 << 10;

/// The words of an alert; `None` where anything is unusual, invalid JSON included.
pub fn words<'a>(text: &'a str, settings: &Settings) -> Option<Words<'a>> {
    let mut words = Words::default();
    let alert = Alert { words: &mut words, most_labels: settings.max_labels, nesting: settings.nesting() };
    if text.len() <= SONIC_MOST {
        let mut parser = sonic_rs::Deserializer::from_str(text);
        parser.deserialize_map(alert).ok()?;
        parser.end().ok()?;
    } else {
        let mut parser = serde_json::Deserializer::from_str(text);
        parser.deserialize_map(alert).ok()?;
        parser.end().ok()?;
    }
    Some(words)
}

#[cold]
fn unusual<E: Error>() -> E {
    E::custom("unusual")
}

/// Visits an alert's object.
struct Alert<'w, 'a> {
    words: &'w mut Words<'a>,
    most_labels: usize,
    /// Levels that may still be opened, the alert's own included.
    nesting: usize,
}

impl<'a> Visitor<'a> for Alert<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an alert")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let words = self.words;
        let inner = self.nesting.checked_sub(1).ok_or_else(unusual)?;
        while let Some(key) = map.next_key_seed(Key(Field::named))? {
            match key {
                Field::ServiceId => words.service_id = map.next_value_seed(Text)?,
                Field::Title => words.has_title = map.next_value_seed(HasText)?,
                Field::Description => drop(map.next_value_seed(HasText)?),
                Field::Category => words.category = map.next_value_seed(Text)?,
                Field::Environment => words.environment = map.next_value_seed(Text)?,
                Field::Severity => words.severity = map.next_value_seed(Text)?,
                Field::Status => words.status = map.next_value_seed(Text)?,
                Field::Timestamp => words.timestamp = map.next_value_seed(Text)?,
                Field::DedupKey => words.dedup_key = map.next_value_seed(Text)?,
                Field::Source => words.source = map.next_value_seed(Text)?,
                Field::Labels => map.next_value_seed(Labels { words: &mut *words, most: self.most_labels, nesting: inner })?,
                Field::Metadata => words.metadata = map.next_value_seed(Metadata { nesting: inner })?,
                Field::Known(known) => words.top.set(known, map.next_value_seed(Number { nesting: inner })?),
                Field::Other => map.next_value_seed(Skip { nesting: inner })?,
                Field::Envelope => return Err(unusual()),
            }
        }
        Ok(())
    }
}

enum Field {
    ServiceId,
    Title,
    Description,
    Category,
    Environment,
    Severity,
    Status,
    Timestamp,
    DedupKey,
    Source,
    Labels,
    Metadata,
    Known(Known),
    /// Alertmanager's, perhaps.
    Envelope,
    Other,
}

impl Field {
    fn named(name: &str) -> Field {
        match name {
            "service_id" => Field::ServiceId,
            "title" => Field::Title,
            "description" => Field::Description,
            "category" => Field::Category,
            "environment" => Field::Environment,
            "severity" => Field::Severity,
            "status" => Field::Status,
            "timestamp" => Field::Timestamp,
            "dedup_key" => Field::DedupKey,
            "source" => Field::Source,
            "labels" => Field::Labels,
            "metadata" => Field::Metadata,
            "alerts" | "data" => Field::Envelope,
            name => Known::named(name).map_or(Field::Other, Field::Known),
        }
    }
}

/// Reads a key as what the function makes of it.
struct Key<F>(F);

impl<'a, T, F: FnOnce(&str) -> T> DeserializeSeed<'a> for Key<F> {
    type Value = T;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Key<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        Ok((self.0)(name))
    }
}

/// A seed that is its own visitor and takes whatever value comes.
macro_rules! any_value {
    ($life:lifetime, $seed:ty, $value:ty) => {
        impl<$life> DeserializeSeed<$life> for $seed {
            type Value = $value;
            fn deserialize<D: Deserializer<$life>>(self, deserializer: D) -> Result<$value, D::Error> {
                deserializer.deserialize_any(self)
            }
        }
    };
}

/// A string as it stands there; empty for null. One with an escape is left to `native`.
struct Text;

any_value!('a, Text, &'a str);

impl<'a> Visitor<'a> for Text {
    type Value = &'a str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<&'a str, E> {
        Ok(text)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<&'a str, E> {
        Err(unusual())
    }

    fn visit_unit<E: Error>(self) -> Result<&'a str, E> {
        Ok("")
    }
}

/// A string of which only is asked whether it says anything; null does not.
struct HasText;

any_value!('a, HasText, bool);

impl Visitor<'_> for HasText {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(!text.is_empty())
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// The labels: strings or null, two of them kept.
struct Labels<'w, 'a> {
    words: &'w mut Words<'a>,
    most: usize,
    nesting: usize,
}

any_value!('a, Labels<'_, 'a>, ());

impl<'a> Visitor<'a> for Labels<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.words.metric_type = "";
        self.words.model_id = "";
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        // Labels that come twice: only the last object counts.
        self.words.metric_type = "";
        self.words.model_id = "";
        let mut room = if self.nesting == 0 { 0 } else { self.most };
        let kept = |name: &str| match name {
            "metric_type" => Some(true),
            "model_id" => Some(false),
            _ => None,
        };
        while let Some(kept) = map.next_key_seed(Key(kept))? {
            room = room.checked_sub(1).ok_or_else(unusual)?;
            match kept {
                Some(true) => self.words.metric_type = map.next_value_seed(Text)?,
                Some(false) => self.words.model_id = map.next_value_seed(Text)?,
                None => drop(map.next_value_seed(HasText)?),
            }
        }
        Ok(())
    }
}

/// The metadata: the known numbers are kept.
struct Metadata {
    nesting: usize,
}

any_value!('a, Metadata, Numbers);

impl<'a> Visitor<'a> for Metadata {
    type Value = Numbers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata")
    }

    fn visit_unit<E: Error>(self) -> Result<Numbers, E> {
        Ok(Numbers::default())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Numbers, A::Error> {
        let inner = self.nesting.checked_sub(1).ok_or_else(unusual)?;
        let mut numbers = Numbers::default();
        while let Some(known) = map.next_key_seed(Key(Known::named))? {
            match known {
                Some(known) => numbers.set(known, map.next_value_seed(Number { nesting: inner })?),
                None => map.next_value_seed(Skip { nesting: inner })?,
            }
        }
        Ok(numbers)
    }
}

/// A value that may be a number or a numeric string.
struct Number {
    nesting: usize,
}

any_value!('a, Number, Said);

impl<'a> Visitor<'a> for Number {
    type Value = Said;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Said, E> {
        Ok(Said::Other)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Said, E> {
        Ok(Said::Number(number as f64))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Said, E> {
        Ok(Said::Number(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Said, E> {
        if number.is_finite() { Ok(Said::Number(number)) } else { Err(unusual()) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Said, E> {
        Ok(Said::text(text))
    }

    fn visit_unit<E: Error>(self) -> Result<Said, E> {
        Ok(Said::Empty)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, seq: A) -> Result<Said, A::Error> {
        Skip { nesting: self.nesting }.visit_seq(seq).map(|()| Said::Other)
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<Said, A::Error> {
        Skip { nesting: self.nesting }.visit_map(map).map(|()| Said::Other)
    }
}

/// A value that is only looked at for being JSON and not too deep.
struct Skip {
    /// Levels that it may open.
    nesting: usize,
}

any_value!('a, Skip, ());

impl<'a> Visitor<'a> for Skip {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() { Ok(()) } else { Err(unusual()) }
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.nesting.checked_sub(1).ok_or_else(unusual)?;
        while seq.next_element_seed(Skip { nesting: inner })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.nesting.checked_sub(1).ok_or_else(unusual)?;
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Skip { nesting: inner })?;
        }
        Ok(())
    }
}
