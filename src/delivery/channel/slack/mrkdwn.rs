//! Slack's own notation in texts: what must be escaped, mentions, moments that show in the reader's zone.

use jiff::Timestamp;

/// `& < >` are control characters there.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A mention as rules write it: `@here`, `@oncall`, `U01ALICE`, `<!subteam^S1>`. A name of a group is found by Slack itself
/// (`link_names`); what is none of these stands there as text.
pub fn mention(text: &str) -> String {
    let words = text.split_whitespace().map(|word| match word {
        "@here" | "@channel" | "@everyone" => format!("<!{}>", &word[1..]),
        _ if is_special(word) => word.to_owned(),
        _ => match word.strip_prefix('@').unwrap_or(word) {
            id if is_user(id) => format!("<@{id}>"),
            id if is_group(id) => format!("<!subteam^{id}>"),
            _ => escaped(word),
        },
    });
    words.collect::<Vec<_>>().join(" ")
}

fn is_special(word: &str) -> bool {
    let inner = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
    inner.is_some_and(|inner| inner.starts_with(['@', '!', '#']) && !inner.contains(['<', '>']))
}

fn is_user(id: &str) -> bool {
    id.starts_with(['U', 'W']) && is_id(id)
}

fn is_group(id: &str) -> bool {
    id.starts_with('S') && is_id(id)
}

/// Slack's ids are long, in capitals and never without a digit; `SRE` is none.
fn is_id(id: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    id.len() >= 8 && id.chars().all(fits) && id.chars().any(|c| c.is_ascii_digit())
}

/// Shown in the reader's own zone; readers without Slack's date see ISO 8601.
pub fn moment(at: Timestamp) -> String {
    format!("<!date^{}^{{date_short_pretty}} at {{time}}|{at:.3}>", at.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions() {
        for (written, sent) in [
            ("@here", "<!here>"),
            ("@channel @oncall", "<!channel> @oncall"),
            ("U01ALICE9", "<@U01ALICE9>"),
            ("@U01ALICE9", "<@U01ALICE9>"),
            ("S0123ABCD", "<!subteam^S0123ABCD>"),
            ("<!subteam^S1>", "<!subteam^S1>"),
            ("SREONCALL", "SREONCALL"),
            ("<b>&", "&lt;b&gt;&amp;"),
            ("", ""),
        ] {
            assert_eq!(mention(written), sent, "{written}");
        }
    }

    #[test]
    fn a_moment_shows_in_the_readers_zone() {
        let at = "2026-03-01T09:00:00.5Z".parse().unwrap();
        assert_eq!(moment(at), "<!date^1772355600^{date_short_pretty} at {time}|2026-03-01T09:00:00.500Z>");
    }
}
