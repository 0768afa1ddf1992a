//! `rules …`: what can be done with a rules folder without running it (SPEC 5).

use crate::app::Failure;
use crate::cli::check::Check;
use clap::Subcommand;

#[derive(Subcommand)]
pub enum Rules {
    /// Say what is wrong with the rules; exit 1 on errors
    #[command(
        after_help = "Examples:\n  incidentd rules check\n  incidentd rules check deploy/rules --config incidentd.toml\n  \
                      incidentd rules check --format github\n\nWith --config (or INCIDENTD_CONFIG) a secret that is missing is an \
                      error, else a warning."
    )]
    Check(Check),
    /// Run the cases in the folder's tests/; exit 1 where one fails
    #[command(
        after_help = "A case is a list of steps: records, time, and who must be told then. docs/rules.md has the words.\n\nExamples:\n  \
                      incidentd rules test\n  incidentd rules test --filter latency --watch\n  incidentd rules test deploy/rules --junit report.xml"
    )]
    Test(super::rules_test::Test),
}

impl Rules {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Rules::Check(check) => check.run(),
            Rules::Test(test) => test.run(),
        }
    }
}
