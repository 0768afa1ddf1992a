//! Every set of `bad/` is refused, and every set of `warned/` loads, with what stands beside it as text: each finding as
//! `rules check` prints it, at its place and with its remedy. `BLESS=1` writes these texts anew, for a person to read through.

use super::source;
use incidentd::rules::{Limits, RuleSet, render};
use std::fs;
use std::path::{Path, PathBuf};

fn scripts(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(Path::new("tests/rules").join(folder)).expect("the folder is part of the repository");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "rhai"));
    paths.sort();
    paths
}

/// Each as it is found, with what differs from the text beside it.
fn check(folder: &str, loads: bool) -> usize {
    let (paths, mut wrong) = (scripts(folder), Vec::new());
    for path in &paths {
        let text = fs::read_to_string(path).expect("a readable file");
        let source = source(&text);
        let (loaded, found) = match RuleSet::load(&source, &Limits::default()) {
            Ok((_, warnings)) => (true, warnings),
            Err(found) => (false, found),
        };
        assert_eq!(loaded, loads, "{}: {found:#?}", path.display());
        assert!(!found.is_empty(), "{}: nothing is found", path.display());
        for finding in &found {
            let rendered = render(finding, &source);
            let place = format!("--> {}:{}:{}", finding.file, finding.line, finding.column);
            assert!(rendered.contains(&place) && rendered.contains('^'), "{}: {rendered}", path.display());
            if finding.help.as_ref().is_none_or(|help| help.len() <= 10) {
                wrong.push(format!("{}: no remedy: {rendered}", path.display()));
            }
        }
        let told: String = found.iter().map(|finding| render(finding, &source) + "\n").collect();
        let beside = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&beside, &told).expect("a writable file");
        } else if fs::read_to_string(&beside).unwrap_or_default() != told {
            wrong.push(format!("{}:\n{told}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} differ from the text beside them:\n{}", wrong.len(), wrong.join("\n"));
    paths.len()
}

#[test]
fn each_wrong_set_is_refused_where_and_as_it_says() {
    let sets = check("bad", false);
    assert!(sets >= 75, "only {sets}");
}

#[test]
fn each_doubtful_set_loads_with_a_warning() {
    let sets = check("warned", true);
    assert!(sets >= 10, "only {sets}");
}
