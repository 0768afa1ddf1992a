//! The rule set in force, as text: each worker loads its own from it, for a loaded one cannot leave its thread.

use crate::rules::RuleSource;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

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
