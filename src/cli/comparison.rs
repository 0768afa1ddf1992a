//! The comparison of two rule sets as tables, or JSON.

use crate::app::Failure;
use crate::cli::print;
use crate::compare::{Comparison, Example, RuleChange};
use serde_json::json;
use std::path::Path;

/// Rows of hours that are printed; `--json` has all.
const HOURS: usize = 48;

pub fn print(comparison: &Comparison, before: &Path, after: &Path, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print::json(&json!({
            "rules_dir": before.display().to_string(),
            "against_dir": after.display().to_string(),
            "incidents": comparison.incidents,
            "pages": comparison.pages,
            "rules": comparison.rules,
            "teams": comparison.teams,
        }));
    }
    let Comparison { incidents, pages, rules, teams } = comparison;
    let (was, is) = (before.display(), after.display());
    print::line(format!(
        "{incidents} incidents. Pages: {} under {was}, {} under {is}: {} gained, {} lost.\n",
        pages.before, pages.after, pages.gained, pages.lost
    ))?;
    let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let signed = |sign: char, count: u64| if count == 0 { String::new() } else { format!("{sign}{count}") };
    let row = |rule: &RuleChange| {
        [
            rule.kind.to_owned(),
            rule.rule.clone(),
            count(rule.before),
            count(rule.after),
            signed('+', rule.gained),
            signed('-', rule.lost),
        ]
    };
    print::table(["KIND", "RULE", "BEFORE", "AFTER", "GAINED", "LOST"], rules.iter().map(row))?;
    if !teams.is_empty() {
        print::line("")?;
        let rows = teams.iter().take(HOURS).map(|row| {
            let hour = row.hour.to_string();
            [row.team.clone(), format!("{} {}", &hour[..10], &hour[11..16]), signed('+', row.gained), signed('-', row.lost)]
        });
        print::table(["WHO", "HOUR (UTC)", "GAINED", "LOST"], rows)?;
        if let Some(more) = teams.len().checked_sub(HOURS).filter(|more| *more > 0) {
            print::line(format!("… and {more} more hours: --json has them"))?;
        }
    }
    for rule in rules.iter().filter(|rule| rule.gained + rule.lost > 0) {
        let subject = if rule.rule.is_empty() { rule.kind.to_owned() } else { format!("{} `{}`", rule.kind, rule.rule) };
        print::line(format!("\n{subject}"))?;
        examples("gains", rule.gained, &rule.first_gained)?;
        examples("loses", rule.lost, &rule.first_lost)?;
    }
    Ok(())
}

fn examples(verb: &str, count: u64, first: &[Example]) -> Result<(), Failure> {
    if count == 0 {
        return Ok(());
    }
    print::line(format!("  {verb} {count}{}", if count > first.len() as u64 { ", the first:" } else { ":" }))?;
    for example in first {
        let Example { at, incident_id, service_id, severity, title, event, who, .. } = example;
        let at = at.to_string();
        print::line(format!(
            "    {} {}  {who}: {event}, \"{title}\" of {service_id} ({severity}, {incident_id})",
            &at[..10],
            &at[11..19]
        ))?;
    }
    Ok(())
}
