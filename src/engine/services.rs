//! The services that have incidents here: each name once, forgotten with its last incident.

use crate::engine::body::Sample;
use hashbrown::HashTable;

/// A service's number, valid while an incident holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service(u32);

#[derive(Default)]
pub struct Services {
    slots: Vec<Slot>,
    by_name: HashTable<u32>,
    free: Vec<u32>,
}

struct Slot {
    name: Box<str>,
    /// Its incidents, as the store orders them.
    members: Vec<u32>,
    /// How many of them fire.
    firing: u64,
    /// What its incidents' bodies look like.
    sample: Sample,
}

/// FNV-1a: short names, and whoever floods us with colliding services can as well flood us with services.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl Services {
    pub fn name(&self, service: Service) -> &str {
        &self.slots[service.0 as usize].name
    }

    pub fn find(&self, name: &str) -> Option<Service> {
        self.by_name.find(hash(name), |&at| *self.slots[at as usize].name == *name).map(|&at| Service(at))
    }

    pub fn members(&self, service: Service) -> &[u32] {
        &self.slots[service.0 as usize].members
    }

    pub fn members_mut(&mut self, service: Service) -> &mut Vec<u32> {
        &mut self.slots[service.0 as usize].members
    }

    pub fn each_members(&mut self, mut each: impl FnMut(&mut Vec<u32>)) {
        self.slots.iter_mut().for_each(|slot| each(&mut slot.members));
    }

    pub fn firing(&self, service: Service) -> u64 {
        self.slots[service.0 as usize].firing
    }

    pub fn count_firing(&mut self, service: Service, by: i64) {
        let firing = &mut self.slots[service.0 as usize].firing;
        *firing = firing.saturating_add_signed(by);
    }

    pub fn sample(&mut self, service: Service) -> &mut Sample {
        &mut self.slots[service.0 as usize].sample
    }

    /// The number of `name`; whoever asks adds a member.
    pub fn hold(&mut self, name: &str) -> Service {
        if let Some(service) = self.find(name) {
            return service;
        }
        let hash_of = hash(name);
        let slot = Slot { name: name.into(), members: Vec::new(), firing: 0, sample: None };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() as u32 - 1
            }
        };
        let slots = &self.slots;
        self.by_name.insert_unique(hash_of, at, |&at| hash(&slots[at as usize].name));
        Service(at)
    }

    /// A member has left; the last one takes the name with it.
    pub fn release(&mut self, service: Service) {
        let slot = &mut self.slots[service.0 as usize];
        if !slot.members.is_empty() {
            return;
        }
        slot.members = Vec::new();
        slot.sample = None;
        let name = std::mem::take(&mut slot.name);
        if let Ok(entry) = self.by_name.find_entry(hash(&name), |&at| at == service.0) {
            entry.remove();
        }
        self.free.push(service.0);
    }
}
