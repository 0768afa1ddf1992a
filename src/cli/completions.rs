//! `completions`: what a shell has to know to complete our commands.

use crate::app::Failure;
use crate::cli::{Cli, print};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Args)]
pub struct Completions {
    shell: Shell,
}

impl Completions {
    pub fn run(self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "incidentd", &mut text);
        print::line(String::from_utf8_lossy(&text).trim_end())
    }
}
