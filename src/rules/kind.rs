//! What the parts that all kinds of rules share must know of one: its words, its keys, and what it makes of an incident.

use crate::model::{Incident, Level, RuleEvent};
use crate::rules::collector::Declarations;
use crate::rules::declaration::{Common, Declared, Makes};
use crate::rules::reader::Reader;
use rhai::Array;
use std::cell::RefCell;

pub(super) trait Kind: Sized {
    /// Of which an array or a closure gives several.
    type Made: Clone;
    /// The function that declares it.
    const WORD: &'static str;
    /// Beside those that all kinds have.
    const KEYS: &'static [&'static str];
    /// The key that holds the array or the closure.
    const MAKES: &'static str;
    /// What an array there looks like, for a message.
    const EXAMPLE: &'static str;
    /// Does it learn from what its closures give for samples?
    const LEARNS: bool = false;

    /// Where the collector keeps those declared.
    fn declared(declarations: &Declarations) -> &RefCell<Vec<Declared<Self>>>;
    /// Reads the keys of its own.
    fn read(reader: &mut Reader, common: Common) -> (Self, Common, Option<Makes<Self::Made>>);

    fn name(&self) -> &str;
    fn priority(&self) -> i64;
    fn enabled(&self) -> bool;

    /// Does it leave nothing to the rules after it, wherever its `where` is met and no closure says otherwise?
    fn takes_all(&self) -> bool {
        false
    }
    /// What is fixed, to be looked through for targets.
    fn levels(_made: &[Self::Made]) -> &[Level] {
        &[]
    }
    /// Those on which its closures run.
    fn events(&self) -> Vec<RuleEvent> {
        vec![RuleEvent::Triggered]
    }
    /// What a closure gave; `()` in it is dropped.
    fn made(&self, items: &Array) -> Result<Vec<Self::Made>, String>;
    /// What its closure gave for a sample says more of the rule than its keys do.
    fn learn(&mut self, _made: &[Self::Made]) {}
    /// What the incident fills in.
    fn complete(_made: &mut Self::Made, _incident: &Incident) {}
}
