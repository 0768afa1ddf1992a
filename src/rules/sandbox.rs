//! The Rhai engine that rules run in: what it can do, what it refuses, and how its errors read.

use crate::rules::collector::Collector;
use crate::rules::diagnostic::{Place, ScriptError};
use crate::rules::meter::{MAX_CALLS, MAX_ELEMENTS, MAX_STRING, MAX_VARIABLES, Meter};
use crate::rules::{constructors, declaration, view};
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage, BasicStringPackage,
    LogicPackage, MoreStringPackage, Package,
};
use rhai::{
    Dynamic, Engine, EvalAltResult, FLOAT, INT, ImmutableString, LexError, NativeCallContext, OptimizationLevel, Position, Token,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Functions of other hosts that people try; each says why it is not here.
const REFUSED: [(&str, &str); 3] = [
    ("sleep", "a rule cannot wait; use `repeat_minutes`, `after_occurrences` or an escalation's delay"),
    ("timestamp", "a rule has no clock of its own; use `context.now` in `|incident, context|`"),
    ("parse_json", "a rule cannot parse texts; read `incident.metadata`"),
];

/// `this` reaches values past the weighing of variables; the others reach past the rule.
pub(super) const REFUSED_WORDS: [&str; 4] = ["eval", "print", "debug", "this"];

/// Of a text whose reading is ended.
const TOO_LONG: &str = "this file takes too long to read";

/// An engine that can compute, and nothing else: no clock, file, network, module, sleep, eval or print.
pub(super) fn engine(meter: &Rc<Meter>, collector: &Rc<Collector>) -> Engine {
    // The same seed in every process: no result may hang on the order of a hash table. An error means it is set already.
    let _ = rhai::config::hashing::set_hashing_seed(Some([1, 2, 3, 4]));
    let mut engine = Engine::new_raw();
    ArithmeticPackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BasicStringPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);
    BasicIteratorPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);

    for word in REFUSED_WORDS {
        engine.disable_symbol(word);
    }
    // Folded constants would lose the places of a declaration's keys.
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_call_levels(MAX_CALLS).set_max_variables(MAX_VARIABLES).set_max_expr_depths(64, 64);
    engine.set_max_string_size(MAX_STRING).set_max_array_size(MAX_ELEMENTS).set_max_map_size(MAX_ELEMENTS);
    engine.set_strict_variables(true);
    let steps = meter.clone();
    engine.on_progress(move |_| if steps.step() { None } else { Some(Dynamic::UNIT) });
    let tokens = meter.clone();
    let scales = meter.clone();
    // Reading a text takes time too, and nothing else could end it.
    #[allow(deprecated)]
    engine.on_parse_token(move |token, _, _| match tokens.step() {
        true => token,
        false => Token::LexError(Box::new(LexError::Runtime(TOO_LONG.to_owned()))),
    });
    // Its only deprecation is that its interface may still change; nothing else sees every value in time.
    #[allow(deprecated)]
    engine.on_var(move |name, _, context| match context.scope().get(name) {
        Some(value) => scales.weigh(value).map(|()| None).map_err(failure),
        None => Ok(None),
    });
    register_functions(&mut engine);
    view::register(&mut engine, meter);
    constructors::register(&mut engine, collector);
    declaration::register(&mut engine, collector, meter);
    engine
}

fn register_functions(engine: &mut Engine) {
    for (name, why) in REFUSED {
        for arity in 0..=2 {
            let refuse = move || -> Result<Dynamic, Box<EvalAltResult>> { Err(failure(format!("there is no `{name}`: {why}"))) };
            match arity {
                0 => engine.register_fn(name, refuse),
                1 => engine.register_fn(name, move |_: Dynamic| refuse()),
                _ => engine.register_fn(name, move |_: Dynamic, _: Dynamic| refuse()),
            };
        }
    }
    engine.register_fn("num", |value: Dynamic| num(&value));
    // Rhai's own look at the size of the result comes after the memory is used.
    engine.register_fn("replace", |text: &mut ImmutableString, find: &str, with: &str| replace(text, find, with));
    engine.register_fn("replace", |text: &mut ImmutableString, find: char, with: &str| {
        replace(text, find.encode_utf8(&mut [0; 4]), with)
    });
}

/// A number of a string as the engine itself reads one; `()` where it is none, so that `num(x) ?? 0` works.
fn num(value: &Dynamic) -> Dynamic {
    if value.is_int() || value.is_float() {
        return value.clone();
    }
    let text = value.clone().into_immutable_string().unwrap_or_default();
    match crate::model::number::numeric_text(&text) {
        Some(number) if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 => Dynamic::from_int(number as INT),
        Some(number) => Dynamic::from_float(number as FLOAT),
        None => Dynamic::UNIT,
    }
}

