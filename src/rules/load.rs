//! Loads a folder of rule files, all or none, and finds as much wrong with it as can be found in one go.

use crate::rules::closure::{Body, Closure, FileFunctions, Made, Ready, Runner};
use crate::rules::collector::{Collector, KeyPlaces};
use crate::rules::declaration::{Declared, Makes};
use crate::rules::diagnostic::{self, Diagnostic, Place};
use crate::rules::kind::Kind;
use crate::rules::library::Library;
use crate::rules::meter::{Limits, Meter};
use crate::rules::{
    Dependencies, EscalationRule, NamedSecret, NotificationRule, People, RemediationRule, RuleSource, advice, beside, compile,
    dry_run, lint, sandbox, services, shadow, syntax, targets,
};
use rhai::{AST, Engine, FnPtr};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Bytes of one file; 65,535 lines are the most that the script engine can tell apart.
const MOST_BYTES: usize = 8 * 1024 * 1024;
const MOST_LINES: usize = 65_535;
/// Operations of the closures of a set on all samples: past them the rest is not tried.
const MOST_TRIED: u64 = 50_000_000;
const OPEN_COMMENT: (&str, &str) = ("this comment has no end: nothing below it is read", "end it with `*/`");
const REPORT: &str = "please report the file: a rule must never do this";

pub(super) struct Loaded {
    pub engine: Engine,
    pub meter: Rc<Meter>,
    pub library: sandbox::LibraryFunctions,
    pub rules: Rules,
    pub people: People,
    pub dependencies: Dependencies,
    pub secrets: Vec<NamedSecret>,
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
    secrets: Vec<NamedSecret>,
    /// Operations of the dry runs so far.
    tried: u64,
}

pub(super) fn load(source: &RuleSource, limits: &Limits) -> (Loaded, Vec<Diagnostic>) {
    let (meter, collector) = (Rc::new(Meter::new(limits.clock)), Rc::new(Collector::default()));
    let engine = sandbox::engine(&meter, &collector);
    let mut found = Vec::new();
    let (people, people_sound) = People::load(source, &mut found);
    let (dependencies, leaves) = Dependencies::load(source, &mut found);
    beside::warn_of_strangers(source, &mut found);
    let (secrets, tried) = (Vec::new(), 0);
    let mut loader = Loader { source, limits, engine, meter, collector, found, people, people_sound, secrets, tried };
    // `….d.rhai` tells editors what there is.
    let scripts = source.files.iter().filter(|(path, _)| path.ends_with(".rhai") && !path.ends_with(".d.rhai"));
    let (libraries, files): (Vec<_>, Vec<_>) = scripts.partition(|(path, _)| path.starts_with("lib/"));
    let mut library = Library::default();
    for (path, text) in libraries {
        if let Some(ast) = loader.compile(path, text) {
            loader.look_through(path, &ast);
            library.add(path, text, ast, &mut loader.found);
        }
    }
    let mut rules = Rules::default();
    for (path, text) in files {
        if let Some(ast) = loader.compile(path, text) {
            library.check_names(path, text, &ast, &mut loader.found);
            loader.look_through(path, &ast);
            loader.run(path, &library.merged_with(&ast), &library, &mut rules);
        }
    }
    loader.finish(&mut rules.notifications, &library);
    loader.finish(&mut rules.escalations, &library);
    loader.finish(&mut rules.remediations, &library);
    if !limits.checked && !loader.found.iter().any(|finding| finding.error) {
        shadow::check(&rules.escalations, &mut loader.found);
        shadow::check(&rules.remediations, &mut loader.found);
        shadow::check_events(&rules, &mut loader.found);
        services::check(source, &dependencies, &leaves, &rules, &mut loader.found);
    }
    let Loader { engine, meter, mut found, people, secrets, .. } = loader;
    diagnostic::put_in_order(&mut found, source);
    (Loaded { engine, meter, library: library.functions, rules, people, dependencies, secrets }, found)
}

