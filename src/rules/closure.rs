//! A rule's closure: found sound at load, called with the incident at run time.

use crate::rules::channel::described;
use crate::rules::diagnostic::{Place, ScriptError};
use crate::rules::kind::Kind;
use crate::rules::matcher::Where;
use crate::rules::meter::{Meter, detach};
use crate::rules::sandbox::{LibraryFunctions, explain};
use crate::rules::view::{ContextView, View};
use rhai::{AST, Array, Dynamic, Engine, FnPtr};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

pub(super) struct Closure {
    function: FnPtr,
    /// The functions of its file and of the library.
    functions: Rc<AST>,
    file: Rc<str>,
    place: Place,
    takes_context: bool,
}

/// The functions that a file's closures can call, and how many parameters those of a name have.
pub(super) struct FileFunctions {
    path: Rc<str>,
    ast: Rc<AST>,
    parameters: BTreeMap<String, Vec<usize>>,
}

impl FileFunctions {
    pub fn new(path: Rc<str>, ast: &AST) -> FileFunctions {
        let mut parameters: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for function in ast.iter_functions() {
            parameters.entry(function.name.to_owned()).or_default().push(function.params.len());
        }
        FileFunctions { path, ast: Rc::new(ast.clone_functions_only()), parameters }
    }
}

/// What a closure needs to run: the engine differs between the check and the rest.
pub(super) struct Runner<'a> {
    pub engine: &'a Engine,
    pub meter: &'a Meter,
    pub library: &'a LibraryFunctions,
    pub operations: u64,
    pub wall: u64,
    /// Of the caller, in microseconds.
    pub clock: Option<fn() -> u64>,
    /// How long closures took, in seconds, where somebody asks.
    pub timings: Option<&'a RefCell<Vec<f64>>>,
}

/// As many are kept between two looks at them.
const MOST_TIMINGS: usize = 1_000;

impl Runner<'_> {
    pub fn timed<T>(&self, run: impl FnOnce() -> T) -> T {
        let (Some(clock), Some(timings)) = (self.clock, self.timings) else { return run() };
        let began = clock();
        let result = run();
        let mut timings = timings.borrow_mut();
        if timings.len() < MOST_TIMINGS {
            timings.push(clock().saturating_sub(began) as f64 / 1e6);
        }
        result
    }
}

impl Closure {
    /// `key` is for the message: `when`, `channels`, `levels` or `actions`.
    pub fn new(key: &str, function: &FnPtr, file: &FileFunctions, place: Place) -> Result<Closure, String> {
        let Some(function) = detach(&Dynamic::from(function.clone()), 0)?.try_cast::<FnPtr>() else {
            return Err(format!("`{key}` must be a closure"));
        };
        let Some(parameters) = file.parameters.get(function.fn_name()) else {
            return Err(format!("`{key}` must be a closure of this file, such as `|incident| …`"));
        };
        let arities = parameters.iter().filter_map(|count| count.checked_sub(function.curry().len()));
        match arities.filter(|arity| (1..=2).contains(arity)).max() {
            Some(arity) => {
                let (functions, file) = (file.ast.clone(), file.path.clone());
                Ok(Closure { function, functions, file, place, takes_context: arity == 2 })
            }
            None => Err(format!("`{key}` takes `|incident|` or `|incident, context|`")),
        }
    }

    /// The names of those that it can call, closures included.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.functions.iter_functions().map(|function| function.name)
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    pub fn place(&self) -> Place {
        self.place
    }

    /// Its value, alone: nothing in it is shared with the script any more.
    fn call(&self, runner: &Runner<'_>, view: View, context: &ContextView) -> Result<Dynamic, ScriptError> {
        runner.meter.start(runner.operations, runner.wall);
        let call = || match self.takes_context {
            true => self.function.call::<Dynamic>(runner.engine, &self.functions, (view, context.clone())),
            false => self.function.call::<Dynamic>(runner.engine, &self.functions, (view,)),
        };
        // Rhai holds some of its own states for impossible; a rule must not take the engine down if one is not.
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => detach(&value, 0).map_err(|message| self.error(message)),
            Ok(Err(error)) => {
                let mut error = explain(&error, &self.file, runner.library, runner.meter);
                if error.line == 0 {
                    (error.line, error.column) = (self.place.line, self.place.column);
                }
                Err(error)
            }
            Err(_) => Err(self.error("the script engine failed inside; please report the rule".to_owned())),
        }
    }

    pub fn truth(&self, runner: &Runner<'_>, view: View, context: &ContextView) -> Result<bool, ScriptError> {
        let value = self.call(runner, view, context)?;
        value.as_bool().map_err(|_| self.error(format!("`when` must return true or false, not {}", described(&value))))
    }

    /// What it lists for the rule.
    pub fn make<R: Kind>(
        &self,
        rule: &R,
        runner: &Runner<'_>,
        view: View,
        context: &ContextView,
    ) -> Result<Vec<R::Made>, ScriptError> {
        let value = self.call(runner, view, context)?;
        match value.read_lock::<Array>() {
            Some(items) => rule.made(&items).map_err(|message| self.error(message)),
            None => {
                let message = format!("`{}` must return an array, not {}: {}", R::MAKES, described(&value), R::EXAMPLE);
                Err(self.error(message))
            }
        }
    }

    fn error(&self, message: String) -> ScriptError {
        let Place { line, column } = self.place;
        ScriptError { file: self.file.to_string(), line, column, message }
    }
}

/// What a rule does, beside what the engine knows of it.
pub(super) struct Body<R: Kind> {
    pub when: Option<Closure>,
    pub made: Made<R::Made>,
}

pub(super) enum Made<T> {
    Fixed(Vec<T>),
    Closure(Closure),
}

/// A rule ready for the set.
pub(super) struct Ready<R: Kind> {
    pub rule: R,
    pub matcher: Where,
    pub body: Body<R>,
    pub file: Rc<str>,
    pub place: Place,
}
