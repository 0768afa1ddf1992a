//! The style, the script and the icon: files of ours, named by their content, so that a browser keeps them until they change.

use crate::http::Api;
use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

const STYLE_TEXT: &str = include_str!("style.css");
const SCRIPT_TEXT: &str = include_str!("live.js");
const ICON_TEXT: &str = include_str!("icon.svg");

pub static STYLE: LazyLock<String> = LazyLock::new(|| named("style.css", STYLE_TEXT));
pub static SCRIPT: LazyLock<String> = LazyLock::new(|| named("live.js", SCRIPT_TEXT));
pub static ICON: LazyLock<String> = LazyLock::new(|| named("icon.svg", ICON_TEXT));

fn named(name: &str, text: &str) -> String {
    format!("/assets/{name}?v={}", const_hex::encode(&Sha256::digest(text)[..6]))
}

pub fn routes() -> Router<Arc<Api>> {
    let file = |text: &'static str, media: &'static str| {
        get(move || async move {
            ([(CONTENT_TYPE, media), (CACHE_CONTROL, "public, max-age=31536000, immutable")], text).into_response()
        })
    };
    Router::new()
        .route("/assets/style.css", file(STYLE_TEXT, "text/css; charset=utf-8"))
        .route("/assets/live.js", file(SCRIPT_TEXT, "text/javascript; charset=utf-8"))
        .route("/assets/icon.svg", file(ICON_TEXT, "image/svg+xml"))
        // Browsers ask for it where a page does not name its icon, or before they have read that it does. Not the file itself:
        // only what is named by its content may be kept.
        .route("/favicon.ico", get(|| async { Redirect::temporary(&ICON) }))
}
