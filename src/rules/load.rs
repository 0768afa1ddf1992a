//! Loads a folder of rule files, all or none, and finds as much wrong with it as can be found in one go.

use crate::rules::closure::{Body, Closure, FileFunctions, Made, Ready, Runner};
use crate::rules::collector::{Collector, KeyPlaces};
use crate::rules::declaration::{Declared, Makes};
use crate::rules::diagnostic::{Diagnostic, Place};
use crate::rules::kind::Kind;
use crate::rules::library::Library;
use crate::rules::meter::{Limits, Meter};
use crate::rules::{
    Dependencies, EscalationRule, NotificationRule, People, RemediationRule, RuleSource, beside, dry_run, sandbox, shadow,
    targets,
};
use rhai::{AST, Engine, FnPtr, LexError, ParseErrorType};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Bytes of one file; 65,535 lines are the most that the script engine can tell apart.
const MOST_BYTES: usize = 8 * 1024 * 1024;
const MOST_LINES: usize = 65_535;
/// The parser looks through all functions of the file at each variable: past these a load takes seconds.
const SLOW_FUNCTIONS: usize = 5_000;

pub(super) struct Loaded {
    pub engine: Engine,
    pub meter: Rc<Meter>,
    pub library: sandbox::LibraryFunctions,
    pub rules: Rules,
    pub people: People,
    pub dependencies: Dependencies,
}

/// Each kind by descending priority, then name.
#[derive(Default)]
pub(super) struct Rules {
    pub notifications: Vec<Ready<NotificationRule>>,
    pub escalations: Vec<Ready<EscalationRule>>,
    pub remediations: Vec<Ready<RemediationRule>>,
}

struct Loader<'a> {
    source: &'a RuleSource,
    limits: &'a Limits,
    engine: Engine,
    meter: Rc<Meter>,
    collector: Rc<Collector>,
    found: Vec<Diagnostic>,
    people: People,
    /// All that is read of them is sound: a target that is not there is an error of its own.
    people_sound: bool,
}

pub(super) fn load(source: &RuleSource, limits: &Limits) -> (Loaded, Vec<Diagnostic>) {
    let (meter, collector) = (Rc::new(Meter::new(limits.clock)), Rc::new(Collector::default()));
    let engine = sandbox::engine(&meter, &collector);
    let mut found = Vec::new();
    let (people, people_sound) = People::load(source, &mut found);
    let dependencies = Dependencies::load(source, &mut found);
    beside::warn_of_strangers(source, &mut found);
    let mut loader = Loader { source, limits, engine, meter, collector, found, people, people_sound };
    let scripts = source.files.iter().filter(|(path, _)| path.ends_with(".rhai"));
    let (libraries, files): (Vec<_>, Vec<_>) = scripts.partition(|(path, _)| path.starts_with("lib/"));
    let mut library = Library::default();
    for (path, text) in libraries {
        if let Some(ast) = loader.compile(path, text) {
            loader.check_targets(path, &ast);
            library.add(path, text, ast, &mut loader.found);
        }
    }
    let mut rules = Rules::default();
    for (path, text) in files {
        if let Some(ast) = loader.compile(path, text) {
            library.check_names(path, text, &ast, &mut loader.found);
            loader.check_targets(path, &ast);
            loader.run(path, &library.merged_with(&ast), &library, &mut rules);
        }
    }
    loader.finish(&mut rules.notifications, &library);
    loader.finish(&mut rules.escalations, &library);
    loader.finish(&mut rules.remediations, &library);
    if !loader.found.iter().any(|finding| finding.error) {
        shadow::check(&rules.escalations, &mut loader.found);
        shadow::check(&rules.remediations, &mut loader.found);
        shadow::check_events(&rules, &mut loader.found);
    }
    loader.found.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    loader.found.dedup();
    let Loader { engine, meter, found, people, .. } = loader;
    (Loaded { engine, meter, library: library.functions, rules, people, dependencies }, found)
}

