//! The rule set in force, as text: each worker has its own, loaded from it beside the worker, which goes on meanwhile.

use crate::rules::{Limits, RuleSet, RuleSource};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Whoever reloads the rules checks the text first, then sets it here; workers take it before their next batch.
pub struct SharedRules {
    version: AtomicU64,
    source: Mutex<Arc<RuleSource>>,
}

impl SharedRules {
    pub fn new(source: RuleSource) -> SharedRules {
        SharedRules { version: AtomicU64::new(1), source: Mutex::new(Arc::new(source)) }
    }

    pub fn set(&self, source: RuleSource) {
        *self.source.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(source);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Rises with each `set`.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub fn source(&self) -> Arc<RuleSource> {
        Arc::clone(&self.source.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// What is wrong with it, in a line.
pub fn load(source: &RuleSource, limits: &Limits) -> Result<RuleSet, String> {
    match RuleSet::load(source, limits) {
        Ok((rules, _)) => Ok(rules),
        Err(found) => Err(found.first().map_or_else(
            || "the rules do not load".to_owned(),
            |first| format!("{}:{}:{}: {}", first.file, first.line, first.column, first.message),
        )),
    }
}

/// A set on its way to a worker. Loading a thousand rules takes a tenth of a second, for which no page should wait.
pub struct Loading(Option<JoinHandle<Loaded>>);

struct Loaded(Result<RuleSet, String>);

// SAFETY: a set is full of `Rc`, and `Loaded` is made on one thread, opened and dropped on another; but by `Loading` alone, and
// only after that thread has been joined, its thread-locals dropped with it. An `Rc` goes nowhere but to its own thread's stack,
// thread-locals, or what the thread returned; so all that could share one with the set is gone, or is part of the set.
unsafe impl Send for Loaded {}

impl Loading {
    /// Begins.
    pub fn start(source: Arc<RuleSource>, limits: Limits) -> std::io::Result<Loading> {
        let load = move || Loaded(load(&source, &limits));
        let thread = std::thread::Builder::new().name("loading".to_owned()).spawn(load)?;
        Ok(Loading(Some(thread)))
    }

    /// `take` does not wait any more.
    pub fn is_done(&self) -> bool {
        self.0.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// The set, or why there is none.
    pub fn take(mut self) -> Result<RuleSet, String> {
        let joined = self.0.take().map(JoinHandle::join);
        joined.and_then(Result::ok).ok_or("loading the rules panicked")?.0
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn begin(text: &str) -> Loading {
        let source = RuleSource { files: [("a.rhai".to_owned(), text.to_owned())].into() };
        Loading::start(Arc::new(source), Limits::default()).expect("a thread")
    }

    #[test]
    fn a_set_is_loaded_beside_its_worker() {
        let text =
            r##"notification(#{ name: "a", when: |incident| incident.severity == "critical", channels: [slack("#x")] });"##;
        let loading = begin(text);
        let deadline = Instant::now() + Duration::from_secs(20);
        while !loading.is_done() {
            assert!(Instant::now() < deadline, "it is never done");
            std::thread::yield_now();
        }
        let rules = loading.take().expect("a set that checks");
        assert_eq!(rules.notifications()[0].name, "a");
        let refused = begin("notification(#{ nme: 1 })").take().err().expect("a set that does not check");
        assert!(refused.starts_with("a.rhai:1:"), "{refused}");
    }
}
