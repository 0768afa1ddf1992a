//! Which service depends on which, and where they depend on each other in a circle (SPEC 4.4, 5).

use crate::rules::RuleSource;
use crate::rules::beside::{Span, read_file};
use crate::rules::diagnostic::{Diagnostic, suggest};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Services that depend on some, what one of them may depend on, and all that together.
const MOST_SERVICES: usize = 50_000;
const MOST_UPSTREAMS: usize = 1_000;
const MOST_EDGES: usize = 500_000;

/// `dependencies.toml`; empty without it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dependencies {
    upstreams: HashMap<Arc<str>, Vec<Arc<str>>, FxBuildHasher>,
    dependents: HashMap<Arc<str>, Vec<Arc<str>>, FxBuildHasher>,
    /// The number of the circle of each service that stands in one.
    circles: HashMap<Arc<str>, usize, FxBuildHasher>,
}

/// A service that only others name.
pub(super) struct Leaf {
    pub name: Arc<str>,
    pub span: Span,
}

impl Dependencies {
    /// What the service depends on directly, by name.
    pub fn upstreams(&self, service: &str) -> &[Arc<str>] {
        self.upstreams.get(service).map_or(&[], Vec::as_slice)
    }

    /// What depends on the service directly, by name.
    pub fn dependents(&self, service: &str) -> &[Arc<str>] {
        self.dependents.get(service).map_or(&[], Vec::as_slice)
    }

    /// Does each of the two depend on the other, directly or through others?
    pub fn in_cycle(&self, a: &str, b: &str) -> bool {
        self.circles.get(a).is_some_and(|circle| self.circles.get(b) == Some(circle))
    }

    /// The second: what others depend on and what itself stands on no left side, each once, where it first stands.
    pub(super) fn load(source: &RuleSource, found: &mut Vec<Diagnostic>) -> (Dependencies, Vec<Leaf>) {
        const HELP: &str = "write for example `\"chat-api\" = [\"llm-gateway\", \"vector-db\"]`";
        const ONE_BY_ONE: &str = "name each service by itself: dependencies know no `*`";
        let mut edges = BTreeSet::new();
        let (mut named, mut leaves) = (BTreeSet::new(), BTreeMap::new());
        read_file(source, "dependencies.toml", found, |root| {
            for (key, span, _) in root.entries().filter(|(key, ..)| *key != "dependencies") {
                let help = match suggest(key, ["dependencies"]) {
                    near if near.starts_with("did") => near,
                    _ => "write `[dependencies]` on a line above it: services stand below that".to_owned(),
                };
                root.error(span, format!("{} has no key `{key}`", root.name), &help);
            }
            let Some(part) = root.table("dependencies", "write `[dependencies]`, and under it a line for each service") else {
                return;
            };
            for (number, (service, span, _)) in part.entries().enumerate() {
                if service.trim().is_empty() {
                    part.error(span, "a service has no name".to_owned(), HELP);
                    continue;
                }
                if service.contains('*') {
                    part.error(span, format!("`{service}` stands for itself here, not for several services"), ONE_BY_ONE);
                    continue;
                }
                named.insert(Arc::<str>::from(service));
                for (upstream, span) in part.texts(service, MOST_UPSTREAMS, HELP) {
                    if upstream.contains('*') {
                        part.error(span, format!("`{upstream}` stands for itself here, not for several services"), ONE_BY_ONE);
                        continue;
                    }
                    if upstream == service {
                        part.error(span, format!("`{service}` depends on itself"), "take it out of its own list");
                        continue;
                    }
                    let (service, upstream) = (Arc::<str>::from(service), Arc::<str>::from(upstream));
                    leaves.entry(upstream.clone()).or_insert(span);
                    edges.insert((service, upstream));
                }
                if number >= MOST_SERVICES || edges.len() > MOST_EDGES {
                    let message = format!("more than {MOST_SERVICES} services or {MOST_EDGES} dependencies");
                    part.error(part.span_of(service), message, "name the dependencies that can take a service down");
                    break;
                }
            }
        });
        let leaves = leaves.into_iter().filter(|(name, _)| !named.contains(name));
        let leaves = leaves.map(|(name, span)| Leaf { name, span }).collect();
        (Dependencies::of(edges), leaves)
    }

    /// Every service on which others depend, with those; in no order.
    pub fn depended_on(&self) -> impl Iterator<Item = (&Arc<str>, &[Arc<str>])> {
        self.dependents.iter().map(|(service, dependents)| (service, dependents.as_slice()))
    }

