//! Kafka in memory: partitions of records, transactions that are atomic, fenced, and seen only once they have ended.

use std::collections::BTreeSet;

/// Which transaction a record belongs to; 0: none.
pub type TxnId = usize;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Open,
    Committed,
    Aborted,
}

/// All transactions that there ever were.
pub struct Txns(Vec<Fate>);

impl Default for Txns {
    fn default() -> Txns {
        Txns(vec![Fate::Committed])
    }
}

impl Txns {
    pub fn begin(&mut self) -> TxnId {
        self.0.push(Fate::Open);
        self.0.len() - 1
    }

    pub fn end(&mut self, txn: TxnId, fate: Fate) {
        assert_eq!(self.0[txn], Fate::Open, "a transaction ends once");
        self.0[txn] = fate;
    }

    pub fn fate(&self, txn: TxnId) -> Fate {
        self.0[txn]
    }
}

/// One partition of one topic.
pub struct Log<T>(Vec<(TxnId, T)>);

impl<T> Default for Log<T> {
    fn default() -> Log<T> {
        Log(Vec::new())
    }
}

impl<T> Log<T> {
    pub fn append(&mut self, txn: TxnId, record: T) {
        self.0.push((txn, record));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The next record at or after `from` below the last stable offset, with its offset.
    pub fn next(&self, from: usize, txns: &Txns) -> Option<(usize, &T)> {
        for (offset, (txn, record)) in self.0.iter().enumerate().skip(from) {
            match txns.fate(*txn) {
                Fate::Open => return None,
                Fate::Aborted => {}
                Fate::Committed => return Some((offset, record)),
            }
        }
        None
    }

    /// Does a transaction that has not ended stand in it?
    pub fn is_unstable(&self, txns: &Txns) -> bool {
        self.0.iter().any(|(txn, _)| txns.fate(*txn) == Fate::Open)
    }

    /// As Kafka compacts: of each key the last record stays, at its place. Nothing that has not ended may stand in it.
    pub fn compact<K: Ord + Clone>(&mut self, txns: &Txns, key: impl Fn(&T) -> &K) {
        let mut seen = BTreeSet::new();
        let last = |(txn, record): &(TxnId, T)| txns.fate(*txn) == Fate::Committed && seen.insert(key(record).clone());
        let stays: Vec<bool> = self.0.iter().rev().map(last).collect();
        let mut stays = stays.into_iter().rev();
        self.0.retain(|_| stays.next().unwrap_or(true));
    }

    pub fn committed<'l>(&'l self, txns: &'l Txns) -> impl Iterator<Item = &'l T> {
        self.0.iter().filter(|(txn, _)| txns.fate(*txn) == Fate::Committed).map(|(_, record)| record)
    }
}
