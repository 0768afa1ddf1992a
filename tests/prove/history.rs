//! A history that is read ahead by a thread says what the same lines say one by one.

use super::{folder, incidentd, text};
use incidentd::config::Config;
use incidentd::replay::{Fault, Replay, Writer, load_rules, play};
use incidentd::rules::RuleSource;
use incidentd::{rules_dir, settings};
use std::io::Read;
use std::path::Path;

/// Hands out a few bytes at a time, so that lines come in pieces.
struct Drops<'a>(&'a [u8]);

impl Read for Drops<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut some = &self.0[..97.min(self.0.len())];
        let read = some.read(into)?;
        self.0 = &self.0[read..];
        Ok(read)
    }
}

fn new(case: &Path) -> Replay {
    let config = std::fs::read_to_string(case.join("config.toml")).unwrap_or_default();
    let config = Config::parse(&config, std::iter::empty()).unwrap();
    let folder = case.join("rules");
    let source = if folder.is_dir() { rules_dir::read(&folder).unwrap() } else { RuleSource::default() };
    Replay::new(settings::codec(&config), settings::engine(&config), load_rules(&source).unwrap(), Fault::None)
}

#[test]
fn read_ahead_or_line_by_line_the_output_is_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut compared = 0;
    for case in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        let input = std::fs::read(case.join("input.jsonl")).unwrap();
        let mut lines = String::new();
        let mut one = new(&case);
        for line in input.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            one.line(line, &mut |produced| lines.extend([produced.to_json().as_str(), "\n"])).unwrap();
        }
        let mut ahead = new(&case);
        let mut writer = Writer::new(ahead.codec().clone(), Vec::new());
        play(&mut ahead, Drops(&input), "input", &mut |told| writer.write([told]).unwrap()).unwrap();
        assert_eq!(String::from_utf8(writer.into_inner()).unwrap(), lines, "{}", case.display());
        assert!(one.outcomes().eq(ahead.outcomes()), "{}", case.display());
        compared += lines.len();
    }
    assert!(compared > 100_000, "only {compared} bytes were compared");
}

#[test]
fn a_line_that_cannot_be_understood_is_named_by_its_number() {
    for (input, says) in [
        ("{\"service_id\":\"a\",\"title\":\"t\"}\n\n{\"advance\":\"5\"}\n", "history:3: advance: "),
        ("{\"topic\":\"alrts\",\"value\":{}}", "history:1: topic: `alrts`"),
    ] {
        let mut replay = new(Path::new("nowhere"));
        let error = play(&mut replay, input.as_bytes(), "history", &mut |_| {}).unwrap_err();
        assert!(error.starts_with(says), "{error}");
    }
    let long = [b"{}\n".as_slice(), &vec![b'x'; 17 << 20]].concat();
    let error = play(&mut new(Path::new("nowhere")), long.as_slice(), "history", &mut |_| {}).unwrap_err();
    assert!(error.starts_with("history:2: the line is longer than 16 MiB"), "{error}");
}

#[test]
fn a_history_is_never_written_over() {
    let dir = folder(&[("history.jsonl", "{\"service_id\":\"a\",\"title\":\"t\"}\n"), ("rules/a.rhai", "")]);
    let (history, other, rules) = (dir.path().join("history.jsonl"), dir.path().join("link"), dir.path().join("rules"));
    std::os::unix::fs::symlink(&history, &other).unwrap();
    let before = std::fs::read(&history).unwrap();
    for output in [&history, &other] {
        let (code, _, errors) =
            incidentd(&["replay", "--input", text(&history), "--rules", text(&rules), "--output", text(output)]);
        assert_eq!(code, 2, "{errors}");
        assert!(errors.contains("the history itself; name another file"), "{errors}");
        assert_eq!(std::fs::read(&history).unwrap(), before);
    }
}