impl Loader<'_> {
    fn error(&mut self, file: &str, place: Place, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Diagnostic::error(file, place, message, Some(help.into())));
    }

    fn compile(&mut self, path: &str, text: &str) -> Option<AST> {
        if text.len() > MOST_BYTES || text.lines().count() > MOST_LINES || text.lines().any(|line| line.len() > MOST_LINES) {
            let message = "the file is larger than 8 MiB, has more than 65535 lines, or a line longer than that";
            self.error(path, Place::default(), message, "split it into several files");
            return None;
        }
        self.meter.start_file(self.limits, text.len());
        let compiled = catch_unwind(AssertUnwindSafe(|| match compile::open_comment(&self.engine, text) {
            Some(place) => Err((place, OPEN_COMMENT.0.to_owned(), OPEN_COMMENT.1.to_owned())),
            None => compile::compile(&self.engine, text).map_err(|error| {
                let place = Place::from(error.position());
                let (message, help) = syntax::advice(error.err_type(), text, place);
                (place, message, help)
            }),
        }));
        match compiled {
            Ok(Ok(ast)) => Some(ast),
            Ok(Err((place, message, help))) => {
                self.error(path, place, message, help);
                None
            }
            Err(_) => {
                self.error(path, Place::default(), "the script engine failed inside while it read this file", REPORT);
                None
            }
        }
    }

    /// What can be seen of a file without running it.
    fn look_through(&mut self, path: &str, ast: &AST) {
        if self.limits.checked {
            return;
        }
        if self.people_sound {
            targets::check_calls(path, ast, &self.people, &mut self.found);
        }
        self.secrets.extend(targets::secrets(path, ast));
        let text = self.source.files.get(path).map_or("", String::as_str);
        lint::check(path, text, ast, &mut self.found);
    }

    /// Runs a file, which declares its rules, and makes them ready.
    fn run(&mut self, path: &str, ast: &AST, library: &Library, rules: &mut Rules) {
        let bytes = self.source.files.get(path).map_or(0, String::len);
        self.meter.start_file(self.limits, bytes);
        self.collector.loading.set(true);
        let ran = catch_unwind(AssertUnwindSafe(|| self.engine.run_ast(ast)));
        self.collector.loading.set(false);
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = sandbox::explain(&error, path, &library.functions, &self.meter);
                let help = advice::of_script(&error.message, ast.iter_functions().map(|function| function.name));
                self.error(&error.file, Place { line: error.line, column: error.column }, error.message, help);
            }
            Err(_) => self.error(path, Place::default(), "the script engine failed inside while it ran this file", REPORT),
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
                    let help = format!("write `{key}: |incident| …` where the rule is declared");
                    self.found.push(Diagnostic::error(file, place, message, Some(help)));
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
        /// Of a kind that are told.
        const MOST_TWICE: usize = 100;
        let mut twice = 0;
        let mut first: BTreeMap<&str, &Ready<R>> = BTreeMap::new();
        for ready in rules.iter().filter(|ready| !ready.rule.name().is_empty()) {
            let Some(other) = first.insert(ready.rule.name(), ready) else { continue };
            twice += 1;
            if twice > MOST_TWICE {
                return;
            }
            let message = format!("rule `{}` is declared twice", ready.rule.name());
            let help = format!(
                "the other is at {}:{}:{}; give each a name of its own",
                other.file, other.place.line, other.place.column
            );
            self.found.push(Diagnostic::error(&ready.file, ready.place, message, Some(help)));
        }
    }

    fn dry_run<R: Kind>(&mut self, rules: &mut [Ready<R>], library: &Library) {
        if rules.is_empty() || self.limits.checked && !R::LEARNS {
            return;
        }
        let compared = Rc::new(RefCell::new(BTreeSet::new()));
        let comparing = (!self.limits.checked).then(|| sandbox::comparing_engine(&self.meter, &self.collector, &compared));
        let runner = Runner {
            engine: comparing.as_ref().unwrap_or(&self.engine),
            meter: &self.meter,
            library: &library.functions,
            operations: self.limits.operations,
            wall: self.limits.wall,
            clock: None,
            timings: None,
        };
        for ready in rules {
            if self.limits.checked && matches!(ready.body.made, Made::Fixed(_)) {
                continue;
            }
            if self.tried > MOST_TRIED {
                let message = "from here on closures are not tried on sample incidents: those before took too long";
                let help = "a rule's script looks at one incident: leave out loops over much";
                self.found.push(Diagnostic::warning(&ready.file, ready.place, message, Some(help.to_owned())));
                break;
            }
            let (mut findings, operations) = dry_run::run(ready, &runner);
            self.tried += operations;
            findings.iter_mut().for_each(|finding| finding.error &= self.limits.refuse_failing);
            self.found.extend(findings);
            for place in compared.take() {
                let Some(file) = library.file_with_comparison(self.source, &ready.file, place) else { continue };
                let help = lint::MAKE_A_NUMBER.to_owned();
                self.found.push(Diagnostic::warning(file, place, lint::STRING_AND_NUMBER, Some(help)));
            }
        }
    }
}
