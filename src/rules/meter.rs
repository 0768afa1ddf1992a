//! How much a script may use: operations are the semantic limit, processor time a kill switch, sizes a fence for memory.
//!
//! The engine's own counters do not bound this: its operations start again in each callback of `map` or `filter`, one
//! operation may cost as much as the array it works on, and its size limits are not looked at when a value is put into a
//! map or array by index. So every step is counted here, and every use of a variable or of a field of the incident is
//! weighed, refused past a limit, and charged by its weight: who has copied a few megabytes is out of operations.

use rhai::{Dynamic, FnPtr, ImmutableString};
use std::cell::Cell;

/// What the caller allows. The core reads no clock: without one only operations count.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operations of one `when`, `channels`, `levels` or `actions`; of a file while it is loaded as many, and some for each of
    /// its bytes and rules.
    pub operations: u64,
    /// Milliseconds of one of them, where there is a clock; of a file as above.
    pub wall: u64,
    /// Microseconds of any monotonic clock; best the thread's own CPU time, for then a busy machine stops no honest script.
    pub clock: Option<fn() -> u64>,
    /// A closure that fails on a sample incident keeps the set from loading; if not, it is a warning, and the rule fails
    /// open when it comes to it.
    pub refuse_failing: bool,
    /// This very text was checked before: what it only takes to find something wrong is left out.
    pub checked: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { operations: 100_000, wall: 40, clock: None, refuse_failing: true, checked: false }
    }
}

/// Bytes of one string: an alert's 64 KiB fit, and something before and after.
pub(super) const MAX_STRING: usize = 80 * 1024;
/// Elements of an array or map, those of nested ones included.
pub(super) const MAX_ELEMENTS: usize = 10_000;
/// Values within values, captured ones included.
pub(super) const MAX_DEPTH: usize = 32;
/// Named or captured functions within functions.
pub(super) const MAX_CALLS: usize = 32;
pub(super) const MAX_VARIABLES: usize = 1_000;
/// Of what a variable holds: an element weighs one, as do so many bytes of a string.
const MAX_WEIGHT: usize = MAX_ELEMENTS + MAX_STRING / BYTES_A_UNIT;
const BYTES_A_UNIT: usize = 16;
/// So much weight costs one operation.
const WEIGHT_AN_OPERATION: usize = 4;
/// The clock is read once in so many operations.
const CLOCK_EVERY: u64 = 16;

/// A file declares rules, and may be long: for each rule that it declares, and each KiB of its text.
const OPERATIONS_A_RULE: u64 = 200;
const MICROS_A_RULE: u64 = 100;
const OPERATIONS_A_KIB: u64 = 1_024;
const MICROS_A_KIB: u64 = 500;

/// Counts what the script that runs now has used. One a rule set: scripts of a thread never run at once.
pub(super) struct Meter {
    used: Cell<u64>,
    most: Cell<u64>,
    deadline: Cell<u64>,
    /// Operations at which the clock is read next.
    look: Cell<u64>,
    clock: Option<fn() -> u64>,
    stopped: Cell<Option<Stop>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Operations,
    Time,
}

impl Meter {
    pub fn new(clock: Option<fn() -> u64>) -> Meter {
        Meter {
            used: Cell::new(0),
            most: Cell::new(0),
            deadline: Cell::new(0),
            look: Cell::new(0),
            clock,
            stopped: Cell::new(None),
        }
    }

    /// Before a script runs.
    pub fn start(&self, operations: u64, wall: u64) {
        self.used.set(0);
        self.look.set(CLOCK_EVERY);
        self.most.set(operations);
        self.stopped.set(None);
        if let Some(clock) = self.clock {
            self.deadline.set(clock().saturating_add(wall.saturating_mul(1_000)));
        }
    }

    /// Before a file is read or run. Each token that is read counts for an operation.
    pub fn start_file(&self, limits: &Limits, bytes: usize) {
        self.start(limits.operations, limits.wall);
        self.allow(bytes as u64 / 1_024, OPERATIONS_A_KIB, MICROS_A_KIB);
    }

    /// The file has declared a rule.
    pub fn declared(&self) {
        self.allow(1, OPERATIONS_A_RULE, MICROS_A_RULE);
    }

