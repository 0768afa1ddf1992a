//! The rule sets of the simulator: with limits, digests, policies and remediations, one to reload to, and two plain ones under
//! which who is told hangs on nothing but the incident.

use crate::sim::script::DEPENDENCIES;
use incidentd::rules::{Limits, RuleSet, RuleSource};
use std::cell::OnceCell;
use std::rc::Rc;

const ALL: &str = r##"
notification(#{ name: "all-high", where: #{ severity: ["critical", "high"] }, send_on_resolve: true, repeat_minutes: 12,
    on: ["triggered", "severity_changed", "acknowledged", "resolved", "flapping", "remediation_failed", "approval_required"],
    channels: [slack("#a"), email(["a@example.com"])] });
notification(#{ name: "limited", rate_limit: #{ max_per_hour: 3, max_per_day: 9 }, send_on_resolve: true, repeat_minutes: 7,
    where: #{ service_id: ["left", "right", "cache", "lonely"] }, on: ["triggered", "escalated", "reopened"], channels: [slack("#l")] });
notification(#{ name: "digested", digest: #{ interval_minutes: 5, by: ["service_id"], lead: true }, send_on_resolve: true,
    where: #{ service_id: ["api", "gateway"] }, on: ["triggered", "severity_changed"], channels: [slack("#d")] });
notification(#{ name: "both", rate_limit: #{ max_per_hour: 1 }, digest: #{ interval_minutes: 3 },
    where: #{ severity: ["medium", "low"] }, channels: [slack("#b")] });
notification(#{ name: "third", after_occurrences: 3, channels: [slack("#t")] });
"##;

const POLICIES: &str = r##"
escalation(#{ name: "people", priority: 5, where: #{ severity: "critical" }, ack_timeout_minutes: 20,
    levels: [level(0, [user("ann")]), level(4, [team("all")]), level(9, [user("bob")])], repeat: #{ count: 1, interval_minutes: 15 } });
escalation(#{ name: "high", where: #{ severity: "high", service_id: ["model", "gateway", "left"] },
    levels: [level(0, [user("bob")]), level(6, [user("ann")])] });
remediation(#{ name: "restart", priority: 9, where: #{ service_id: "model" }, conditions: [#{ type: "recent_deployment", within_minutes: 30 }],
    actions: [restart()], max_auto_attempts: 2, verify_minutes: 3 });
remediation(#{ name: "budgeted", priority: 5, where: #{ service_id: ["gateway", "left", "model"] }, actions: [scale_up("+1")],
    max_auto_attempts: 3, verify_minutes: 4, budget: #{ max_per_hour: 2, max_per_service_per_hour: 1 } });
remediation(#{ name: "approved", where: #{ service_id: ["cache", "lonely"] }, actions: [rollback()], approval: "required",
    approval_minutes: 10, max_auto_attempts: 2 });
"##;

const OTHER: &str = r##"
notification(#{ name: "all-high", where: #{ severity: "critical" }, repeat_minutes: 5, channels: [slack("#a")] });
notification(#{ name: "limited", rate_limit: #{ max_per_hour: 1 }, channels: [slack("#other")] });
notification(#{ name: "new", digest: #{ interval_minutes: 2 }, on: ["triggered", "occurrence"], channels: [slack("#n")] });
"##;

const PLAIN: &str = r##"
notification(#{ name: "most", where: #{ severity: ["critical", "high", "medium"] }, channels: [slack("#a")] });
"##;

const QUIET: &str = r##"
notification(#{ name: "some", where: #{ category: "category-0" }, channels: [slack("#a")] });
"##;

const USERS: &str = "[users.ann]\nemail = \"ann@example.com\"\n[users.bob]\nphone = \"+4915550101\"\n";
const TEAMS: &str = "[teams.all]\nmembers = [\"ann\", \"bob\"]\n";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Set {
    All,
    /// What [`Set::All`] is reloaded to: other limits, no policies.
    Other,
    Plain,
    /// Only of one category somebody is told, for there are no default channels.
    Quiet,
}

fn load(text: &str) -> Rc<RuleSet> {
    let files = [("a.rhai", text), ("dependencies.toml", DEPENDENCIES), ("users.toml", USERS), ("teams.toml", TEAMS)];
    let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    let loaded = RuleSet::load(&RuleSource { files }, &Limits { refuse_failing: false, ..Limits::default() });
    Rc::new(loaded.unwrap_or_else(|found| panic!("{found:#?}")).0)
}

pub fn rules(set: Set) -> Rc<RuleSet> {
    thread_local! {
        static LOADED: [OnceCell<Rc<RuleSet>>; 4] = Default::default();
    }
    let text = || match set {
        Set::All => format!("{ALL}{POLICIES}"),
        Set::Other => OTHER.to_owned(),
        Set::Plain => PLAIN.to_owned(),
        Set::Quiet => QUIET.to_owned(),
    };
    LOADED.with(|loaded| Rc::clone(loaded[set as usize].get_or_init(|| load(&text()))))
}
