//! Channels in the seed's shape, `{type, config}`: which keys each kind knows, and what they may hold.

use crate::model::{Channel, Metadata};
use crate::rules::collector::Refusal;
use crate::rules::diagnostic::{listed, suggest};
use rhai::{Array, Dynamic, Map};
use serde_json::Value;

/// What a key of `config` may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    /// Of Slack: its name or id.
    Channel,
    /// A text, or `secret("NAME")`.
    Secret,
    Url,
    Flag,
    /// One or more texts; one alone becomes a list.
    Texts,
    Addresses,
    Method,
    Headers,
}

struct Key {
    name: &'static str,
    holds: Holds,
    required: bool,
}

const fn key(name: &'static str, holds: Holds) -> Key {
    Key { name, holds, required: false }
}

const fn required(name: &'static str, holds: Holds) -> Key {
    Key { name, holds, required: true }
}

/// The first key of each kind is what its constructor takes first.
const KINDS: [(&str, &[Key]); 5] = [
    (
        "slack",
        &[
            required("channel", Holds::Channel),
            key("mention", Holds::Text),
            key("thread_updates", Holds::Flag),
            key("send_on_resolve", Holds::Flag),
        ],
    ),
    (
        "email",
        &[
            required("recipients", Holds::Addresses),
            key("cc", Holds::Addresses),
            key("subject_template", Holds::Text),
            key("send_on_resolve", Holds::Flag),
        ],
    ),
    ("sms", &[required("phone_numbers", Holds::Texts), key("send_on_resolve", Holds::Flag)]),
    ("pagerduty", &[required("service_key", Holds::Secret), key("send_on_resolve", Holds::Flag)]),
    (
        "webhook",
        &[
            required("url", Holds::Url),
            key("method", Holds::Method),
            key("headers", Holds::Headers),
            key("secret", Holds::Secret),
            key("send_on_resolve", Holds::Flag),
        ],
    ),
];

/// The options of a kind of channel, the first argument of its constructor among them.
#[cfg(test)]
pub(super) fn options(kind: &str) -> impl Iterator<Item = &'static str> {
    KINDS.iter().filter(move |(name, _)| *name == kind).flat_map(|(_, keys)| keys.iter().map(|key| key.name))
}

pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|(kind, _)| *kind)
}

/// The key of `config` that the constructor's first argument fills.
pub(super) fn first_key(kind: &str) -> Option<&'static str> {
    KINDS.iter().find(|(name, _)| *name == kind).and_then(|(_, keys)| keys.first()).map(|key| key.name)
}

/// Does one of them ask that the rule speaks on resolution too (`send_on_resolve`)?
pub fn wants_resolution(channels: &[Channel]) -> bool {
    channels.iter().any(|channel| channel.config.0.get("send_on_resolve") == Some(&Value::Bool(true)))
}

/// A list of channels; `()` in it is dropped.
pub(super) fn read_all(items: &Array) -> Result<Vec<Channel>, String> {
    items.iter().filter(|item| !item.is_unit()).map(|item| read(item).map_err(|refusal| refusal.told())).collect()
}