    /// Every service that stands on a left side, by name.
    pub(super) fn services(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.upstreams.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    fn of(edges: BTreeSet<(Arc<str>, Arc<str>)>) -> Dependencies {
        let mut dependencies = Dependencies::default();
        for (service, upstream) in edges {
            dependencies.dependents.entry(upstream.clone()).or_default().push(service.clone());
            dependencies.upstreams.entry(service).or_default().push(upstream);
        }
        dependencies.circles = dependencies.circles();
        dependencies
    }

    /// Strongly connected components of two or more (Tarjan), on a stack of our own: a chain may be as long as the file.
    fn circles(&self) -> HashMap<Arc<str>, usize, FxBuildHasher> {
        let mut names: Vec<&Arc<str>> = self.upstreams.keys().collect();
        names.sort_unstable();
        // What depends on nothing stands in no circle.
        let number = |name: &Arc<str>| names.binary_search(&name).ok();
        let next: Vec<Vec<usize>> = names.iter().map(|name| self.upstreams[*name].iter().filter_map(number).collect()).collect();
        const UNSEEN: usize = usize::MAX;
        let (mut seen, mut low) = (vec![UNSEEN; names.len()], vec![0; names.len()]);
        let (mut open, mut is_open, mut count) = (Vec::new(), vec![false; names.len()], 0);
        let mut circles = HashMap::default();
        for root in 0..names.len() {
            if seen[root] != UNSEEN {
                continue;
            }
            let mut path = vec![(root, 0)];
            while let Some((at, edge)) = path.last_mut() {
                let at = *at;
                if *edge == 0 {
                    (seen[at], low[at], is_open[at]) = (count, count, true);
                    count += 1;
                    open.push(at);
                }
                if let Some(&to) = next[at].get(*edge) {
                    *edge += 1;
                    if seen[to] == UNSEEN {
                        path.push((to, 0));
                    } else if is_open[to] {
                        low[at] = low[at].min(seen[to]);
                    }
                    continue;
                }
                path.pop();
                if let Some((from, _)) = path.last() {
                    low[*from] = low[*from].min(low[at]);
                }
                if low[at] == seen[at] {
                    let first = open.iter().rposition(|other| *other == at).unwrap_or_default();
                    let members = open.split_off(first);
                    members.iter().for_each(|member| is_open[*member] = false);
                    if members.len() > 1 {
                        circles.extend(members.into_iter().map(|member| (names[member].clone(), seen[at])));
                    }
                }
            }
        }
        circles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(edges: &[(&str, &str)]) -> Dependencies {
        Dependencies::of(edges.iter().map(|(a, b)| (Arc::from(*a), Arc::from(*b))).collect())
    }

    #[test]
    fn both_directions_and_circles() {
        let known = of(&[("chat", "gateway"), ("gateway", "db"), ("gateway", "cache"), ("cache", "gateway"), ("x", "chat")]);
        let names = |list: &[Arc<str>]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(known.upstreams("gateway")), ["cache", "db"]);
        assert_eq!(names(known.dependents("gateway")), ["cache", "chat"]);
        assert_eq!(names(known.upstreams("db")), [""; 0]);
        assert_eq!(names(known.dependents("nobody")), [""; 0]);
        assert!(known.in_cycle("gateway", "cache") && known.in_cycle("cache", "gateway"));
        assert!(!known.in_cycle("chat", "gateway") && !known.in_cycle("db", "db") && !known.in_cycle("", "nobody"));
    }

    #[test]
    fn a_long_chain_and_a_long_circle() {
        let names: Vec<String> = (0..20_000).map(|number| format!("s{number}")).collect();
        let mut edges: Vec<(&str, &str)> = names.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
        assert!(!of(&edges).in_cycle("s0", "s19999"));
        edges.push(("s19999", "s0"));
        assert!(of(&edges).in_cycle("s0", "s10000"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// In a circle together is: each can be reached from the other.
        #[test]
        fn as_walking_says(edges in proptest::collection::btree_set((0..8usize, 0..8usize), 0..20)) {
            let edges: BTreeSet<(usize, usize)> = edges.into_iter().filter(|(a, b)| a != b).collect();
            let known =
                Dependencies::of(edges.iter().map(|(a, b)| (Arc::from(format!("{a}")), Arc::from(format!("{b}")))).collect());
            let reaches = |from: usize, to: usize| {
                let (mut reached, mut ask) = (BTreeSet::new(), vec![from]);
                while let Some(at) = ask.pop() {
                    ask.extend(edges.iter().filter(|(a, b)| *a == at && reached.insert(*b)).map(|(_, b)| *b));
                }
                reached.contains(&to)
            };
            for a in 0..8 {
                for b in (0..8).filter(|b| *b != a) {
                    let together = reaches(a, b) && reaches(b, a);
                    prop_assert_eq!(known.in_cycle(&a.to_string(), &b.to_string()), together, "{} {}", a, b);
                }
            }
        }
    }
}
