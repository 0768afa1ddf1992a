//! Every file of `bad/` is found wrong as its own `// expect:` lines say: all of them, at the place, in these words.
//! `BLESS=1` writes the lines anew, for a person to read through.

use super::{limits, source};
use incidentd::rules::{RuleSet, render};
use std::fs;

#[test]
fn each_wrong_file_is_found_wrong_where_and_as_it_says() {
    let mut seen = 0;
    for entry in fs::read_dir("tests/rules/bad").expect("the folder is part of the repository") {
        seen += 1;
        let path = entry.expect("a readable folder").path();
        let text = fs::read_to_string(&path).expect("a readable file");
        let source = source(&text);
        let bless = std::env::var_os("BLESS").is_some();
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("// expect: ")).collect();
        assert!(bless || !expected.is_empty(), "{} expects nothing", path.display());
        let (loads, found) = match RuleSet::load(&source, &limits()) {
            Ok((_, warnings)) => (true, warnings),
            Err(found) => (false, found),
        };
        let told: Vec<String> = found
            .iter()
            .map(|finding| {
                let kind = if finding.error { "error" } else { "warning" };
                format!("{kind} {}:{}:{} {}", finding.file, finding.line, finding.column, finding.message)
            })
            .collect();
        if bless {
            let head: String = told.iter().map(|told| format!("// expect: {told}\n")).collect();
            let rest: Vec<&str> = text.lines().filter(|line| !line.starts_with("// expect: ")).collect();
            fs::write(&path, format!("{head}{}\n", rest.join("\n"))).expect("a writable file");
            continue;
        }
        assert_eq!(told, expected, "{}", path.display());
        assert_eq!(loads, !told.iter().any(|told| told.starts_with("error")), "{}", path.display());
        for finding in &found {
            let rendered = render(finding, &source);
            let place = format!("--> {}:{}:{}", finding.file, finding.line, finding.column);
            assert!(rendered.contains(&place) && rendered.contains('^'), "{rendered}");
        }
    }
    assert!(seen >= 45, "only {seen} files");
}