fn replace(text: &mut ImmutableString, find: &str, with: &str) -> Result<(), Box<EvalAltResult>> {
    let grown = text.matches(find).count().saturating_mul(with.len()).saturating_add(text.len());
    if grown > MAX_STRING.saturating_mul(2) {
        return Err(failure(format!("`replace` would make a text of more than {} KiB", MAX_STRING / 1024)));
    }
    *text = text.replace(find, with).into();
    Ok(())
}

/// The same engine, but it notes where a string is compared with a number: Rhai takes them for unequal without a word.
pub(super) fn comparing_engine(meter: &Rc<Meter>, collector: &Rc<Collector>, seen: &Rc<RefCell<BTreeSet<Place>>>) -> Engine {
    let mut engine = engine(meter, collector);
    // Its short cuts for comparisons ask no function.
    engine.set_fast_operators(false);
    macro_rules! note {
        ($left:ty, $right:ty) => {
            for operator in ["==", "!=", "<", "<=", ">", ">="] {
                let seen = seen.clone();
                let result = operator == "!=";
                engine.register_fn(operator, move |context: NativeCallContext, _: $left, _: $right| {
                    seen.borrow_mut().insert(context.call_position().into());
                    result
                });
            }
        };
    }
    note!(ImmutableString, INT);
    note!(ImmutableString, FLOAT);
    note!(INT, ImmutableString);
    note!(FLOAT, ImmutableString);
    engine
}

/// An error of ours; Rhai adds the place of the call.
pub(super) fn failure(message: impl Into<String>) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(message.into()), Position::NONE))
}

/// The files whose functions stand in every file.
pub(super) type LibraryFunctions = BTreeMap<String, String>;

/// Where and why a script failed. `file` is the one whose script ran; a function of the library names its own.
pub(super) fn explain(error: &EvalAltResult, file: &str, library: &LibraryFunctions, meter: &Meter) -> ScriptError {
    let inner = error.unwrap_inner();
    let file = innermost_function(error).and_then(|name| library.get(name)).map_or(file, String::as_str);
    let place = Place::from(inner.position());
    let message = shortened(message(inner, meter));
    ScriptError { file: file.to_owned(), line: place.line, column: place.column, message }
}

/// What a script throws may be as long as any text of it, and stands in each decision.
fn shortened(message: String) -> String {
    const MOST: usize = 500;
    match message.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &message[..at]),
        None => message,
    }
}

/// The name of the script function in which it failed.
fn innermost_function(error: &EvalAltResult) -> Option<&str> {
    match error {
        EvalAltResult::ErrorInFunctionCall(name, _, inner, _) => innermost_function(inner).or(Some(name)),
        _ => None,
    }
}

fn message(error: &EvalAltResult, meter: &Meter) -> String {
    match error {
        EvalAltResult::ErrorTerminated(..) => meter.why_stopped().unwrap_or_else(|| "stopped".to_owned()),
        EvalAltResult::ErrorStackOverflow(_) => format!("functions call each other more than {MAX_CALLS} deep"),
        EvalAltResult::ErrorRuntime(value, _) => value.to_string(),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => format!("there is no function `{}`", plain_types(signature)),
        EvalAltResult::ErrorIndexingType(text, _) if text.contains(" = ") => {
            let what = text.split(" [").next().unwrap_or(text);
            format!("{what} cannot be written: a rule only reads")
        }
        EvalAltResult::ErrorDotExpr(text, _) if !text.is_empty() => property(text),
        other => {
            // Its text ends with its place, which we give ourselves.
            let text = other.to_string();
            match text.rfind(" (line ") {
                Some(at) => text[..at].to_owned(),
                None => text,
            }
        }
    }
}

/// Rhai's names of types in the words of the rules.
fn plain_types(signature: &str) -> String {
    signature.replace("&str | ImmutableString | String", "text").replace("i64", "number").replace("f64", "number")
}

/// `Unknown property 'x' - a getter is not registered for type 'T'`, and the like for writing.
fn property(text: &str) -> String {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(name), Some(what)) if text.starts_with("Unknown") => format!("there is no field `{name}` in {what}"),
        (Some(name), Some(what)) => format!("`{name}` of {what} cannot be written: a rule only reads"),
        _ => text.to_owned(),
    }
}
