//! `schema`: the JSON Schemas of the records (SPEC 3).

use crate::app::Failure;
use crate::cli::print;
use crate::codec;
use clap::Args;

#[derive(Args)]
pub struct Schema {
    /// One of the names that `incidentd schema` lists
    name: Option<String>,
}

impl Schema {
    pub fn run(self) -> Result<(), Failure> {
        let names: Vec<&str> = codec::SCHEMAS.iter().map(|(name, _)| *name).collect();
        match self.name {
            None => print::line(names.join("\n")),
            Some(name) => match codec::schema(&name) {
                Some(text) => print::line(text.trim_end()),
                None => Err(Failure::Usage(format!("there is no schema `{name}`; there are: {}", names.join(", ")))),
            },
        }
    }
}
