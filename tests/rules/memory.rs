//! How much processor time and memory a thread has used meanwhile. The allocator is the program's own, counted: the simulator
//! lives by allocations too.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::time::Duration;

/// Counts what each thread has asked for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // A thread that ends has no counters any more.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: all is handed to mimalloc as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { MiMalloc.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are held while it is copied.
        count(size as isize);
        count(-(layout.size() as isize));
        unsafe { MiMalloc.realloc(at, layout, size) }
    }
}

/// Of this thread.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    pub time: Duration,
    /// At the worst moment, beyond what was held before.
    pub bytes: usize,
}

pub fn measured<T>(run: impl FnOnce() -> T) -> (T, Used) {
    let before = HELD.get();
    MOST.set(before);
    let began = super::micros();
    let result = run();
    let time = Duration::from_micros(super::micros() - began);
    (result, Used { time, bytes: (MOST.get() - before).max(0) as usize })
}

#[test]
fn what_is_used_is_seen() {
    let (_, used) = measured(|| vec![1_u8; 3 << 20].len());
    assert!((3 << 20..4 << 20).contains(&used.bytes), "{used:?}");
}