impl Loader<'_> {
    fn error(&mut self, file: &str, place: Place, message: String, help: Option<String>) {
        self.found.push(Diagnostic::error(file, place, message, help));
    }

    fn compile(&mut self, path: &str, text: &str) -> Option<AST> {
        if text.len() > MOST_BYTES || text.lines().count() > MOST_LINES || text.lines().any(|line| line.len() > MOST_LINES) {
            let message = "the file is larger than 8 MiB, has more than 65535 lines, or a line longer than that".to_owned();
            self.error(path, Place::default(), message, Some("split it into several files".to_owned()));
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| self.engine.compile(text))) {
            Ok(Ok(ast)) => {
                let functions = ast.iter_functions().count();
                if functions > SLOW_FUNCTIONS {
                    let message = format!("{functions} closures and functions in one file are slow to load");
                    let help = Some("split it: a hundred rules a file load many times faster".to_owned());
                    self.found.push(Diagnostic::warning(path, Place::default(), message, help));
                }
                Some(ast)
            }
            Ok(Err(error)) => {
                let (message, help) = explain_syntax(error.err_type());
                self.error(path, error.position().into(), message, help);
                None
            }
            Err(_) => {
                self.error(path, Place::default(), "the script engine failed inside while it read this file".to_owned(), None);
                None
            }
        }
    }

    fn check_targets(&mut self, path: &str, ast: &AST) {
        if self.people_sound {
            targets::check_calls(path, ast, &self.people, &mut self.found);
        }
    }

    /// Runs a file, which declares its rules, and makes them ready.
    fn run(&mut self, path: &str, ast: &AST, library: &Library, rules: &mut Rules) {
        self.meter.start(self.limits.load_operations, self.limits.load_wall);
        self.collector.loading.set(true);
        let ran = catch_unwind(AssertUnwindSafe(|| self.engine.run_ast(ast)));
        self.collector.loading.set(false);
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = sandbox::explain(&error, path, &library.functions, &self.meter);
                self.error(&error.file, Place { line: error.line, column: error.column }, error.message, None);
            }
            Err(_) => {
                self.error(path, Place::default(), "the script engine failed inside; please report the file".to_owned(), None)
            }
        }
        let places = KeyPlaces::of(ast);
        let file: Rc<str> = path.into();
        for finding in self.collector.findings.take() {
            self.found.push(finding.diagnostic(path, &places));
        }
        let functions = FileFunctions::new(file.clone(), ast);
        let context = (&functions, &file, &places);
        self.take(&mut rules.notifications, context);
        self.take(&mut rules.escalations, context);
        self.take(&mut rules.remediations, context);
    }

    /// Makes what the file declared ready.
    fn take<R: Kind>(&mut self, rules: &mut Vec<Ready<R>>, context: (&FileFunctions, &Rc<str>, &KeyPlaces)) {
        let declared = R::declared(&self.collector.declared).take();
        rules.extend(declared.into_iter().map(|declared| self.ready(declared, context)));
    }

    fn ready<R: Kind>(
        &mut self,
        declared: Declared<R>,
        (functions, file, places): (&FileFunctions, &Rc<str>, &KeyPlaces),
    ) -> Ready<R> {
        let Declared { rule, matcher, when, makes, place } = declared;
        let mut closure = |key: &str, function: &FnPtr| {
            let place = places.find(place, key, false);
            match Closure::new(key, function, functions, place) {
                Ok(closure) => Some(closure),
                Err(message) => {
                    self.found.push(Diagnostic::error(file, place, message, None));
                    None
                }
            }
        };
        let when = when.and_then(|when| closure("when", &when));
        // Where something is wrong the set does not load, and nobody asks what there is instead.
        let made = match makes {
            Some(Makes::Closure(function)) => closure(R::MAKES, &function).map(Made::Closure),
            Some(Makes::Fixed(fixed)) => {
                if self.people_sound {
                    targets::check_levels(file, R::levels(&fixed), place, places, &self.people, &mut self.found);
                }
                Some(Made::Fixed(fixed))
            }
            None => None,
        };
        let made = made.unwrap_or(Made::Fixed(Vec::new()));
        Ready { rule, matcher, body: Body { when, made }, file: file.clone(), place }
    }

    fn finish<R: Kind>(&mut self, rules: &mut [Ready<R>], library: &Library) {
        self.refuse_duplicates(rules);
        self.dry_run(rules, library);
        rules.sort_by(|a, b| b.rule.priority().cmp(&a.rule.priority()).then_with(|| a.rule.name().cmp(b.rule.name())));
    }

    /// A name is of one rule of its kind.
    fn refuse_duplicates<R: Kind>(&mut self, rules: &[Ready<R>]) {
        let mut first: BTreeMap<&str, &Ready<R>> = BTreeMap::new();
        for ready in rules.iter().filter(|ready| !ready.rule.name().is_empty()) {
            let Some(other) = first.insert(ready.rule.name(), ready) else { continue };
            let message = format!("rule `{}` is declared twice", ready.rule.name());
            let help = format!(
                "the other is at {}:{}:{}; give each a name of its own",
                other.file, other.place.line, other.place.column
            );
            self.found.push(Diagnostic::error(&ready.file, ready.place, message, Some(help)));
        }
    }

    fn dry_run<R: Kind>(&mut self, rules: &mut [Ready<R>], library: &Library) {
        let compared = Rc::new(RefCell::new(BTreeSet::new()));
        let engine = sandbox::comparing_engine(&self.meter, &self.collector, &compared);
        let runner = Runner {
            engine: &engine,
            meter: &self.meter,
            library: &library.functions,
            operations: self.limits.operations,
            // A busy machine must not make a sound set fail.
            wall: self.limits.load_wall,
            clock: None,
            timings: None,
        };
        for ready in rules {
            let mut findings = dry_run::run(ready, &runner);
            findings.iter_mut().for_each(|finding| finding.error = self.limits.refuse_failing);
            self.found.extend(findings);
            for place in compared.take() {
                let Some(file) = library.file_with_comparison(self.source, &ready.file, place) else { continue };
                let message = "a string is compared with a number: they are never equal, smaller or larger".to_owned();
                let help = "make a number of the string with `num(…)`, or write the number in quotes".to_owned();
                self.found.push(Diagnostic::warning(file, place, message, Some(help)));
            }
        }
    }
}

