//! Finds the targets and secrets that stand in rule files literally, and which targets no file of people knows.

use crate::model::{Level, TargetKind};
use crate::rules::collector::KeyPlaces;
use crate::rules::diagnostic::{Diagnostic, Place};
use crate::rules::people::People;
use rhai::{AST, ASTNode, Expr, Stmt};

/// A secret that a rule names with `secret("NAME")`, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedSecret {
    pub name: String,
    pub file: String,
    /// From 1, as the column in characters.
    pub line: usize,
    pub column: usize,
}

/// `user("alice")` and the like, wherever in the file: in closures and functions too.
pub(super) fn check_calls(file: &str, ast: &AST, people: &People, found: &mut Vec<Diagnostic>) {
    each_call_with_a_text(ast, &mut |name, text, place| {
        // An id without a word is refused by the call itself.
        if let Some(kind) = TargetKind::named(name)
            && !text.trim().is_empty()
            && let Some((message, help)) = people.unresolved(kind, text)
        {
            found.push(Diagnostic::error(file, place, message, Some(help)));
        }
    });
}

pub(super) fn secrets(file: &str, ast: &AST) -> Vec<NamedSecret> {
    let mut secrets = Vec::new();
    each_call_with_a_text(ast, &mut |name, text, place| {
        if name == "secret" {
            let (name, file) = (text.to_owned(), file.to_owned());
            secrets.push(NamedSecret { name, file, line: place.line, column: place.column });
        }
    });
    secrets
}

/// Handed the function's name, its one argument and the place of the call.
fn each_call_with_a_text(ast: &AST, on_call: &mut dyn FnMut(&str, &str, Place)) {
    ast.walk(&mut |path: &[ASTNode]| {
        let call = match path.last() {
            Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => Some((call, position)),
            Some(ASTNode::Expr(Expr::FnCall(call, position))) => Some((call, position)),
            _ => None,
        };
        if let Some((call, position)) = call
            && let [Expr::StringConstant(text, _)] = &*call.args
        {
            on_call(&call.name, text, Place::from(*position));
        }
        true
    });
}

/// Those of a policy's fixed levels that no call above has made.
pub(super) fn check_levels(
    file: &str,
    levels: &[Level],
    declared: Place,
    places: &KeyPlaces,
    people: &People,
    found: &mut Vec<Diagnostic>,
) {
    for (number, level) in levels.iter().enumerate() {
        // The seed's `email` reaches a user whom no file knows.
        for (index, target) in level.targets.iter().enumerate().filter(|(_, target)| target.email.is_none()) {
            let Some((message, help)) = people.unresolved(target.kind, &target.id) else { continue };
            if found.iter().any(|finding| finding.file == file && finding.message == message) {
                continue;
            }
            let place = places.find(declared, &format!("levels[{number}].targets[{index}].id"), false);
            found.push(Diagnostic::error(file, place, message, Some(help)));
        }
    }
}
