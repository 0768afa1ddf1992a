//! How the cases went: for people, for programs, and for a CI server as JUnit XML.

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::{self, Write};

/// A rule by its kind (`notification`, `escalation`, `remediation`) and name.
pub type RuleName = (&'static str, String);

#[derive(Default, Serialize)]
pub struct Report {
    pub cases: Vec<CaseResult>,
    /// That the filter left out.
    pub left_out: usize,
    touched: BTreeSet<RuleName>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct CaseResult {
    pub name: String,
    /// Relative to the rules folder.
    pub file: String,
    pub line: usize,
    /// Of the first group of steps that surprised; none: it passed.
    pub failing: Vec<Failing>,
}

/// One expectation that does not hold.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Failing {
    /// Of the expectation, from 1.
    pub line: usize,
    pub column: usize,
    pub expected: String,
    pub actual: Vec<String>,
    pub because: Vec<Because>,
}

/// The decision that made the difference.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Because {
    pub text: String,
    /// What of the rules says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// A line of a rule file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Code {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub text: String,
}

impl Report {
    pub fn push(&mut self, (case, touched): (CaseResult, BTreeSet<RuleName>)) {
        self.cases.push(case);
        self.touched.extend(touched);
    }

    pub fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.failing.is_empty()).count()
    }

    /// The rules that some case has made decide something more than that their `where` is not met, or that it names.
    pub fn touched(&self) -> &BTreeSet<RuleName> {
        &self.touched
    }

    /// Does some case touch the rule? `kind`: the word that declares it.
    pub fn touches(&self, kind: &str, rule: &str) -> bool {
        self.touched.iter().any(|(known, name)| *known == kind && name == rule)
    }

    /// JUnit XML: a suite for each file.
    pub fn junit(&self) -> Result<String, String> {
        let mut report = quick_junit::Report::new("incidentd rules test");
        let files: BTreeSet<&str> = self.cases.iter().map(|case| case.file.as_str()).collect();
        for file in files {
            let mut suite = TestSuite::new(file);
            for case in self.cases.iter().filter(|case| case.file == file) {
                let status = match case.failing.first() {
                    None => TestCaseStatus::success(),
                    Some(first) => {
                        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                        status.set_message(format!("expected {}", first.expected)).set_type("expectation");
                        status.set_description(case.to_string());
                        status
                    }
                };
                let mut of_case = TestCase::new(case.name.as_str(), status);
                of_case.set_classname(file);
                of_case.extra.insert("file".into(), file.into());
                of_case.extra.insert("line".into(), case.line.to_string().into());
                suite.add_test_case(of_case);
            }
            report.add_test_suite(suite);
        }
        report.to_string().map_err(|error| error.to_string())
    }
}

/// `ok` and its name on a line; what failed with expected, actual and why.
impl fmt::Display for CaseResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.failing.first() else { return writeln!(f, "ok    {}  {}", self.file, self.name) };
        writeln!(f, "FAIL  {}:{}:{}  {}", self.file, first.line, first.column, self.name)?;
        for (number, failing) in self.failing.iter().enumerate() {
            if number > 0 {
                writeln!(f, "  line {}:", failing.line)?;
            }
            write!(f, "{failing}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = writeln!(text, "  expected  {}", self.expected);
        for (number, actual) in self.actual.iter().enumerate() {
            let _ = writeln!(text, "  {:<8}  {actual}", if number == 0 { "actual" } else { "" });
        }
        for (number, because) in self.because.iter().enumerate() {
            let _ = writeln!(text, "  {:<8}  {}", if number == 0 { "because" } else { "" }, because.text);
            if let Some(Code { file, line, column, text: code }) = &because.code {
                let _ = writeln!(text, "            --> {file}:{line}:{column}\n            {line:>4} | {code}");
            }
        }
        f.write_str(&text)
    }
}
