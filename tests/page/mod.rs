//! The pages for people in a real Chromium, over a real service on a real broker (SPEC 6, issue 6).

mod browser;
mod people;
mod pictures;
mod scene;
mod strangers;
