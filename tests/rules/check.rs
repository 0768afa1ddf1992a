//! `incidentd rules check` as people, programs and GitHub meet it.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// Exit code and standard output; the environment holds these variables and no others of ours.
fn check(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
    command.args(["rules", "check", "."]).args(arguments).current_dir(dir).env_clear().envs(variables.iter().copied());
    let output = command.output().expect("it starts");
    (output.status.code().expect("it ends"), String::from_utf8(output.stdout).expect("UTF-8"))
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it lies there")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    dir
}

const WRONG: &str = "notification(#{\n\tname: \"a\",\n\tchanels: [slack(\"#x\")],\n});\n";
const WITH_SECRETS: &str =
    "notification(#{ name: \"a\", channels: [pagerduty(secret(\"PD_A\")), pagerduty(secret(\"PD_B\"))] });\n";

#[test]
fn a_finding_is_shown_as_a_compiler_shows_it_and_in_no_colour_where_nobody_sees_it() {
    let dir = folder(&[("team/page.rhai", WRONG)]);
    let (code, out) = check(dir.path(), &[], &[]);
    assert_eq!(code, 1);
    let shown = "error: notification(…) has no key `chanels`\n --> team/page.rhai:3:2\n  |\n3 |     chanels: [slack(\"#x\")],\n  |     \
                 ^^^^^^^\n  |\nhelp: did you mean `channels`?\n";
    assert!(out.contains(shown), "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
}

#[test]
fn programs_and_github_get_the_place_whole() {
    let dir = folder(&[("team/page.rhai", WRONG)]);
    let (code, out) = check(dir.path(), &["--format", "json"], &[]);
    let json: Value = serde_json::from_str(&out).expect("JSON");
    let finding = json["diagnostics"].as_array().expect("an array").iter().find(|one| one["line"] == 3).expect("it is found");
    assert_eq!((code, &json["ok"], &json["errors"]), (1, &Value::Bool(false), &Value::from(2)));
    assert_eq!(
        (&finding["column"], &finding["end_column"], &finding["help"]),
        (&2.into(), &9.into(), &"did you mean `channels`?".into())
    );
    let (code, out) = check(dir.path(), &["--format", "github"], &[]);
    let annotation = "::error file=team/page.rhai,line=3,endLine=3,col=2,endColumn=9,title=rules check::notification(…) has no key \
                      `chanels`%0Ahelp: did you mean `channels`?\n";
    assert!(code == 1 && out.contains(annotation), "{out}");
}

#[test]
fn a_missing_secret_is_a_warning_or_with_a_configuration_an_error() {
    let dir = folder(&[("a.rhai", WITH_SECRETS)]);
    let secrets = tempfile::tempdir().expect("a folder");
    std::fs::write(secrets.path().join("PD_A"), "key").expect("a file");
    let config = secrets.path().join("incidentd.toml");
    std::fs::write(&config, format!("[delivery]\nsecrets_dir = {:?}\n", secrets.path())).expect("a file");
    let config = ["--config", config.to_str().expect("UTF-8")];
    let (code, out) = check(dir.path(), &[], &[]);
    assert!(code == 0 && out.contains("warning: there is no secret `PD_A`") && out.contains("`PD_B`"), "{out}");
    assert!(out.contains(" --> a.rhai:1:49") && out.contains("--config FILE"), "{out}");
    let (code, out) = check(dir.path(), &[], &[("PD_A", "x"), ("PD_B", "y")]);
    assert!(code == 0 && !out.contains("secret `"), "{out}");
    let (code, out) = check(dir.path(), &config, &[]);
    assert!(code == 1 && !out.contains("`PD_A`") && out.contains("error: there is no secret `PD_B`"), "{out}");
    let (code, out) = check(dir.path(), &config, &[("PD_B", "y")]);
    assert!(code == 0, "{out}");
}

#[test]
fn a_folder_without_rules_and_files_that_nobody_reads_are_told_of() {
    let (code, out) = check(folder(&[("users.toml", "[users]\n")]).path(), &[], &[]);
    assert!(code == 0 && out.contains("warning: no rule is in force") && out.contains("help: declare one"), "{out}");
    let layer = "[[schedules.primary.layers]]\nusers = [\"alice\"]\nstart = 2999-01-05T09:00:00Z\n";
    let dir = folder(&[("users.toml", "[users.alice]\nslack = \"U1\"\n"), ("schedules.toml", layer)]);
    let (_, out) = check(dir.path(), &[], &[]);
    assert!(out.contains("warning: nobody is on call in [schedules.primary] before 2999-01-05T09:00:00.000Z"), "{out}");
    let dir = folder(&[("a.rhai", WITH_SECRETS), ("pages.RHAI", WITH_SECRETS), ("users.yaml", "alice: {}\n")]);
    let (code, out) = check(dir.path(), &[], &[]);
    for file in ["pages.RHAI", "users.yaml"] {
        let told = format!("warning: this file is not read: rules end with .rhai, and people stand in .toml\n--> {file}\n");
        assert!(code == 0 && out.contains(&told), "{out}");
    }
}
