//! The page for people at `/`: open incidents, one incident, silences, with confirmed buttons for the commands.
//!
//! Made here whole, readable and usable without scripts. A GET changes nothing, ever: a link preview must not acknowledge; a
//! command is a form that is sent.
//!
//! - `guard`: who looks (the token in a cookie), whose form it is (ours alone), and the headers that keep a page to itself
//! - `sign_in`: the token into the cookie, and out of it
//! - `frame`, `words`, `assets`: what all pages have in common
//! - `list`, `filter`, `spark`; `incident`, `sentences`, `decisions`: what is shown
//! - `order`, `silences`, `form`: what can be done
//! - `live`: tells a page that is open that it should look again
//!
//! Invariant: what comes from an alert or a person reaches a page through maud's escaping alone; links by `words::link`.

mod assets;
mod decisions;
mod filter;
mod form;
mod frame;
mod guard;
mod incident;
mod list;
mod live;
mod order;
mod sentences;
mod sign_in;
mod silences;
mod spark;
#[cfg(test)]
mod tests;
mod words;

use crate::board::Board;
use crate::http::{Api, Gate, commands};
use axum::extract::Extension;
use axum::routing::get;
use axum::{Router, middleware};
use std::sync::Arc;

/// What the pages keep beside the board.
#[derive(Default)]
pub struct Pages {
    sparks: spark::Sparks,
    live: live::Live,
}

impl Pages {
    /// Every few seconds: how often the open incidents occurred since the last time.
    pub fn look(&self, board: &Board) {
        self.sparks.look(board, commands::now());
    }
}

/// The pages behind their guard, and what needs none.
pub fn routes(api: &Arc<Api>, gate: &Gate) -> Router<Arc<Api>> {
    let guarded = Router::new()
        .route("/", get(list::show))
        .route("/incidents/{id}", get(incident::show))
        .route("/incidents/{id}/decisions", get(decisions::show))
        .route("/incidents/{id}/{order}", get(order::ask).post(order::take))
        .route("/silences", get(silences::list))
        .route("/silences/new", get(silences::ask).post(silences::create))
        .route("/silences/{id}/expire", get(silences::ask_expire).post(silences::expire))
        .route("/live", get(live::stream).layer(Extension(gate.clone())))
        .route_layer(middleware::from_fn_with_state(Arc::clone(api), guard::check));
    let open = Router::new()
        .route("/sign-in", get(sign_in::ask).post(sign_in::take))
        .route("/sign-out", axum::routing::post(sign_in::leave));
    let open = open.route_layer(middleware::from_fn_with_state(Arc::clone(api), guard::check_form));
    guarded.merge(open).merge(assets::routes()).layer(middleware::map_response(guard::keep_to_itself))
}
