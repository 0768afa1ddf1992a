//! The functions with which rules name channels, people and actions: each returns a map in the seed's shape, and refuses
//! bad arguments where they stand (SPEC 5).

use crate::rules::channel::{self, described};
use crate::rules::collector::{Collector, Refusal};
use crate::rules::remedy;
use rhai::{Array, Dynamic, Engine, EvalAltResult, INT, Map, NativeCallContext};
use std::rc::Rc;

const LEVEL: &str = "write for example `level(15, [team(\"llm\")])`";

type Built = Result<Dynamic, Box<EvalAltResult>>;

/// Names that no file may take for a function of its own.
pub(super) const OWN: [&str; 27] = [
    "notification",
    "escalation",
    "remediation",
    "slack",
    "email",
    "sms",
    "pagerduty",
    "webhook",
    "user",
    "schedule",
    "team",
    "slack_channel",
    "level",
    "rollback",
    "scale_up",
    "restart",
    "increase_rate_limit",
    "switch_model_variant",
    "notify",
    "secret",
    "num",
    "sleep",
    "timestamp",
    // Of `context`: a function of the file by that name would be asked in its place.
    "recent_deployment",
    "measurement",
    "attempts",
    "open_incidents",
];

pub(super) fn register(engine: &mut Engine, collector: &Rc<Collector>) {
    register_channels(engine, collector);
    register_targets(engine, collector);
    register_actions(engine, collector);
    let refusing = collector.clone();
    engine.register_fn("secret", move |context: NativeCallContext, name: Dynamic| -> Built {
        let fits = |name: &str| {
            !name.is_empty() && name.len() <= 128 && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        match name.clone().into_immutable_string() {
            Ok(name) if fits(&name) && !name.starts_with('.') => Ok(map([("$secret", name.into())])),
            _ => {
                let message = format!("`secret` takes a name of letters, digits, `_`, `-` and `.`, not {}", described(&name));
                refusing.refuse(&context, Refusal::new(message, "write for example `secret(\"PD_SRE\")`"))
            }
        }
    });
}

fn register_channels(engine: &mut Engine, collector: &Rc<Collector>) {
    for kind in channel::kinds() {
        let Some(key) = channel::first_key(kind) else { continue };
        let build = {
            let collector = collector.clone();
            move |context: NativeCallContext, first: Dynamic, options: Dynamic| -> Built {
                let Ok(mut config) = options.as_map_ref().map(|options| options.clone()) else {
                    let message = format!("the options of `{kind}` are a map, not {}", described(&options));
                    let help = format!("write `{kind}(…, #{{ … }})`, or leave them out");
                    return collector.refuse(&context, Refusal { message, help });
                };
                if config.contains_key(key) {
                    let message = format!("`{key}` is the first argument of `{kind}`, not an option too");
                    return collector.refuse(&context, Refusal::new(message, "take it out of the options"));
                }
                if first.is_unit() && collector.has_errors() {
                    // What should stand there was refused, and that is noted.
                    return Ok(Dynamic::UNIT);
                }
                config.insert(key.into(), first);
                let built = map([("type", kind.into()), ("config", Dynamic::from_map(config))]);
                match channel::read(&built) {
                    Ok(_) => Ok(built),
                    Err(refusal) => collector.refuse(&context, refusal),
                }
            }
        };
        let plain = build.clone();
        engine.register_fn(kind, move |context: NativeCallContext, first: Dynamic| {
            plain(context, first, Dynamic::from_map(Map::new()))
        });
        engine.register_fn(kind, build);
    }
}

fn register_targets(engine: &mut Engine, collector: &Rc<Collector>) {
    for kind in ["user", "schedule", "team", "slack_channel"] {
        let collector = collector.clone();
        engine.register_fn(kind, move |context: NativeCallContext, id: Dynamic| -> Built {
            match id.clone().into_immutable_string() {
                Ok(id) if !matches!(id.trim(), "" | "#") => Ok(map([("type", kind.into()), ("id", id.into())])),
                _ => {
                    let message = format!("`{kind}` takes an id, not {}", described(&id));
                    collector.refuse(&context, Refusal { message, help: format!("write for example `{kind}(\"llm\")`") })
                }
            }
        });
    }
    let collector = collector.clone();
    engine.register_fn("level", move |context: NativeCallContext, delay: Dynamic, targets: Dynamic| -> Built {
        if !delay.as_int().is_ok_and(|minutes| minutes >= 0) {
            let message = format!("`level` takes minutes first, 0 or more, not {}", described(&delay));
            return collector.refuse(&context, Refusal::new(message, LEVEL));
        }
        let fits = |item: &Dynamic| item.is_unit() || item.is_map();
        let wrong = match targets.read_lock::<Array>() {
            Some(targets) => targets.iter().find(|item| !fits(item)).map(|item| {
                let message = format!("a target is a map, not {}", described(item));
                Refusal::new(message, "write `user(\"alice\")`, `schedule(…)`, `team(…)` or `slack_channel(\"#ops\")`")
            }),
            None => Some(Refusal::new(format!("`level` takes an array of targets, not {}", described(&targets)), LEVEL)),
        };
        if let Some(refusal) = wrong {
            return collector.refuse(&context, refusal);
        }
        Ok(map([("delay_minutes", delay), ("targets", targets)]))
    });
}

fn register_actions(engine: &mut Engine, collector: &Rc<Collector>) {
    for kind in ["rollback", "restart"] {
        engine.register_fn(kind, move || map([("type", kind.into())]));
        let collector = collector.clone();
        engine.register_fn(kind, move |context: NativeCallContext, target: Dynamic| -> Built {
            match is_text(&target) {
                true => Ok(map([("type", kind.into()), ("target", target)])),
                false => {
                    let message = format!("`{kind}` takes the service to act on, not {}", described(&target));
                    let help = format!("write `{kind}(\"chat-api\")`, or `{kind}()` for the incident's own");
                    collector.refuse(&context, Refusal { message, help })
                }
            }
        });
    }
    let refusing = collector.clone();
    engine.register_fn("scale_up", move |context: NativeCallContext, replicas: Dynamic| -> Built {
        match remedy::replicas(&replicas) {
            Some(text) => Ok(map([("type", "scale_up".into()), ("replicas", text.into())])),
            None => {
                let message = format!("`scale_up` takes a number of replicas, not {}", described(&replicas));
                refusing.refuse(&context, Refusal::new(message, "write for example `scale_up(\"+2\")` or `scale_up(\"50%\")`"))
            }
        }
    });
    let refusing = collector.clone();
    engine.register_fn(
        "increase_rate_limit",
        move |context: NativeCallContext, multiplier: Dynamic, minutes: Dynamic| -> Built {
            if remedy::multiplier(&multiplier).is_none() || !minutes.as_int().is_ok_and(|minutes: INT| minutes > 0) {
                let message = "`increase_rate_limit` takes a multiplier above 0 and minutes of 1 or more".to_owned();
                return refusing.refuse(&context, Refusal::new(message, "write for example `increase_rate_limit(2.0, 30)`"));
            }
            let kind = ("type", "increase_rate_limit".into());
            Ok(map([kind, ("multiplier", multiplier), ("duration_minutes", minutes)]))
        },
    );
    for (kind, key) in [("switch_model_variant", "variant"), ("notify", "message")] {
        let collector = collector.clone();
        engine.register_fn(kind, move |context: NativeCallContext, value: Dynamic| -> Built {
            match is_text(&value) {
                true => Ok(map([("type", kind.into()), (key, value)])),
                false => {
                    let message = format!("`{kind}` takes the {key} as a text, not {}", described(&value));
                    collector.refuse(&context, Refusal { message, help: format!("write `{kind}(\"…\")`") })
                }
            }
        });
    }
}

fn is_text(value: &Dynamic) -> bool {
    value.clone().into_immutable_string().is_ok_and(|text| !text.trim().is_empty())
}

fn map<const N: usize>(pairs: [(&str, Dynamic); N]) -> Dynamic {
    Dynamic::from_map(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
}
