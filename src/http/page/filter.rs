//! Which incidents the list shows: the query, what makes it (chips, a form), and the ways to the pages before and after.

use crate::board::{self, Board};
use crate::http::Problem;
use crate::http::list::Query;
use crate::model::{Environment, Severity, Status};
use maud::{Markup, html};
use serde_urlencoded::to_string;

/// Of one page.
const LIMIT: usize = 50;

/// As it was asked for; without any status those that fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub filter: board::Filter,
    pub offset: usize,
    pub limit: usize,
}

fn shows_only_open(filter: &board::Filter) -> bool {
    Status::ALL.into_iter().all(|status| status.fires() == filter.statuses.contains(&status))
}

impl Asked {
    /// The parameters of `GET /v1/incidents`.
    pub fn read(query: Option<&str>) -> Result<Asked, Problem> {
        let query = Query::read(query, &["status", "severity", "service_id", "environment", "limit", "offset"])?;
        let mut statuses = query.names("status", &Status::ALL.map(|it| (it.name(), it)))?;
        if statuses.is_empty() {
            statuses = Status::ALL.into_iter().filter(|status| status.fires()).collect();
        }
        let filter = board::Filter {
            statuses,
            severities: query.names("severity", &Severity::ALL.map(|it| (it.name(), it)))?,
            environments: query.names("environment", &Environment::ALL.map(|it| (it.name(), it)))?,
            services: query.texts("service_id")?,
        };
        // The field is sent along when it is empty, too.
        let limit = query.number("limit", 1..=500)?.unwrap_or(LIMIT);
        Ok(Asked { filter, offset: query.number("offset", 0..=1_000_000_000)?.unwrap_or(0), limit })
    }

    /// The same from another place on.
    fn at(&self, offset: usize) -> String {
        Asked::address(&self.filter, offset, self.limit)
    }

    /// The most urgent first: how many there are of each severity, and the way to them alone, or back to all.
    pub fn severities(&self, board: &Board) -> Markup {
        let only = |severity| board::Filter { severities: vec![severity], ..self.filter.clone() };
        html! {
            nav.chips aria-label="Severities" {
                @for severity in Severity::ALL {
                    @let total = board.list(&only(severity), 0, 0).total;
                    @let chosen = self.filter.severities.contains(&severity);
                    @let next = if chosen { board::Filter { severities: Vec::new(), ..self.filter.clone() } } else { only(severity) };
                    a.chip.(severity.name()).none[total == 0] href=(Asked::address(&next, 0, self.limit)) aria-current=[chosen.then_some("true")] {
                        b { (total) } " " (severity.name())
                    }
                }
            }
        }
    }

    fn address(filter: &board::Filter, offset: usize, limit: usize) -> String {
        let mut pairs: Vec<(&str, String)> = Vec::new();
        if !shows_only_open(filter) {
            pairs.extend(filter.statuses.iter().map(|it| ("status", it.name().to_owned())));
        }
        pairs.extend(filter.severities.iter().map(|it| ("severity", it.name().to_owned())));
        pairs.extend(filter.environments.iter().map(|it| ("environment", it.name().to_owned())));
        pairs.extend(filter.services.iter().map(|it| ("service_id", it.clone())));
        if limit != LIMIT {
            pairs.push(("limit", limit.to_string()));
        }
        if offset > 0 {
            pairs.push(("offset", offset.to_string()));
        }
        match pairs.is_empty() {
            true => "/".to_owned(),
            // Pairs of texts can always be written.
            false => format!("/?{}", to_string(&pairs).unwrap_or_default()),
        }
    }

    /// Is it another choice than all that is open?
    pub fn is_narrowed(&self) -> bool {
        let board::Filter { severities, environments, services, .. } = &self.filter;
        !shows_only_open(&self.filter) || !severities.is_empty() || !environments.is_empty() || !services.is_empty()
    }

    pub fn form(&self) -> Markup {
        let group = |legend: &str, name: &str, words: Vec<(&'static str, bool)>| {
            html! {
                fieldset {
                    legend { (legend) }
                    @for (word, checked) in words {
                        label.choice {
                            input type="checkbox" id=(format!("{name}-{word}")) name=(name) value=(word) checked[checked];
                            (word)
                        }
                    }
                }
            }
        };
        let board::Filter { statuses, severities, environments, services } = &self.filter;
        html! {
            details.filters #filters open[self.is_narrowed()] {
                summary { "Filter" }
                form method="get" action="/" role="search" aria-label="Filter incidents" {
                    (group("Status", "status", Status::ALL.map(|it| (it.name(), statuses.contains(&it))).to_vec()))
                    (group("Severity", "severity", Severity::ALL.map(|it| (it.name(), severities.contains(&it))).to_vec()))
                    (group("Environment", "environment", Environment::ALL.map(|it| (it.name(), environments.contains(&it))).to_vec()))
                    fieldset {
                        legend { label for="service_id" { "Services" } }
                        input #service_id name="service_id" value=(services.join(", ")) placeholder="api, llm-gateway" autocomplete="off";
                    }
                    div.actions {
                        button.primary { "Show" }
                        @if self.is_narrowed() { a.button href="/" { "All that are open" } }
                    }
                }
            }
        }
    }

    pub fn pages(&self, total: usize, shown: usize) -> Markup {
        let end = self.offset + shown;
        html! {
            @if self.offset > 0 || end < total {
                nav.pages aria-label="Pages" {
                    @if self.offset > 0 { a.button rel="prev" href=(self.at(self.offset.saturating_sub(self.limit))) { "Newer" } }
                    span { (self.offset + shown.min(1)) "–" (end) " of " (total) }
                    @if end < total { a.button rel="next" href=(self.at(end)) { "Older" } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_status_what_fires_is_shown_and_pages_keep_the_filter() {
        let asked = Asked::read(None).expect("no parameter");
        assert_eq!(asked.filter.statuses.len(), 4);
        assert!(!asked.is_narrowed());
        let asked =
            Asked::read(Some("status=closed&status=resolved&severity=high,low&service_id=a%26b&offset=100")).expect("known");
        assert!(asked.is_narrowed());
        let older = asked.at(150);
        assert_eq!(older, "/?status=closed&status=resolved&severity=high&severity=low&service_id=a%26b&offset=150");
        assert_eq!(Asked::read(older.strip_prefix("/?")).map(|again| again.filter), Ok(asked.filter));
        assert!(Asked::read(Some("statsu=open")).is_err());
        assert_eq!(Asked::read(None).map(|asked| asked.at(0)), Ok("/".to_owned()));
    }
}
