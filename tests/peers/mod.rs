//! What stands beside incidentd in the field, each the real one: Alertmanager and Prometheus (Debian's packages), promtool,
//! schemathesis; and a collector of traces.

mod alertmanager;
mod outage;
mod programs;
mod prometheus;
mod recorded;
mod schemathesis;
mod traces;
mod webhooks;
