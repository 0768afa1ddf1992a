//! What all pages have in common: head, navigation, landmarks; and the page that says what went wrong.

use crate::http::Problem;
use crate::http::access::Caller;
use crate::http::page::assets::{ICON, SCRIPT, STYLE};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

/// Which part of the navigation a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Incidents,
    Silences,
    None,
}

pub struct Frame<'a> {
    pub title: &'a str,
    pub part: Part,
    /// Who is signed in, where there are tokens.
    pub caller: Option<&'a Caller>,
    /// Where the page hears of changes, if it shows what changes.
    pub live: Option<String>,
}

impl Frame<'_> {
    pub fn page(&self, status: StatusCode, body: &Markup) -> Response {
        (status, Html(self.html(body).into_string())).into_response()
    }

    fn html(&self, body: &Markup) -> Markup {
        let name = self.caller.and_then(|caller| caller.0.as_deref());
        let current = |part: Part| (self.part == part).then_some("page");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " · incidentd" }
                    link rel="icon" href=(*ICON);
                    link rel="stylesheet" href=(*STYLE);
                    @if self.live.is_some() { script src=(*SCRIPT) defer {} }
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        a.brand href="/" { "incidentd" }
                        nav aria-label="Main" {
                            a href="/" aria-current=[current(Part::Incidents)] { "Incidents" }
                            a href="/silences" aria-current=[current(Part::Silences)] { "Silences" }
                        }
                        @if self.live.is_some() { span #live-state role="status" {} }
                        @if let Some(name) = name {
                            form.who method="post" action="/sign-out" {
                                span { "Signed in as " b { (name) } }
                                button { "Sign out" }
                            }
                        }
                    }
                    main #main tabindex="-1" data-live=[self.live.as_deref()] { (body) }
                }
            }
        }
    }
}

/// What went wrong, as a page.
#[derive(Debug)]
pub struct Failed(pub Problem);

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Failed {
        Failed(problem)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Failed(problem) = self;
        let title = problem.status.canonical_reason().unwrap_or("Error");
        let body = html! {
            h1 { (title) }
            (told(&problem))
            p { a href="/" { "To the open incidents" } }
        };
        Frame { title, part: Part::None, caller: None, live: None }.page(problem.status, &body)
    }
}

/// A problem in a page: told at once to who cannot see it appear.
pub fn told(problem: &Problem) -> Markup {
    html! { p.problem role="alert" { (problem.detail) } }
}