/// One channel, or what is wrong with it.
pub(super) fn read(value: &Dynamic) -> Result<Channel, Refusal> {
    let refuse = |message: String, help: &str| Err(Refusal { message, help: help.to_owned() });
    let Some(map) = value.read_lock::<Map>() else {
        let help = "write `slack(\"#ops\")` or `#{ type: \"slack\", config: #{ channel: \"#ops\" } }`";
        return refuse(format!("a channel is a map, not {}", described(value)), help);
    };
    let all: Vec<&str> = kinds().collect();
    let kind = match map.get("type").and_then(|kind| kind.clone().into_immutable_string().ok()) {
        Some(kind) => kind,
        None => return refuse("a channel needs a `type`".to_owned(), &format!("it is {}", listed(&all, "or"))),
    };
    let Some((_, keys)) = KINDS.iter().find(|(name, _)| *name == kind.as_str()) else {
        return refuse(format!("there is no channel of type `{kind}`"), &suggest(&kind, all));
    };
    if let Some(unknown) = map.keys().find(|key| !matches!(key.as_str(), "type" | "config" | "send_on_resolve")) {
        return refuse(
            format!("a channel has no key `{unknown}`"),
            "it has `type` and `config`, and its options stand in `config`",
        );
    }
    let empty = Dynamic::from_map(Map::new());
    let config = map.get("config").unwrap_or(&empty);
    let Some(config) = config.read_lock::<Map>() else {
        let help = format!("write `config: #{{ {}: … }}`", keys[0].name);
        return refuse(format!("`config` of {kind} is a map, not {}", described(config)), &help);
    };
    let mut read = serde_json::Map::new();
    for (name, value) in config.iter().filter(|(_, value)| !value.is_unit()) {
        let Some(key) = keys.iter().find(|key| key.name == name.as_str()) else {
            let known = keys.iter().map(|key| key.name);
            return refuse(format!("{kind} has no option `{name}`"), &suggest(name, known));
        };
        read.insert(name.to_string(), option(&kind, key, value)?);
    }
    if let Some(flag) = map.get("send_on_resolve") {
        read.insert("send_on_resolve".to_owned(), option(&kind, &key("send_on_resolve", Holds::Flag), flag)?);
    }
    match keys.iter().find(|key| key.required && !read.contains_key(key.name)) {
        Some(key) => {
            let help = format!(
                "write for example `{}: {}`, and of a label that may be missing `incident.labels.team ?? \"ops\"`",
                key.name,
                key.holds.example()
            );
            refuse(format!("{kind} needs `{}`, {}", key.name, key.holds.described()), &help)
        }
        None => Ok(Channel { kind: kind.to_string(), config: Metadata(read) }),
    }
}

fn option(kind: &str, key: &Key, value: &Dynamic) -> Result<Value, Refusal> {
    let wrong = || Refusal {
        message: format!("`{}` of {kind} is {}, not {}", key.name, key.holds.described(), described(value)),
        help: format!("write for example `{}: {}`", key.name, key.holds.example()),
    };
    let read = match key.holds {
        Holds::Flag => value.as_bool().ok().map(Value::Bool),
        Holds::Text => text(value),
        Holds::Channel => text(value).filter(|name| name != "#"),
        Holds::Secret => text(value).or_else(|| secret(value)),
        Holds::Url => text(value).filter(is_url).or_else(|| secret(value)),
        Holds::Method => text(value).filter(|method| *method == "POST" || *method == "PUT"),
        Holds::Texts => texts(value, |_| true),
        Holds::Addresses => texts(value, |address| address.contains('@')),
        Holds::Headers => headers(value),
    };
    read.ok_or_else(wrong)
}

impl Holds {
    fn described(self) -> &'static str {
        match self {
            Holds::Text => "a text",
            Holds::Channel => "the name or the id of a channel",
            Holds::Secret => "a text, better `secret(\"NAME\")`",
            Holds::Url => "an http or https URL, or `secret(\"NAME\")`",
            Holds::Flag => "true or false",
            Holds::Texts => "a text or an array of texts, one at least",
            Holds::Addresses => "an address such as \"sre@example.com\" or an array of them, one at least",
            Holds::Method => "\"POST\" or \"PUT\"",
            Holds::Headers => "a map of texts (or secrets)",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Holds::Text | Holds::Channel => "\"#ops\"",
            Holds::Secret => "secret(\"PD_SRE\")",
            Holds::Url => "\"https://hooks.example.com/x\"",
            Holds::Flag => "true",
            Holds::Texts => "[\"+15550100\"]",
            Holds::Addresses => "[\"sre@example.com\"]",
            Holds::Method => "\"POST\"",
            Holds::Headers => "#{ \"X-Team\": \"llm\" }",
        }
    }
}

/// What stands there instead, for a message; a text in quotes, cut at 40 characters.
pub(super) fn described(value: &Dynamic) -> String {
    if value.is_unit() {
        "()".to_owned()
    } else if let Some(text) = value.read_lock::<rhai::ImmutableString>() {
        let cut: String = text.chars().take(40).collect();
        if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
    } else if value.is_int() || value.is_float() || value.is_bool() {
        value.to_string()
    } else if value.is_array() {
        if value.read_lock::<Array>().is_some_and(|array| array.is_empty()) { "an empty array" } else { "an array" }.to_owned()
    } else if value.is_map() {
        "a map".to_owned()
    } else if value.is_fnptr() {
        "a function".to_owned()
    } else {
        format!("a value of type {}", value.type_name().rsplit("::").next().unwrap_or("unknown"))
    }
}

