//! A list in the order of a key, to which nearly always something is added at its end: in chunks, for what is looked for is nearly
//! always there, and a look into a tree is a miss of the cache for each level.

/// Small in tests, so that there are several.
const CHUNK: usize = if cfg!(test) { 4 } else { 128 };

pub struct Sorted<K, V> {
    /// None of them empty.
    chunks: Vec<Vec<(K, V)>>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Sorted<K, V> {
        Sorted { chunks: Vec::new() }
    }
}

impl<K: Ord + Copy, V> Sorted<K, V> {
    /// In which chunk it lies, or would lie, and how many of that are less.
    fn place(&self, key: K) -> (usize, usize) {
        let may_hold = |chunk: &Vec<(K, V)>| chunk.first().is_some_and(|(first, _)| *first <= key);
        let at = match self.chunks.last() {
            Some(last) if may_hold(last) => self.chunks.len() - 1,
            _ => self.chunks.partition_point(may_hold).saturating_sub(1),
        };
        // From the end: what a chunk holds lies side by side, and halving it would guess wrong each time.
        let is_less = |(other, _): &(K, V)| *other < key;
        (at, self.chunks.get(at).and_then(|chunk| chunk.iter().rposition(is_less)).map_or(0, |last| last + 1))
    }

    /// In place of what the key named before.
    pub fn insert(&mut self, key: K, value: V) {
        let (mut at, mut before) = self.place(key);
        let is_last = at + 1 >= self.chunks.len();
        match self.chunks.get_mut(at) {
            None => self.chunks.push(Vec::new()),
            Some(chunk) if chunk.get(before).is_some_and(|(other, _)| *other == key) => {
                chunk[before].1 = value;
                return;
            }
            Some(chunk) if chunk.len() < CHUNK => {}
            Some(chunk) => {
                // One that is full at the end of all stays as it is.
                let half = if is_last && before == chunk.len() { chunk.len() } else { chunk.len() / 2 };
                let rest = chunk.split_off(half);
                self.chunks.insert(at + 1, rest);
                if before > half || half == CHUNK {
                    (at, before) = (at + 1, before - half);
                }
            }
        }
        self.chunks[at].insert(before, (key, value));
    }

    pub fn remove(&mut self, key: K) {
        let (at, before) = self.place(key);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        if chunk.get(before).is_some_and(|(other, _)| *other == key) {
            chunk.remove(before);
            if chunk.is_empty() {
                self.chunks.remove(at);
            }
            self.join(at);
            self.join(at.saturating_sub(1));
        }
    }

    /// What is left of two that were full takes the room of one.
    fn join(&mut self, at: usize) {
        if let Some([chunk, next, ..]) = self.chunks.get_mut(at..)
            && chunk.len() + next.len() <= CHUNK / 2
        {
            chunk.append(next);
            self.chunks.remove(at + 1);
        }
    }

    /// From the last on back.
    pub fn backwards(&self) -> impl Iterator<Item = &(K, V)> {
        self.chunks.iter().rev().flat_map(|chunk| chunk.iter().rev())
    }

    /// Those whose keys are less, from the last on back.
    pub fn before(&self, key: K) -> impl Iterator<Item = &(K, V)> {
        let (at, before) = self.place(key);
        let rest = self.chunks[..at].iter().rev().flat_map(|chunk| chunk.iter().rev());
        self.chunks.get(at).into_iter().flat_map(move |chunk| chunk[..before].iter().rev()).chain(rest)
    }

    /// Those whose keys are not less, from the first on.
    pub fn from(&self, key: K) -> impl Iterator<Item = &(K, V)> {
        let (at, before) = self.place(key);
        let rest = self.chunks.iter().skip(at + 1).flatten();
        self.chunks.get(at).into_iter().flat_map(move |chunk| &chunk[before..]).chain(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// It holds what a tree holds, whatever came and went in whatever order.
        #[test]
        fn as_a_tree(does in prop::collection::vec((0..40u32, any::<bool>(), any::<u8>()), 0..200), at in 0..42u32) {
            let (mut sorted, mut tree) = (Sorted::default(), BTreeMap::new());
            for (key, inserts, value) in does {
                match inserts {
                    true => {
                        sorted.insert(key, value);
                        tree.insert(key, value);
                    }
                    false => {
                        sorted.remove(key);
                        tree.remove(&key);
                    }
                }
                prop_assert!(sorted.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
                let takes_little = |pair: &[Vec<_>]| pair[0].len() + pair[1].len() > CHUNK / 2;
                prop_assert!(sorted.chunks.windows(2).all(takes_little), "what is left takes little room");
            }
            let of = |(key, value): (&u32, &u8)| (*key, *value);
            let all: Vec<(u32, u8)> = tree.iter().rev().map(of).collect();
            prop_assert_eq!(sorted.backwards().copied().collect::<Vec<_>>(), all);
            let before: Vec<(u32, u8)> = tree.range(..at).rev().map(of).collect();
            prop_assert_eq!(sorted.before(at).copied().collect::<Vec<_>>(), before);
            let from: Vec<(u32, u8)> = tree.range(at..).map(of).collect();
            prop_assert_eq!(sorted.from(at).copied().collect::<Vec<_>>(), from);
        }
    }
}
