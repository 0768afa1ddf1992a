//! Finds the targets that stand in rule files literally and that no file of people knows.

use crate::model::{Level, TargetKind};
use crate::rules::collector::KeyPlaces;
use crate::rules::diagnostic::{Diagnostic, Place};
use crate::rules::people::People;
use rhai::{AST, ASTNode, Expr, Stmt};

/// `user("alice")` and the like, wherever in the file: in closures and functions too.
pub(super) fn check_calls(file: &str, ast: &AST, people: &People, found: &mut Vec<Diagnostic>) {
    ast.walk(&mut |path: &[ASTNode]| {
        let call = match path.last() {
            Some(ASTNode::Stmt(Stmt::FnCall(call, position))) => Some((call, position)),
            Some(ASTNode::Expr(Expr::FnCall(call, position))) => Some((call, position)),
            _ => None,
        };
        if let Some((call, position)) = call
            && let Some(kind) = TargetKind::named(&call.name)
            && let [Expr::StringConstant(id, _)] = &*call.args
            // An id without a word is refused by the call itself.
            && !id.trim().is_empty()
            && let Some((message, help)) = people.unresolved(kind, id)
        {
            found.push(Diagnostic::error(file, Place::from(*position), message, Some(help)));
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