fn text(value: &Dynamic) -> Option<Value> {
    let text = value.clone().into_immutable_string().ok()?;
    (!text.trim().is_empty()).then(|| Value::String(text.to_string()))
}

fn secret(value: &Dynamic) -> Option<Value> {
    let map = value.read_lock::<Map>()?;
    let name = map.get("$secret").filter(|_| map.len() == 1)?;
    Some(serde_json::json!({ "$secret": text(name)? }))
}

fn is_url(value: &Value) -> bool {
    let rest = value.as_str().and_then(|url| url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}

fn texts(value: &Dynamic, fits: impl Fn(&str) -> bool) -> Option<Value> {
    let one = |value: &Dynamic| text(value).filter(|text| text.as_str().is_some_and(&fits));
    let items = match value.read_lock::<Array>() {
        Some(array) => array.iter().filter(|item| !item.is_unit()).map(one).collect::<Option<Vec<Value>>>()?,
        None => vec![one(value)?],
    };
    (!items.is_empty()).then_some(Value::Array(items))
}

fn headers(value: &Dynamic) -> Option<Value> {
    let map = value.read_lock::<Map>()?;
    let read = map.iter().map(|(name, value)| Some((name.to_string(), text(value).or_else(|| secret(value))?)));
    read.collect::<Option<serde_json::Map<_, _>>>().map(Value::Object)
}

/// What of it can hardly be delivered to, and the remedy.
pub(super) fn doubt(channel: &Channel) -> Option<(String, &'static str)> {
    fn texts<'a>(channel: &'a Channel, key: &str) -> Vec<&'a str> {
        match channel.config.0.get(key) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            value => value.and_then(Value::as_str).into_iter().collect(),
        }
    }
    let texts = |key| texts(channel, key);
    let is_address = |text: &str| {
        let inner = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end().trim_end_matches('>'));
        inner.matches('@').count() == 1 && !inner.contains(|c: char| c.is_whitespace() || c == ',' || c == ';')
    };
    match channel.kind.as_str() {
        "slack" => {
            let name = texts("channel").into_iter().find(|name| name.contains(|c: char| c.is_whitespace() || c == ','))?;
            Some((
                format!("no channel of Slack has a name like `{name}`"),
                "write a channel for each: `[slack(\"#a\"), slack(\"#b\")]`",
            ))
        }
        "email" => {
            let wrong = texts("recipients").into_iter().chain(texts("cc")).find(|text| !is_address(text))?;
            Some((format!("`{wrong}` is no e-mail address"), "write an array of them: `[\"a@example.com\", \"b@example.com\"]`"))
        }
        "sms" => {
            let wrong = texts("phone_numbers").into_iter().find(|text| !is_phone(text))?;
            Some((format!("`{wrong}` is no phone number"), "write it with its country: `\"+15550100\"`"))
        }
        "webhook" => {
            let url = texts("url").into_iter().find(|url| url.split('/').nth(2).is_some_and(|host| host.contains('@')))?;
            let shown = url.rsplit('@').next().unwrap_or_default();
            Some((
                format!("the password for {shown} stands here in clear and would be written to a topic"),
                "name the URL: `secret(\"NAME\")`; only delivery reads its value",
            ))
        }
        _ => None,
    }
}

/// Digits, and what people write between them.
pub(super) fn is_phone(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || " +-()./".contains(c))
}

/// Secrets that stand in the rule file in clear: SPEC 3.5 wants none of them in a topic.
pub(super) fn clear_secret(channel: &Channel) -> Option<&'static str> {
    let (_, keys) = KINDS.iter().find(|(kind, _)| *kind == channel.kind)?;
    let key =
        keys.iter().find(|key| key.holds == Holds::Secret && channel.config.0.get(key.name).is_some_and(Value::is_string))?;
    Some(key.name)
}
