//! All incidents of a shard that are not closed: a slab, found by identity and by id.

use crate::engine::entry::{Entry, Full, NOWHERE, Slot, half};
use crate::engine::services::{Service, Services};
use crate::model::{Fingerprint, IncidentId, Severity, Status, Time};
use hashbrown::HashTable;

/// Entries per chunk: the slab grows by chunks, for moving a million entries would hold two copies of them.
const CHUNK: usize = 4096;

#[derive(Default)]
pub struct Store {
    chunks: Vec<Vec<Option<Entry>>>,
    free: Vec<Slot>,
    /// The newest incident of each identity; older ones hang on `Entry::older`.
    by_identity: HashTable<Slot>,
    by_id: HashTable<Slot>,
    services: Services,
    len: usize,
    open: [[u64; Status::ALL.len()]; Severity::ALL.len()],
}

fn identity_hash(fingerprint: &[u8; 16]) -> u64 {
    // Bytes of a SHA-256 are a hash already.
    u64::from_le_bytes([
        fingerprint[0],
        fingerprint[1],
        fingerprint[2],
        fingerprint[3],
        fingerprint[4],
        fingerprint[5],
        fingerprint[6],
        fingerprint[7],
    ])
}

fn at(chunks: &[Vec<Option<Entry>>], slot: Slot) -> Option<&Entry> {
    chunks.get(slot as usize / CHUNK)?.get(slot as usize % CHUNK)?.as_ref()
}

