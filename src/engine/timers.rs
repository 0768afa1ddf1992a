//! The timer wheel: which entities to look at again, and when (ARCHITECTURE 4, «What the probes say»).
//!
//! Lazy: a deadline that moves later is left where it stands; the owner re-checks when it is handed out. Entities hold
//! their deadlines themselves, so the wheel is derived state and is rebuilt on restore.

use crate::model::Time;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Slots per level, as a shift. A tick is a millisecond: nothing is handed out early, nothing late.
const SLOT_SHIFT: u32 = 6;
const SLOTS: usize = 1 << SLOT_SHIFT;
/// 64⁸ ms since 1970: past the year 9999.
const LEVELS: usize = 8;
const LAST_TICK: u64 = (1 << (SLOT_SHIFT * LEVELS as u32)) - 1;

/// No node: the end of a slot's chain.
const NOWHERE: u32 = u32::MAX;

/// Nodes below which their memory is kept, however few are in use.
const KEPT: usize = 4096;

/// A waiting key. All of them lie in one slab, chained by slot, so that moving one to a finer level takes no memory.
#[derive(Clone, Copy)]
struct Node {
    tick: u64,
    key: u32,
    next: u32,
}

struct Level {
    /// Bit n: slot n holds something.
    occupied: u64,
    /// The first node of each.
    slots: [u32; SLOTS],
}

/// A hierarchical wheel of `u32` keys.
pub struct Timers {
    /// The tick up to which everything was handed out.
    current: u64,
    levels: [Level; LEVELS],
    nodes: Vec<Node>,
    /// The first of the nodes that are not in use.
    free: u32,
    /// Due already when inserted, as the wheel stands; where the clock was set back they may have to wait. The earliest first.
    ready: BinaryHeap<Reverse<(u64, u32)>>,
    len: usize,
}

impl Default for Timers {
    fn default() -> Timers {
        Timers {
            current: 0,
            levels: std::array::from_fn(|_| Level { occupied: 0, slots: [NOWHERE; SLOTS] }),
            nodes: Vec::new(),
            free: NOWHERE,
            ready: BinaryHeap::new(),
            len: 0,
        }
    }
}

impl Timers {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Hands `key` out once `due` has come.
    pub fn insert(&mut self, due: Time, key: u32) {
        self.len += 1;
        let tick = (due.0.max(0) as u64).min(LAST_TICK);
        if tick <= self.current {
            return self.ready.push(Reverse((tick, key)));
        }
        let node = Node { tick, key, next: NOWHERE };
        let at = match self.nodes.get(self.free as usize) {
            Some(free) => {
                let at = self.free;
                self.free = free.next;
                self.nodes[at as usize] = node;
                at
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        };
        self.link(at);
    }

    /// A node, later than now, into its slot.
    fn link(&mut self, at: u32) {
        let tick = self.nodes[at as usize].tick;
        // The highest digit (base 64) in which the tick differs from now names the level.
        let differs = (tick ^ self.current) | (SLOTS as u64 - 1);
        let level = ((63 - differs.leading_zeros()) / SLOT_SHIFT) as usize;
        let slot = (tick >> (SLOT_SHIFT * level as u32)) as usize % SLOTS;
        let level = &mut self.levels[level];
        self.nodes[at as usize].next = std::mem::replace(&mut level.slots[slot], at);
        level.occupied |= 1 << slot;
    }

    /// The earliest occupied slot: its level, number, and the tick at which it begins.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        self.levels
            .iter()
            .enumerate()
            .filter(|(_, level)| level.occupied != 0)
            .map(|(at, level)| {
                let shift = SLOT_SHIFT * at as u32;
                let here = (self.current >> shift) as u32 % SLOTS as u32;
                let ahead = level.occupied.rotate_right(here).trailing_zeros() as u64;
                let slot = (u64::from(here) + ahead) as usize % SLOTS;
                (at, slot, ((self.current >> shift) + ahead) << shift)
            })
            .min_by_key(|(_, _, tick)| *tick)
    }

    /// When [`Timers::expire`] is worth calling next: never late, perhaps early.
    pub fn next_due(&self) -> Time {
        let ready = self.ready.peek().map(|Reverse((tick, _))| *tick);
        let ahead = self.next_slot().map(|(_, _, tick)| tick);
        ready.into_iter().chain(ahead).min().map_or(Time::NEVER, |tick| Time(tick as i64))
    }

    /// Hands out every key that is due at `now`, in no particular order.
    pub fn expire(&mut self, now: Time, due: &mut Vec<u32>) {
        let target = (now.0.max(0) as u64).min(LAST_TICK);
        while let Some(Reverse((_, key))) = self.ready.peek().copied().filter(|Reverse((tick, _))| *tick <= target) {
            self.ready.pop();
            self.len -= 1;
            due.push(key);
        }
        while let Some((level, slot, tick)) = self.next_slot().filter(|(_, _, tick)| *tick <= target) {
            self.current = tick;
            let level = &mut self.levels[level];
            level.occupied &= !(1 << slot);
            let mut at = std::mem::replace(&mut level.slots[slot], NOWHERE);
            while let Some(Node { tick: wanted, key, next }) = self.nodes.get(at as usize).copied() {
                if wanted <= tick {
                    self.len -= 1;
                    due.push(key);
                    self.nodes[at as usize].next = std::mem::replace(&mut self.free, at);
                } else {
                    self.link(at);
                }
                at = next;
            }
        }
        self.current = self.current.max(target);
        self.shrink();
    }

