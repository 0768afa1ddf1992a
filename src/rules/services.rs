//! Warns of services that others depend on and that nobody knows: most are misspelt, and a misspelt one correlates nothing.
//!
//! Known is what stands on the left side of `dependencies.toml`, where an empty list is enough, and what a `where` of some
//! rule names by its `service_id`, exactly or by a pattern that says more than `*`.

use crate::rules::beside::place_of;
use crate::rules::closure::Ready;
use crate::rules::dependencies::Leaf;
use crate::rules::diagnostic::{Diagnostic, suggest};
use crate::rules::kind::Kind;
use crate::rules::load::Rules;
use crate::rules::matcher::{Field, Pattern};
use crate::rules::{Dependencies, RuleSource};
use std::collections::BTreeSet;

/// Of one set.
const MOST_FINDINGS: usize = 200;
/// Pairs of a service and a pattern that are looked at.
const MOST_PAIRS: usize = 5_000_000;

pub(super) fn check(
    source: &RuleSource,
    dependencies: &Dependencies,
    leaves: &[Leaf],
    rules: &Rules,
    found: &mut Vec<Diagnostic>,
) {
    let Some(text) = source.files.get("dependencies.toml").filter(|_| !leaves.is_empty()) else { return };
    let patterns = patterns(&rules.notifications).chain(patterns(&rules.escalations)).chain(patterns(&rules.remediations));
    let (exact, globs): (BTreeSet<&Pattern>, BTreeSet<&Pattern>) = patterns.partition(|pattern| pattern.is_exact());
    let exact: BTreeSet<&str> = exact.into_iter().map(|pattern| pattern.0.as_str()).collect();
    let globs: Vec<&Pattern> = globs.into_iter().filter(|pattern| !pattern.longest_part().is_empty()).collect();
    if leaves.len().saturating_mul(globs.len()) > MOST_PAIRS {
        return;
    }
    let known: Vec<&str> = dependencies.services().into_iter().chain(exact.iter().copied()).collect();
    let is_known = |name: &str| exact.contains(name) || globs.iter().any(|glob| glob.fits(name));
    for leaf in leaves.iter().filter(|leaf| !is_known(&leaf.name)).take(MOST_FINDINGS) {
        let help = match suggest(&leaf.name, known.iter().copied().take(2_000)) {
            near if near.starts_with("did") => near,
            _ => format!("if there is such a service, say so with a line of its own: `\"{}\" = []`", leaf.name),
        };
        let message = format!("nobody knows the service `{}`", leaf.name);
        let (place, length) = place_of(text, leaf.span.clone());
        found.push(Diagnostic { length, ..Diagnostic::warning("dependencies.toml", place, message, Some(help)) });
    }
}

fn patterns<R: Kind>(rules: &[Ready<R>]) -> impl Iterator<Item = &Pattern> {
    rules.iter().filter_map(|ready| ready.matcher.patterns(&Field::ServiceId)).flatten()
}