    fn allow(&self, times: u64, operations: u64, micros: u64) {
        self.most.set(self.most.get().saturating_add(times.saturating_mul(operations)));
        self.deadline.set(self.deadline.get().saturating_add(times.saturating_mul(micros)));
    }

    /// Operations of the script that ran last, or runs.
    pub fn used(&self) -> u64 {
        self.used.get()
    }

    /// One more operation; false ends the script.
    pub fn step(&self) -> bool {
        let used = self.used.get() + 1;
        self.used.set(used);
        if used > self.most.get() {
            self.stopped.set(Some(Stop::Operations));
        } else if used >= self.look.get()
            && let Some(clock) = self.clock
        {
            // Weights count: after each operation on much.
            self.look.set(used + CLOCK_EVERY);
            if clock() > self.deadline.get() {
                self.stopped.set(Some(Stop::Time));
            }
        }
        self.stopped.get().is_none()
    }

    /// Weighs what a variable or field holds before the script uses it; the error is what to tell.
    pub fn weigh(&self, value: &Dynamic) -> Result<(), String> {
        let mut weight = 0;
        weigh(value, 0, &mut weight)?;
        self.used.set(self.used.get() + (weight / WEIGHT_AN_OPERATION) as u64);
        Ok(())
    }

    /// Why the script was stopped, where it was.
    pub fn why_stopped(&self) -> Option<String> {
        self.stopped.get().map(|stop| match stop {
            Stop::Operations => format!("stopped after {} operations; a rule's script must be short", self.most.get()),
            Stop::Time => "stopped: it ran longer than the time that a rule's script may take".to_owned(),
        })
    }
}

fn weigh(value: &Dynamic, depth: usize, weight: &mut usize) -> Result<(), String> {
    if value.is_int() || value.is_unit() || value.is_bool() {
        return Ok(());
    }
    if depth > MAX_DEPTH {
        return Err(format!("a value is nested more than {MAX_DEPTH} deep"));
    }
    let mut inner = |value: &Dynamic| {
        *weight += 1;
        if *weight > MAX_WEIGHT {
            return Err(format!("a value grew past {MAX_ELEMENTS} elements or {} KiB of text", MAX_STRING / 1024));
        }
        weigh(value, depth + 1, weight)
    };
    if let Some(text) = value.read_lock::<ImmutableString>() {
        *weight += text.len() / BYTES_A_UNIT;
    } else if let Some(array) = value.read_lock::<rhai::Array>() {
        array.iter().try_for_each(&mut inner)?;
    } else if let Some(map) = value.read_lock::<rhai::Map>() {
        map.values().try_for_each(&mut inner)?;
        *weight += map.keys().map(|key| key.len() / BYTES_A_UNIT).sum::<usize>();
    } else if let Some(function) = value.read_lock::<FnPtr>() {
        function.iter_curry().try_for_each(&mut inner)?;
    } else if let Some(bytes) = value.read_lock::<rhai::Blob>() {
        *weight += bytes.len() / BYTES_A_UNIT;
    }
    if *weight > MAX_WEIGHT {
        return Err(format!("a value grew past {MAX_ELEMENTS} elements or {} KiB of text", MAX_STRING / 1024));
    }
    Ok(())
}

/// The value by itself: nothing in it is shared with another any more, so a closure that writes to what it captured
/// forgets it with the end of the call.
pub(super) fn detach(value: &Dynamic, depth: usize) -> Result<Dynamic, String> {
    if depth > MAX_DEPTH {
        return Err(format!("a value is nested more than {MAX_DEPTH} deep"));
    }
    let mut value = value.flatten_clone();
    if let Ok(mut array) = value.as_array_mut() {
        for item in array.iter_mut() {
            *item = detach(item, depth + 1)?;
        }
    } else if let Ok(mut map) = value.as_map_mut() {
        for item in map.values_mut() {
            *item = detach(item, depth + 1)?;
        }
    } else if let Some(mut function) = value.write_lock::<FnPtr>() {
        for item in function.iter_curry_mut() {
            *item = detach(item, depth + 1)?;
        }
    }
    Ok(value)
}