/// Begins to load all cache lines of a value, and waits for none.
fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..size_of::<T>()).step_by(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address lies in the value; the instruction reads nothing, it is a hint.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((&raw const *value).cast::<i8>().add(line)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

impl Store {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn get(&self, slot: Slot) -> Option<&Entry> {
        at(&self.chunks, slot)
    }

    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Entry> {
        self.chunks.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)?.as_mut()
    }

    /// Asks the processor for an entry that is wanted in a moment: a million of them lie far beyond its caches.
    pub fn prefetch(&self, slot: Slot) {
        if let Some(entry) = self.chunks.get(slot as usize / CHUNK).and_then(|chunk| chunk.get(slot as usize % CHUNK)) {
            prefetch(entry);
        }
    }

    /// As [`Store::prefetch`], for the newest incident of an identity.
    pub fn prefetch_identity(&self, fingerprint: &Fingerprint) {
        // The first with that hash: looking closer would wait for the entry.
        if let Some(slot) = self.by_identity.find(identity_hash(&half(&fingerprint.0)), |_| true) {
            self.prefetch(*slot);
        }
    }

    pub fn slots(&self) -> impl Iterator<Item = (Slot, &Entry)> {
        let entries = self.chunks.iter().flatten().enumerate();
        entries.filter_map(|(slot, entry)| entry.as_ref().map(|entry| (slot as Slot, entry)))
    }

    pub fn find_id(&self, id: IncidentId) -> Option<Slot> {
        self.by_id.find(id.hash, |&slot| at(&self.chunks, slot).is_some_and(|entry| entry.id == id)).copied()
    }

    /// The incidents of an identity, newest first by `first_seen_at`.
    pub fn of_identity<'s>(
        &'s self,
        service_id: &str,
        fingerprint: &Fingerprint,
    ) -> impl Iterator<Item = (Slot, &'s Entry)> + use<'s> {
        self.of_identity_half(service_id, &half(&fingerprint.0))
    }

    pub fn of_identity_half<'s>(
        &'s self,
        service_id: &str,
        fingerprint: &[u8; 16],
    ) -> impl Iterator<Item = (Slot, &'s Entry)> + use<'s> {
        let mut next = self.newest(service_id, fingerprint).unwrap_or(NOWHERE);
        std::iter::from_fn(move || {
            let entry = at(&self.chunks, next)?;
            Some((std::mem::replace(&mut next, entry.older), entry))
        })
    }

    /// Of the same identity as the one at `slot`, itself among them, newest first.
    pub fn same_identity(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Entry)> {
        let found = self.get(slot).map(|entry| self.of_identity_half(self.name_of(entry), &entry.fingerprint));
        found.into_iter().flatten()
    }

    fn newest(&self, service_id: &str, fingerprint: &[u8; 16]) -> Option<Slot> {
        let same = |&slot: &Slot| {
            at(&self.chunks, slot)
                .is_some_and(|entry| entry.fingerprint == *fingerprint && self.services.name(entry.service) == service_id)
        };
        self.by_identity.find(identity_hash(fingerprint), same).copied()
    }

    /// A service's incidents first seen from `from` to `to`, newest first.
    pub fn around<'s>(&'s self, service_id: &str, from: Time, to: Time) -> impl Iterator<Item = (Slot, &'s Entry)> + use<'s> {
        let members = self.services.find(service_id).map_or(&[][..], |service| self.services.members(service));
        let seen = |slot: &Slot| self.get(*slot).map_or(Time::NEVER, |entry| entry.first_seen_at);
        // Nearly always it is the newest that are asked for.
        let end = match members.last() {
            Some(last) if seen(last) > to => members.partition_point(|slot| seen(slot) <= to),
            _ => members.len(),
        };
        let entries = members[..end].iter().rev().filter_map(|slot| Some((*slot, self.get(*slot)?)));
        entries.take_while(move |(_, entry)| entry.first_seen_at >= from)
    }

    /// How many of a service's incidents fire.
    pub fn firing_of(&self, service_id: &str) -> u64 {
        self.services.find(service_id).map_or(0, |service| self.services.firing(service))
    }

    /// Where an incident has, or is to have, its place among its service's: by age.
    fn place(&self, service: Service, first_seen_at: Time, id: IncidentId) -> usize {
        let rank = |slot: &Slot| self.get(*slot).map_or((Time::NEVER, id), |entry| (entry.first_seen_at, entry.id));
        let members = self.services.members(service);
        // Nearly always the newest.
        if members.last().is_none_or(|last| rank(last) < (first_seen_at, id)) {
            return members.len();
        }
        members.partition_point(|slot| rank(slot) < (first_seen_at, id))
    }

    pub fn name_of(&self, entry: &Entry) -> &str {
        self.services.name(entry.service)
    }

    /// Takes in a new incident.
    pub fn insert(&mut self, full: &Full) -> Slot {
        let service = self.services.hold(&full.incident.service_id);
        let entry = Entry::new(service, full);
        let place = self.place(service, entry.first_seen_at, entry.id);
        let slot = self.link(entry);
        self.services.members_mut(service).insert(place, slot);
        slot
    }

    /// Takes in an incident from the changelog, in place of what it held of that id before.
    pub fn restore(&mut self, id: IncidentId, service_id: &str, make: impl FnOnce(Service) -> Entry) {
        if let Some(slot) = self.find_id(id)
            && let Some(before) = self.get(slot)
        {
            let (service, older) = (before.service, before.older);
            self.replace(slot, |_| Entry { id, older, ..make(service) });
            self.settle(slot);
        } else {
            let service = self.services.hold(service_id);
            let slot = self.link(Entry { id, ..make(service) });
            self.settle(slot);
            // Put in order once, by `restored`.
            self.services.members_mut(service).push(slot);
        }
    }

    /// After the last changelog record: each service's incidents by age.
    pub fn restored(&mut self) {
        let Store { chunks, services, .. } = self;
        services.each_members(|members| {
            members.sort_by_cached_key(|slot| at(chunks, *slot).map(|entry| (entry.first_seen_at, entry.id)))
        });
    }

    fn link(&mut self, mut entry: Entry) -> Slot {
        let fingerprint = entry.fingerprint;
        let newest = self.newest(self.services.name(entry.service), &fingerprint);
        let slot = self.free.pop().unwrap_or_else(|| {
            if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
                self.chunks.push(Vec::with_capacity(CHUNK));
            }
            let last = self.chunks.len() - 1;
            self.chunks[last].push(None);
            (last * CHUNK + self.chunks[last].len() - 1) as Slot
        });
        let chunks = &self.chunks;
        let hash_of = |&slot: &Slot| at(chunks, slot).map_or(0, |entry| identity_hash(&entry.fingerprint));
        // Into the chain by age; the newest is the one that the table names.
        let rank = |entry: &Entry| (entry.first_seen_at, entry.id);
        match newest {
            Some(head) if at(chunks, head).is_some_and(|head| rank(head) > rank(&entry)) => {
                let mut before = head;
                while let Some(next) =
                    at(chunks, before).and_then(|entry| at(chunks, entry.older).map(|next| (entry.older, next)))
                    && rank(next.1) > rank(&entry)
                {
                    before = next.0;
                }
                if let Some(before) = self.get_mut(before) {
                    entry.older = std::mem::replace(&mut before.older, slot);
                }
            }
            Some(head) => {
                entry.older = head;
                if let Ok(named) = self.by_identity.find_entry(identity_hash(&fingerprint), |&slot| slot == head) {
                    *named.into_mut() = slot;
                }
            }
            None => {
                self.by_identity.insert_unique(identity_hash(&fingerprint), slot, hash_of);
            }
        }
        let chunks = &self.chunks;
        self.by_id.insert_unique(entry.id.hash, slot, |&slot| at(chunks, slot).map_or(0, |entry| entry.id.hash));
        self.count(&entry, 1);
        self.len += 1;
        self.chunks[slot as usize / CHUNK][slot as usize % CHUNK] = Some(entry);
        slot
    }

    /// Makes an incident's body small: it will hardly change soon.
    pub fn settle(&mut self, slot: Slot) {
        let entry = self.chunks.get_mut(slot as usize / CHUNK).and_then(|chunk| chunk.get_mut(slot as usize % CHUNK)?.as_mut());
        if let Some(entry) = entry {
            entry.body.settle(self.services.sample(entry.service));
        }
    }

    /// Takes over a changed incident.
    pub fn put(&mut self, slot: Slot, full: &Full) {
        self.replace(slot, |mut entry| {
            entry.put(full);
            entry
        });
    }

    fn replace(&mut self, slot: Slot, change: impl FnOnce(Entry) -> Entry) {
        let (chunk, at) = (slot as usize / CHUNK, slot as usize % CHUNK);
        let Some(entry) = self.chunks.get_mut(chunk).and_then(|chunk| chunk.get_mut(at)?.take()) else { return };
        self.count(&entry, -1);
        let entry = change(entry);
        self.count(&entry, 1);
        self.chunks[chunk][at] = Some(entry);
    }

    pub fn remove(&mut self, slot: Slot) -> Option<IncidentId> {
        let entry = self.get(slot)?;
        let service = entry.service;
        let place = self.place(service, entry.first_seen_at, entry.id);
        let members = self.services.members(service);
        // While state is restored they are in no order yet.
        let place = match members.get(place) {
            Some(found) if *found == slot => Some(place),
            _ => members.iter().position(|found| *found == slot),
        };
        if let Some(place) = place {
            self.services.members_mut(service).remove(place);
        }
        let entry = self.chunks.get_mut(slot as usize / CHUNK)?.get_mut(slot as usize % CHUNK)?.take()?;
        let hash = identity_hash(&entry.fingerprint);
        if let Ok(named) = self.by_identity.find_entry(hash, |&named| named == slot) {
            if entry.older == NOWHERE {
                named.remove();
            } else {
                *named.into_mut() = entry.older;
            }
        } else {
            let newest = self.newest(self.services.name(entry.service), &entry.fingerprint);
            let mut before = newest.unwrap_or(NOWHERE);
            while let Some(next) = self.get(before).map(|entry| entry.older).filter(|next| *next != slot) {
                before = next;
            }
            if let Some(before) = self.get_mut(before) {
                before.older = entry.older;
            }
        }
        if let Ok(named) = self.by_id.find_entry(entry.id.hash, |&named| named == slot) {
            named.remove();
        }
        self.count(&entry, -1);
        self.services.release(entry.service);
        self.free.push(slot);
        self.len -= 1;
        Some(entry.id)
    }

    fn count(&mut self, entry: &Entry, by: i64) {
        let count = &mut self.open[entry.severity as usize][entry.status as usize];
        *count = count.wrapping_add_signed(by);
        if entry.status.fires() {
            self.services.count_firing(entry.service, by);
        }
    }

    /// How many there are, by severity and status, zeros included.
    pub fn open(&self, each: &mut dyn FnMut(Severity, Status, u64)) {
        for severity in Severity::ALL {
            for status in Status::ALL.into_iter().filter(|status| *status != Status::Closed) {
                each(severity, status, self.open[severity as usize][status as usize]);
            }
        }
    }
}
