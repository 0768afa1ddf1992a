//! `rules check`: errors and warnings with file:line:column, the source line and the remedy (SPEC 5), for people, programs and
//! GitHub's annotations.

use crate::app::{Failure, finding};
use crate::cases::{self, Terms};
use crate::cli::{ConfigFile, print};
use crate::config::Config;
use crate::model::Time;
use crate::rules::{Diagnostic, RuleSet, RuleSource, render, render_coloured, untouched};
use crate::{rules_dir, settings};
use clap::{Args, ValueEnum};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::rc::Rc;

#[derive(Args)]
pub struct Check {
    /// The rules folder
    #[arg(default_value = "rules")]
    dir: PathBuf,
    /// How findings are printed
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Print JSON: short for --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the line, what is wrong in it, the remedy
    Text,
    /// For programs
    Json,
    /// For GitHub Actions: an annotation each
    Github,
}

impl Check {
    pub fn run(self) -> Result<(), Failure> {
        let mut source = rules_dir::read(&self.dir).map_err(|error| Failure::Wrong(error.to_string()))?;
        let (loaded, mut found) = match RuleSet::load(&source, &settings::rule_check_limits()) {
            Ok((rules, warnings)) => (Some(Rc::new(rules)), warnings),
            Err(found) => (None, found),
        };
        if let Some(rules) = &loaded {
            found.extend(missing_secrets(rules, self.file.config.is_some().then(|| self.file.load()).transpose()?.as_ref()));
            found.extend(self.untouched(rules, &mut source)?);
            let now = Time(jiff::Timestamp::now().as_millisecond());
            found.extend(rules.people().not_begun(now).map(|(id, first)| not_begun(id, first)));
        }
        found.extend(rules_dir::passed_over(&self.dir).into_iter().map(passed_over));
        let format = if self.json { Format::Json } else { self.format };
        self.print(format, &source, loaded.as_deref(), &found)
    }

    /// What is wrong in the test cases, or else a warning for each rule that none of them touches. The cases' text joins the
    /// rules', to be shown beside its findings.
    fn untouched(&self, rules: &Rc<RuleSet>, source: &mut RuleSource) -> Result<Vec<Diagnostic>, Failure> {
        let files = cases::read_folder(&self.dir).map_err(Failure::Wrong)?;
        if files.is_empty() {
            return Ok(vec![without_cases(rules)]);
        }
        let config = self.file.load()?;
        let terms = Terms { codec: settings::codec(&config), engine: settings::engine(&config) };
        match cases::run(&files, rules, source, &terms, None) {
            Ok(report) => Ok(untouched(rules, source, |kind, name| report.touches(kind, name))),
            Err(found) => {
                source.files.extend(cases::source(&files).files);
                Ok(found)
            }
        }
    }

    fn print(&self, format: Format, source: &RuleSource, rules: Option<&RuleSet>, found: &[Diagnostic]) -> Result<(), Failure> {
        let errors = found.iter().filter(|diagnostic| diagnostic.error).count();
        let warnings = found.len() - errors;
        match format {
            Format::Json => print::json(&json!({
                "ok": errors == 0,
                "errors": errors,
                "warnings": warnings,
                "diagnostics": found.iter().map(finding).collect::<Vec<_>>(),
                "hash": rules.map(RuleSet::hash),
                "rules": rules.map(|rules| rules.counts().into_iter().collect::<BTreeMap<_, _>>()),
            }))?,
            Format::Github => {
                for diagnostic in found {
                    print::line(as_annotation(&self.dir, diagnostic))?;
                }
            }
            Format::Text => {
                let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
                let render = if coloured { render_coloured } else { render };
                for diagnostic in found {
                    print::line(render(diagnostic, source))?;
                }
            }
        }
        let dir = self.dir.display();
        match rules {
            Some(rules) if errors == 0 => {
                if format != Format::Json {
                    let [notification, escalation, remediation] = rules.counts().map(|(kind, count)| format!("{count} {kind}"));
                    let counts = format!("{} files, {notification}, {escalation} and {remediation} rules", source.files.len());
                    print::line(format!("{dir}: {counts}, {warnings} warnings, no errors"))?;
                }
                Ok(())
            }
            _ => Err(Failure::Wrong(format!("{dir}: {errors} errors, {warnings} warnings"))),
        }
    }
}

