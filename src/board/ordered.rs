//! Keys in order, by position too: how many are at or below a key, and from any position downwards.
//!
//! Two levels: runs of keys in a list of runs. With 512 keys a run an insertion moves at most 4 KiB, and a million keys are two
//! thousand runs to sum up. The crates that do this allocate whole nodes for a set of one key, and most sets here are small.

/// Keys of a run before it is cut in two.
const RUN: usize = 512;

#[derive(Default)]
pub struct Ordered {
    /// None is empty; ascending within and between.
    runs: Vec<Vec<u128>>,
    len: usize,
}

impl Ordered {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The run that has, or would take, `key`.
    fn run_of(&self, key: u128) -> usize {
        self.runs.partition_point(|run| run[0] <= key).saturating_sub(1)
    }

    /// False: it was there.
    pub fn insert(&mut self, key: u128) -> bool {
        let at = self.run_of(key);
        let Some(run) = self.runs.get_mut(at) else {
            self.runs.push(vec![key]);
            self.len = 1;
            return true;
        };
        let Err(place) = run.binary_search(&key) else { return false };
        run.insert(place, key);
        if run.len() > RUN {
            // Most keys come in their order: what is cut off at the end then stays nearly full.
            let keep = if place == RUN && at + 1 == self.runs.len() { RUN } else { RUN / 2 };
            let rest = self.runs[at].split_off(keep);
            self.runs.insert(at + 1, rest);
        }
        self.len += 1;
        true
    }

    /// False: it was not there.
    pub fn remove(&mut self, key: u128) -> bool {
        let at = self.run_of(key);
        let Some(run) = self.runs.get_mut(at) else { return false };
        let Ok(place) = run.binary_search(&key) else { return false };
        run.remove(place);
        if run.is_empty() {
            self.runs.remove(at);
        }
        self.len -= 1;
        true
    }

    /// How many keys are at or below `key`.
    pub fn at_or_below(&self, key: u128) -> usize {
        let runs = self.runs.partition_point(|run| run[0] <= key);
        let Some(last) = runs.checked_sub(1) else { return 0 };
        let before: usize = self.runs[..last].iter().map(Vec::len).sum();
        before + self.runs[last].partition_point(|other| *other <= key)
    }

    /// The keys at or below `key`, descending.
    pub fn down_from(&self, key: u128) -> impl Iterator<Item = u128> {
        let runs = self.runs.partition_point(|run| run[0] <= key);
        let (whole, first) = match runs.checked_sub(1) {
            None => (&self.runs[..0], &[][..]),
            Some(last) => {
                let run = &self.runs[last];
                (&self.runs[..last], &run[..run.partition_point(|other| *other <= key)])
            }
        };
        first.iter().rev().chain(whole.iter().rev().flat_map(|run| run.iter().rev())).copied()
    }

    /// The smallest and the greatest.
    pub fn ends(&self) -> Option<(u128, u128)> {
        Some((*self.runs.first()?.first()?, *self.runs.last()?.last()?))
    }
}

/// The keys at the positions from `offset` on, greatest first, of sets that have none in common; at most `limit`.
pub fn page(sets: &[&Ordered], offset: usize, limit: usize) -> Vec<u128> {
    let total: usize = sets.iter().map(|set| set.len).sum();
    let ends = sets.iter().filter_map(|set| set.ends());
    let Some((mut low, mut high)) = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { return Vec::new() };
    if offset >= total {
        return Vec::new();
    }
    // The key at the position `offset`: the smallest that has `total - offset` keys at or below it. Halving the span of keys
    // asks each set at most 128 times, however deep the page lies.
    while low < high && offset > 0 {
        let middle = low + (high - low) / 2;
        let below: usize = sets.iter().map(|set| set.at_or_below(middle)).sum();
        if below >= total - offset { high = middle } else { low = middle + 1 }
    }
    let mut heads = std::collections::BinaryHeap::with_capacity(sets.len());
    let mut rests: Vec<_> = sets.iter().map(|set| set.down_from(high)).collect();
    for (at, rest) in rests.iter_mut().enumerate() {
        heads.extend(rest.next().map(|key| (key, at)));
    }
    let mut found = Vec::with_capacity(limit.min(total - offset));
    while found.len() < limit
        && let Some((key, at)) = heads.pop()
    {
        found.push(key);
        heads.extend(rests[at].next().map(|key| (key, at)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_page_is_what_sorting_everything_would_give(
            steps in prop::collection::vec((0u128..3_000, 0usize..3, any::<bool>()), 1..4_000),
            offset in 0usize..2_000,
            limit in 0usize..40,
        ) {
            let mut sets = [Ordered::default(), Ordered::default(), Ordered::default()];
            let mut model = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
            for (key, set, put) in steps {
                // A key belongs to one set only.
                let key = key * 3 + set as u128;
                match put {
                    true => assert_eq!(sets[set].insert(key), model[set].insert(key)),
                    false => assert_eq!(sets[set].remove(key), model[set].remove(&key)),
                }
                assert_eq!(sets[set].len(), model[set].len());
            }
            let mut all: Vec<u128> = model.iter().flatten().copied().collect();
            all.sort_unstable_by(|a, b| b.cmp(a));
            let expected: Vec<u128> = all.iter().skip(offset).take(limit).copied().collect();
            prop_assert_eq!(page(&sets.each_ref(), offset, limit), expected);
        }
    }

    #[test]
    fn long_runs_are_cut_whatever_the_order() {
        for order in [|n: u128| n, |n: u128| 9_999 - n, |n: u128| (n * 7_919) % 10_007] {
            let mut set = Ordered::default();
            (0..10_000).for_each(|n| assert!(set.insert(order(n))));
            assert!(set.runs.iter().all(|run| run.len() <= RUN));
            assert!(set.runs.len() < 64, "{} runs", set.runs.len());
            assert_eq!(page(&[&set], 0, 1).len(), 1);
            assert_eq!(page(&[&set], 9_999, 5).len(), 1);
            assert_eq!(page(&[&set], 10_000, 5), []);
        }
    }
}
