//! `--watch`: the same question again and again, until Ctrl-C.

use crate::app::Failure;
use crate::cli::print;
use clap::Args;
use std::io::IsTerminal;
use std::time::Duration;

/// Between two looks.
const PACE: Duration = Duration::from_secs(2);
/// Clears a terminal and goes to its beginning.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

#[derive(Args, Clone, Copy)]
pub struct Watch {
    /// Look again every 2 s; on a terminal in place, elsewhere whenever the answer has changed
    #[arg(long)]
    watch: bool,
}

impl Watch {
    /// `ask` gets the answer, `show` prints it. The first failure ends it; later ones are told, and it goes on.
    pub fn run(
        self,
        ask: impl Fn() -> Result<String, Failure>,
        mut show: impl FnMut(&str) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut last = ask()?;
        let in_place = self.watch && std::io::stdout().is_terminal();
        if in_place {
            print::line(CLEAR)?;
        }
        show(&last)?;
        if !self.watch {
            return Ok(());
        }
        loop {
            std::thread::sleep(PACE);
            match ask() {
                // Ages go on also where nothing else does.
                Ok(answer) if in_place || answer != last => {
                    if in_place {
                        print::line(CLEAR)?;
                    }
                    show(&answer)?;
                    last = answer;
                }
                Ok(_) => {}
                Err(failure) => eprintln!("{failure}"),
            }
        }
    }
}
