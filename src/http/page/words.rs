//! Times, ages and links as people read them.

use crate::model::time::{DAY, HOUR, MINUTE, SECOND};
use crate::model::{IncidentId, Time};
use maud::{Markup, html};

/// A length of time in its two largest units at most: `3 min`, `2 h 5 min`, `4 d`.
pub fn length(millis: i64) -> String {
    let millis = millis.max(0);
    let two = |large: i64, name: &str, small: i64, small_name: &str| match millis % large / small {
        0 => format!("{} {name}", millis / large),
        rest => format!("{} {name} {rest} {small_name}", millis / large),
    };
    match millis {
        ..MINUTE => format!("{} s", millis / SECOND),
        MINUTE..HOUR => format!("{} min", millis / MINUTE),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        _ => two(DAY, "d", HOUR, "h"),
    }
}

/// `2026-11-24 02:47:35 UTC`.
fn clock(time: Time) -> String {
    let text = time.to_string();
    format!("{} {} UTC", text.get(..10).unwrap_or_default(), text.get(11..19).unwrap_or_default())
}

/// The moment in full.
pub fn moment(time: Time) -> Markup {
    html! { time datetime=(time) { (clock(time)) } }
}

/// In a row of moments: the time of day, with its date where that is another one.
pub fn time_of_day(time: Time, now: Time) -> Markup {
    let (text, today) = (clock(time), clock(now));
    let is_today = text.get(..10) == today.get(..10);
    html! {
        time datetime=(time) title=(text) {
            @if !is_today { (text.get(..11).unwrap_or_default()) }
            (text.get(11..19).unwrap_or_default())
        }
    }
}

/// How long ago; the moment in full where somebody points at it.
pub fn ago(time: Time, now: Time) -> Markup {
    html! { time datetime=(time) title=(clock(time)) { (length(now - time)) } }
}

/// How long ago or how long still.
pub fn until(time: Time, now: Time) -> Markup {
    html! {
        time datetime=(time) title=(clock(time)) {
            @if time >= now { "in " (length(time - now)) } @else { (length(now - time)) " ago" }
        }
    }
}

pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Another incident's page, where its title is not at hand.
pub fn incident(id: IncidentId) -> Markup {
    html! { a.id href=(format!("/incidents/{id}")) { (id) } }
}

/// A sentence of ours, in which names of rules' keys stand in backticks.
pub fn with_code(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

/// A path of ours with a query.
pub fn address(path: &str, pairs: &[(&str, &str)]) -> String {
    // Pairs of texts can always be written.
    format!("{path}?{}", serde_urlencoded::to_string(pairs).unwrap_or_default())
}

/// A link out, where the text is the address of a web page; any other scheme (`javascript:`) stays text.
pub fn link(address: &str) -> Markup {
    let begins = |scheme: &str| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let is_web = (begins("https://") || begins("http://")) && !address.chars().any(|c| c.is_control() || c.is_whitespace());
    html! {
        @if is_web { a href=(address) rel="noopener noreferrer nofollow" { (address) } } @else { (address) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        for (millis, text) in [
            (-5, "0 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (3_599_999, "59 min"),
            (3_600_000, "1 h"),
            (7_500_000, "2 h 5 min"),
            (86_400_000, "1 d"),
            (93_600_000, "1 d 2 h"),
        ] {
            assert_eq!(length(millis), text);
        }
    }

    #[test]
    fn only_addresses_of_web_pages_are_links() {
        for (address, is_link) in [
            ("https://grafana.example.com/d/1?a=b&c=d", true),
            ("HTTP://x/", true),
            ("javascript:alert(1)", false),
            ("JavaScript:alert(1)//https://x", false),
            (" https://x", false),
            ("https://x/ y", false),
            ("data:text/html,<script>", false),
            ("//evil.example", false),
            ("", false),
        ] {
            assert_eq!(link(address).into_string().contains("href"), is_link, "{address}");
        }
        assert!(link("https://x/\"><script>").into_string().contains("&quot;&gt;&lt;script&gt;"));
    }
}
