//! Runs each closure on sample incidents at load, so that what can be found wrong is found before a page depends on it.
//!
//! `channels`, `levels` and `actions` run only where `when` holds, as later. Only the first failure of a closure is told.

use crate::rules::advice;
use crate::rules::closure::{Closure, Made, Ready, Runner};
use crate::rules::diagnostic::{Diagnostic, Place, ScriptError};
use crate::rules::kind::Kind;
use crate::rules::matcher::Where;
use crate::rules::samples::{self, Sampled};
use crate::rules::view::ContextView;

/// The first failure of each closure, and how many operations all took. The rule learns from what they gave.
pub(super) fn run<R: Kind>(ready: &mut Ready<R>, runner: &Runner<'_>) -> (Vec<Diagnostic>, u64) {
    let (mut findings, mut operations) = (Vec::new(), 0);
    let (mut when_failed, mut made_failed) = (false, false);
    let Ready { rule, matcher, body, .. } = ready;
    let makes = match &body.made {
        Made::Closure(closure) => Some(closure),
        Made::Fixed(_) => None,
    };
    if body.when.is_none() && makes.is_none() {
        return (findings, 0);
    }
    let (mut asked, mut ever) = (false, false);
    for sample in samples::all(matcher, &rule.events()) {
        let context = sample.context();
        // What failed once is known to fail, and may be slow to.
        let holds = match &body.when {
            Some(_) if when_failed => Err(()),
            Some(when) => when.truth(runner, sample.view.clone(), &context).map_err(|error| {
                when_failed = true;
                findings.push(finding(rule.name(), "when", &sample, error, runner, when));
            }),
            None => Ok(true),
        };
        operations += runner.meter.used();
        ever |= holds != Ok(false);
        if let (Some(closure), Ok(true) | Err(()), false) = (makes, holds, made_failed) {
            match closure.make(rule, runner, sample.view.clone(), &context) {
                Ok(made) => rule.learn(&made),
                Err(error) => {
                    made_failed = true;
                    findings.push(finding(rule.name(), R::MAKES, &sample, error, runner, closure));
                }
            }
            operations += runner.meter.used();
        }
        asked |= sample.asked();
    }
    if let (Some(when), false, true) = (&body.when, ever, rule.enabled())
        && never(when, matcher, runner)
    {
        let message =
            format!("rule `{}` never acts: its `when` is false for every incident that its `where` lets in", rule.name());
        let help = "take out what excludes the rest; `enabled: false` turns a rule off".to_owned();
        findings.push(Diagnostic::warning(when.file(), when.place(), message, Some(help)));
    }
    if asked && findings.is_empty() {
        let of_when = |sample: &Sampled, context: &ContextView| match &body.when {
            Some(when) => when.truth(runner, sample.view.clone(), context).map(drop),
            None => Ok(()),
        };
        findings.extend(unknown_metadata(matcher, rule, "when", of_when));
        if let Some(closure) = makes {
            let of_made =
                |sample: &Sampled, context: &ContextView| closure.make(rule, runner, sample.view.clone(), context).map(drop);
            findings.extend(unknown_metadata(matcher, rule, R::MAKES, of_made));
        }
    }
    (findings, operations)
}

/// Is it false whatever the severity, environment, status and event, and does it read nothing else?
fn never(when: &Closure, matcher: &Where, runner: &Runner<'_>) -> bool {
    let mut samples = samples::every(matcher).peekable();
    samples.peek().is_some()
        && samples.all(|sample| when.truth(runner, sample.view.clone(), &sample.context()) == Ok(false) && !sample.open())
}

/// Metadata that only the writer of the rule knows may hold anything. Where a closure does with it what no kind of value
/// allows, all of them fail at one place.
fn unknown_metadata<R: Kind>(
    matcher: &Where,
    rule: &R,
    key: &str,
    run: impl Fn(&Sampled, &ContextView) -> Result<(), ScriptError>,
) -> Option<Diagnostic> {
    let mut first: Option<ScriptError> = None;
    for sample in samples::of_unknown_metadata(matcher, &rule.events()) {
        let error = run(&sample, &sample.context()).err()?;
        match &first {
            Some(first) if (first.line, first.column) != (error.line, error.column) => return None,
            Some(_) => {}
            None => first = Some(error),
        }
    }
    let error = first?;
    let place = Place { line: error.line, column: error.column };
    let message = format!("`{key}` of rule `{}` fails whatever the metadata that it reads holds: {}", rule.name(), error.message);
    let help = "ask for its type first, such as `type_of(x) == \"string\"`, or make a number of it with `num(x) ?? 0`";
    Some(Diagnostic::warning(&error.file, place, message, Some(help.to_owned())))
}

fn finding(rule: &str, key: &str, sample: &Sampled, error: ScriptError, runner: &Runner<'_>, closure: &Closure) -> Diagnostic {
    let place = Place { line: error.line, column: error.column };
    let help = advice::of_script(&error.message, closure.functions().chain(runner.library.keys().map(String::as_str)));
    let message = format!("`{key}` of rule `{rule}` fails on a sample incident ({}): {}", sample.described, error.message);
    Diagnostic::error(&error.file, place, message, Some(help))
}
