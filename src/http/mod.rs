//! What answers over HTTP: probes and metrics for machines. Routes for people stand beside them (SPEC 6).

mod limits;
mod probes;
mod problem;

use crate::metrics::Exporter;
use axum::Router;
use std::sync::Arc;

pub use limits::serve;
pub use problem::Problem;

/// `Err` says what is not ready yet, for a person.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the routes look at.
#[derive(Clone)]
pub struct Surface {
    pub ready: Ready,
    pub metrics: Exporter,
}

/// All routes, limited. The probes stand outside the limit of concurrency: an overloaded process is alive.
pub fn router(surface: Surface) -> Router {
    let limited = Router::new().merge(probes::metrics());
    limits::bound(limits::crowd(limited).merge(probes::health())).with_state(surface)
}
