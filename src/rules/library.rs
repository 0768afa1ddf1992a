//! `rules/lib/*.rhai`: functions that stand in every file; none may be defined twice, for Rhai would let the later win
//! without a word.

use crate::rules::RuleSource;
use crate::rules::constructors::OWN;
use crate::rules::diagnostic::{Diagnostic, Place};
use crate::rules::sandbox::LibraryFunctions;
use rhai::AST;
use std::collections::BTreeMap;

#[derive(Default)]
pub(super) struct Library {
    ast: AST,
    /// The file of each function, closures included.
    pub functions: LibraryFunctions,
    by_signature: BTreeMap<(String, usize), String>,
}

impl Library {
    pub fn add(&mut self, path: &str, text: &str, ast: AST, found: &mut Vec<Diagnostic>) {
        let mut place = None;
        for statement in ast.statements() {
            place.get_or_insert(statement.position());
        }
        if let Some(position) = place {
            let message = "a file in `lib/` holds functions only".to_owned();
            let help = "move what runs, and rules, into a file beside `lib/`".to_owned();
            found.push(Diagnostic::error(path, position.into(), message, Some(help)));
            return;
        }
        self.check_names(path, text, &ast, found);
        for function in ast.iter_functions() {
            self.functions.insert(function.name.to_owned(), path.to_owned());
            self.by_signature.insert((function.name.to_owned(), function.params.len()), path.to_owned());
        }
        self.ast = self.ast.merge(&ast);
    }

    /// No function of a file may hide one of the library or one of ours.
    pub fn check_names(&self, path: &str, text: &str, ast: &AST, found: &mut Vec<Diagnostic>) {
        for function in ast.iter_functions().filter(|function| is_named(function.name)) {
            let place = || place_of(text, function.name);
            if OWN.contains(&function.name) {
                let message = format!("`{}` is a function of incidentd", function.name);
                found.push(Diagnostic::error(path, place(), message, Some("give yours another name".to_owned())));
            } else if let Some(other) = self.by_signature.get(&(function.name.to_owned(), function.params.len())) {
                let message = format!("`{}` is defined already, in {other}", function.name);
                let help = "functions of `lib/` stand in every file; take one out, or give it another name".to_owned();
                found.push(Diagnostic::error(path, place(), message, Some(help)));
            }
        }
    }

    pub fn merged_with(&self, ast: &AST) -> AST {
        self.ast.merge(ast)
    }

    /// Which file has a comparison at that place: the rule's own, or one of the library that it calls.
    pub fn file_with_comparison<'a>(&'a self, source: &RuleSource, file: &'a str, place: Place) -> Option<&'a str> {
        let has = |path: &str| {
            let line = source.files.get(path).and_then(|text| text.lines().nth(place.line.checked_sub(1)?));
            line.and_then(|line| line.chars().nth(place.column.checked_sub(1)?)).is_some_and(|c| "=!<>".contains(c))
        };
        std::iter::once(file).chain(self.functions.values().map(String::as_str)).find(|path| has(path))
    }
}

fn is_named(name: &str) -> bool {
    !name.starts_with("anon$")
}

/// Where its text defines a function; the engine keeps no place for it.
pub(super) fn place_of(text: &str, name: &str) -> Place {
    let column = |line: &str| {
        let at = line.match_indices("fn ").find(|(at, _)| {
            let after = line[at + 3..].trim_start();
            after.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('('))
        })?;
        Some(line[..at.0].chars().count() + 1)
    };
    let mut lines = text.lines().enumerate();
    lines.find_map(|(line, code)| Some(Place { line: line + 1, column: column(code)? })).unwrap_or_default()
}