fn explain_syntax(error: &ParseErrorType) -> (String, Option<String>) {
    if let ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) = error
        && sandbox::REFUSED_WORDS.contains(&word.as_str())
    {
        let help = match word.as_str() {
            "this" => "hand the value over as a parameter, and return what is made of it",
            _ => "a rule computes from the incident and nothing else: it neither prints nor runs texts as code",
        };
        return (format!("rules have no `{word}`"), Some(help.to_owned()));
    }
    let help = match error {
        ParseErrorType::Reserved(word) if word == "match" => {
            Some("the matcher of a rule is called `where`: `match` is a reserved word in Rhai".to_owned())
        }
        ParseErrorType::Reserved(word) if ["import", "export"].contains(&word.as_str()) => {
            Some("functions of files in `lib/` stand in every file without it".to_owned())
        }
        ParseErrorType::Reserved(word) => Some(format!("`{word}` is a reserved word in Rhai: write it in quotes, \"{word}\"")),
        ParseErrorType::VariableUndefined(_) => {
            Some("a closure sees its parameters and what its file defines above it".to_owned())
        }
        ParseErrorType::PropertyExpected => Some("a `}` is missing here or shortly before".to_owned()),
        ParseErrorType::MissingToken(token, _) => Some(format!("a `{token}` is missing here or shortly before")),
        _ => None,
    };
    (error.to_string(), help)
}
