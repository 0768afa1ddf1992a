//! What the scripts of one load declare and what is found wrong meanwhile: all of it, not only the first.

use crate::rules::declaration::Declared;
use crate::rules::diagnostic::{Diagnostic, Place};
use crate::rules::sandbox::failure;
use crate::rules::{EscalationRule, NotificationRule, RemediationRule};
use rhai::{AST, ASTNode, Dynamic, EvalAltResult, Expr, NativeCallContext, Stmt};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// Functions that declare; the places of their keys are looked up where something is wrong with them.
const DECLARING: [&str; 3] = ["notification", "escalation", "remediation"];

#[derive(Default)]
pub(super) struct Collector {
    /// True while the files are run; a closure that is called later must not declare.
    pub loading: Cell<bool>,
    pub findings: RefCell<Vec<Finding>>,
    pub declared: Declarations,
    /// Rules of all files.
    pub rules: Cell<usize>,
}

/// Of the file that is being loaded.
#[derive(Default)]
pub(super) struct Declarations {
    pub notifications: RefCell<Vec<Declared<NotificationRule>>>,
    pub escalations: RefCell<Vec<Declared<EscalationRule>>>,
    pub remediations: RefCell<Vec<Declared<RemediationRule>>>,
}

/// Rules of one set, and findings of one file.
pub(super) const MOST_RULES: usize = 20_000;
const MOST_FINDINGS: usize = 1_000;

/// A finding in the file that runs now; its place within the declaration is looked up afterwards.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// Of the declaration's call.
    pub place: Place,
    /// `where.severity[1]`; empty for the declaration itself.
    pub path: String,
    /// Points at the key rather than at its value.
    pub at_key: bool,
    pub error: bool,
    pub message: String,
    pub help: Option<String>,
}

/// What one of our functions does not take, and the remedy.
pub(super) struct Refusal {
    pub message: String,
    pub help: String,
}

impl Refusal {
    pub fn new(message: String, help: &str) -> Refusal {
        Refusal { message, help: help.to_owned() }
    }

    /// In one line, where no place can be shown.
    pub fn told(&self) -> String {
        format!("{}; {}", self.message, self.help)
    }
}

impl Collector {
    /// An error of a native function: noted where the file's own statements made the call, so that the rest is checked
    /// too; thrown from within a function, for only the way up tells whose it is.
    pub fn refuse(&self, context: &NativeCallContext, refusal: Refusal) -> Result<Dynamic, Box<EvalAltResult>> {
        if !self.loading.get() || !at_top(context) {
            return Err(failure(refusal.told()));
        }
        let Refusal { message, help } = refusal;
        let place = context.call_position().into();
        let path = String::new();
        self.note([Finding { place, path, at_key: false, error: true, message, help: Some(help) }])?;
        Ok(Dynamic::UNIT)
    }

    /// Has the file that is being loaded been refused anything?
    pub fn has_errors(&self) -> bool {
        self.loading.get() && self.findings.borrow().iter().any(|finding| finding.error)
    }

    pub fn note(&self, more: impl IntoIterator<Item = Finding>) -> Result<(), Box<EvalAltResult>> {
        let mut findings = self.findings.borrow_mut();
        findings.extend(more);
        if findings.len() > MOST_FINDINGS {
            return Err(failure(format!("more than {MOST_FINDINGS} findings in this file: the rest is not checked")));
        }
        Ok(())
    }
}

/// Did a statement of the file itself make the call? (The call counts for a level.)
pub(super) fn at_top(context: &NativeCallContext) -> bool {
    context.call_level() <= 1
}

/// Where the keys of the declarations of one file stand: by the place of the call, then by path, key and value.
pub(super) struct KeyPlaces(BTreeMap<Place, BTreeMap<String, (Place, Place)>>);

impl KeyPlaces {
    pub fn of(ast: &AST) -> KeyPlaces {
        let mut calls = BTreeMap::new();
        ast.walk(&mut |path: &[ASTNode]| {
            let call = match path.last() {
                Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => Some((call, position)),
                Some(ASTNode::Expr(Expr::FnCall(call, position))) => Some((call, position)),
                _ => None,
            };
            if let Some((call, position)) = call
                && DECLARING.contains(&call.name.as_str())
                && let [argument] = &*call.args
            {
                let mut keys = BTreeMap::new();
                collect(argument, "", &mut keys);
                calls.insert(Place::from(*position), keys);
            }
            true
        });
        KeyPlaces(calls)
    }

    /// The nearest place that is known: of the path, of what holds it, of the call.
    pub fn find(&self, call: Place, path: &str, at_key: bool) -> Place {
        let Some(keys) = self.0.get(&call) else { return call };
        let mut path = path;
        while !path.is_empty() {
            if let Some((key, value)) = keys.get(path) {
                return if at_key { *key } else { *value };
            }
            path = path.rfind(['.', '[']).map_or("", |at| &path[..at]);
        }
        call
    }
}

fn collect(value: &Expr, path: &str, keys: &mut BTreeMap<String, (Place, Place)>) {
    match value {
        Expr::Map(map, _) => {
            for (key, value) in &map.0 {
                let path = if path.is_empty() { key.name.to_string() } else { format!("{path}.{}", key.name) };
                keys.insert(path.clone(), (key.pos.into(), value.start_position().into()));
                collect(value, &path, keys);
            }
        }
        Expr::Array(items, _) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                let place = Place::from(item.start_position());
                keys.insert(path.clone(), (place, place));
                collect(item, &path, keys);
            }
        }
        // Its arguments stand for what it returns.
        Expr::FnCall(call, _) if call.name == "level" => {
            for (key, argument) in ["delay_minutes", "targets"].into_iter().zip(&call.args) {
                let (path, place) = (format!("{path}.{key}"), Place::from(argument.start_position()));
                keys.insert(path.clone(), (place, place));
                collect(argument, &path, keys);
            }
        }
        _ => {}
    }
}

impl Finding {
    /// What is wrong and the remedy, where no place can be shown.
    pub fn told(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }

    pub fn diagnostic(self, file: &str, places: &KeyPlaces) -> Diagnostic {
        let place = places.find(self.place, &self.path, self.at_key);
        Diagnostic { error: self.error, ..Diagnostic::error(file, place, self.message, self.help) }
    }
}