/// One warning for them all: a line a rule would bury what else is found.
fn without_cases(rules: &RuleSet) -> Diagnostic {
    match rules.listed().into_iter().filter(|rule| rule.enabled).count() {
        0 => of_file(
            ".",
            "no rule is in force: what is critical or high goes to rules.default_channels, and nobody is told of the rest"
                .to_owned(),
            "declare one in a file that ends with .rhai; docs/rules.md shows how",
        ),
        enabled => of_file(
            "tests",
            format!("there are no test cases: none of the {enabled} rules has been seen to act"),
            "write one as a .yaml or .toml file in `tests/` in the rules folder; docs/rules.md shows how",
        ),
    }
}

fn not_begun(schedule: &str, first: Time) -> Diagnostic {
    let message = format!("nobody is on call in [schedules.{schedule}] before {first}");
    of_file("schedules.toml", message, "let a layer begin earlier: is the year right?")
}

fn passed_over(file: String) -> Diagnostic {
    let message = "this file is not read: rules end with .rhai, and people stand in .toml".to_owned();
    of_file(&file, message, "rename it, or take it out of the folder")
}

/// A warning of a file as a whole.
fn of_file(file: &str, message: String, help: &str) -> Diagnostic {
    let (file, help) = (file.to_owned(), Some(help.to_owned()));
    Diagnostic { file, line: 0, column: 0, length: 0, error: false, message, help }
}

/// Secrets that nobody could resolve here: an error where the configuration says where they are, a warning where only this
/// process's environment can be asked.
fn missing_secrets(rules: &RuleSet, config: Option<&Config>) -> Vec<Diagnostic> {
    let folder = config.and_then(|config| config.delivery.secrets_dir.as_ref());
    let is_there = |name: &str| {
        std::env::var_os(name).is_some_and(|value| !value.is_empty())
            || folder
                .is_some_and(|folder| std::fs::metadata(folder.join(name)).is_ok_and(|meta| meta.is_file() && meta.len() > 0))
    };
    let help = |name: &str| match (config, folder) {
        (None, _) => format!("set the variable {name}, or say with `--config FILE` where secrets are (delivery.secrets_dir)"),
        (Some(_), None) => format!("set the variable {name}, or delivery.secrets_dir to a folder with a file of that name"),
        (Some(_), Some(folder)) => format!("put it into the file {}, or into the variable {name}", folder.join(name).display()),
    };
    let missing = rules.secrets().iter().filter(|secret| !is_there(&secret.name));
    let diagnostic = |secret: &crate::rules::NamedSecret| Diagnostic {
        file: secret.file.clone(),
        line: secret.line,
        column: secret.column,
        length: "secret".len(),
        error: config.is_some(),
        message: format!("there is no secret `{}`", secret.name),
        help: Some(help(&secret.name)),
    };
    missing.map(diagnostic).collect()
}

/// A workflow command of GitHub Actions; the file is named as from where the check runs.
fn as_annotation(dir: &Path, diagnostic: &Diagnostic) -> String {
    let Diagnostic { file, line, column, length, error, message, help } = diagnostic;
    let path = dir.join(file);
    let path = path.strip_prefix("./").unwrap_or(&path).display().to_string();
    let mut place = format!("file={}", escaped(&path, true));
    if *line > 0 {
        place += &format!(",line={line},endLine={line},col={column},endColumn={}", column + length);
    }
    let help = help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    let kind = if *error { "error" } else { "warning" };
    format!("::{kind} {place},title=rules check::{}", escaped(&format!("{message}{help}"), false))
}

/// As GitHub reads it: a property ends with a comma or colon, data with the line.
fn escaped(text: &str, property: bool) -> String {
    let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    if property { text.replace(':', "%3A").replace(',', "%2C") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_one_line_whatever_it_says() {
        let mut finding = Diagnostic {
            file: "a,b:c.rhai".to_owned(),
            line: 3,
            column: 5,
            length: 7,
            error: true,
            message: "100 % wrong:\nreally, yes".to_owned(),
            help: Some("mend it".to_owned()),
        };
        assert_eq!(
            as_annotation(Path::new("./rules"), &finding),
            "::error file=rules/a%2Cb%3Ac.rhai,line=3,endLine=3,col=5,endColumn=12,title=rules check::100 %25 wrong:%0Areally, \
             yes%0Ahelp: mend it"
        );
        (finding.line, finding.error, finding.help) = (0, false, None);
        let whole = as_annotation(Path::new("rules"), &finding);
        assert_eq!(whole, "::warning file=rules/a%2Cb%3Ac.rhai,title=rules check::100 %25 wrong:%0Areally, yes");
    }
}
