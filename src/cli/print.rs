//! Output for people and for programs: tables, or JSON.

use crate::app::Failure;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{ErrorKind, Write};

/// A line to standard output. A reader that has seen enough (`| head`) is no error.
pub fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Wrong(format!("standard output: {error}"))),
        _ => Ok(()),
    }
}

pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::Wrong(format!("cannot be written as JSON: {error}")))?;
    line(text)
}

pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    line(table.trim_fmt())
}