    /// What once held a burst must not hold its memory for ever.
    fn shrink(&mut self) {
        let used = self.len - self.ready.len();
        if self.nodes.len() <= KEPT || used > self.nodes.len() / 4 {
            return;
        }
        let before = std::mem::take(&mut self.nodes);
        self.nodes.reserve_exact(2 * used);
        self.free = NOWHERE;
        for level in &mut self.levels {
            for first in &mut level.slots {
                let mut at = std::mem::replace(first, NOWHERE);
                while let Some(node) = before.get(at as usize) {
                    self.nodes.push(Node { next: *first, ..*node });
                    *first = self.nodes.len() as u32 - 1;
                    at = node.next;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the plainest model: a list that is searched.
        #[test]
        fn hands_out_each_key_once_neither_early_nor_late(
            steps in proptest::collection::vec((0i64..4_000_000_000, 0i64..40_000_000), 1..200)
        ) {
            let mut timers = Timers::default();
            let mut waiting: Vec<(i64, u32)> = Vec::new();
            let mut now = 1_700_000_000_000i64;
            for (key, (delay, pass)) in steps.into_iter().enumerate() {
                timers.insert(Time(now + delay), key as u32);
                waiting.push((now + delay, key as u32));
                prop_assert!(timers.next_due() <= Time(waiting.iter().map(|(due, _)| *due).min().unwrap_or(i64::MAX)));
                now += pass;
                let mut due = Vec::new();
                timers.expire(Time(now), &mut due);
                for key in due {
                    let at = waiting.iter().position(|(_, k)| *k == key).expect("handed out once");
                    prop_assert!(waiting.swap_remove(at).0 <= now, "early");
                }
                prop_assert!(waiting.iter().all(|(due, _)| *due > now), "late");
                prop_assert_eq!(timers.len(), waiting.len());
            }
        }
    }

    /// A burst, and what is left of it when its memory is given back.
    #[test]
    fn what_waits_behind_a_burst_is_handed_out_in_its_time() {
        let mut timers = Timers::default();
        let start = 1_800_000_000_000;
        (0..50_000u32).for_each(|key| timers.insert(Time(start + i64::from(key % 100)), key));
        (50_000..50_010u32).for_each(|key| timers.insert(Time(start + i64::from(key) * 1_000), key));
        let mut due = Vec::new();
        timers.expire(Time(start + 100), &mut due);
        assert_eq!((due.len(), timers.len()), (50_000, 10));
        assert!(timers.nodes.capacity() < KEPT, "{}", timers.nodes.capacity());
        for key in 50_000..50_010u32 {
            due.clear();
            timers.insert(Time(start + i64::from(key) * 1_000 + 1), 7);
            timers.expire(Time(start + i64::from(key) * 1_000), &mut due);
            assert_eq!(due.iter().filter(|due| **due != 7).collect::<Vec<_>>(), [&key]);
        }
    }

    #[test]
    fn what_is_inserted_after_the_clock_was_set_back_waits_for_its_time() {
        let mut timers = Timers::default();
        let noon = 1_800_000_000_000;
        let mut due = Vec::new();
        timers.expire(Time(noon + 3_600_000), &mut due);
        timers.insert(Time(noon + 10_000), 1);
        timers.expire(Time(noon), &mut due);
        assert!(due.is_empty(), "early");
        assert_eq!(timers.next_due(), Time(noon + 10_000), "nobody has to look before it");
        timers.expire(Time(noon + 10_000), &mut due);
        assert_eq!(due, [1]);
        assert!(timers.is_empty(), "nothing waits any more");
    }

    #[test]
    fn what_is_due_past_the_last_tick_waits_for_it() {
        let mut timers = Timers::default();
        timers.insert(Time(i64::MAX), 9);
        let last = timers.next_due();
        let mut due = Vec::new();
        timers.expire(Time(253_402_300_799_999), &mut due);
        assert!(due.is_empty() && timers.len() == 1, "the year 9999 has not ended");
        assert!(last > Time(253_402_300_799_999));
    }

    #[test]
    fn what_is_due_in_a_hundred_years_waits() {
        let mut timers = Timers::default();
        let start = 1_700_000_000_000;
        timers.expire(Time(start), &mut Vec::new());
        timers.insert(Time(start + 3_155_760_000_000), 7);
        let mut due = Vec::new();
        timers.expire(Time(start + 3_000_000_000_000), &mut due);
        assert!(due.is_empty());
        timers.expire(Time(start + 3_155_760_000_000), &mut due);
        assert_eq!(due, [7]);
    }
}
