//! Matchers as people write them, in amtool's syntax: `service_id=api`, `region=~"eu-.*"`, `{tenant!="x",team!~a|b}`.

use crate::model::Matcher;
use std::fmt::Write;

/// The operators, the longer ones first, with what they say of `is_equal` and `is_regex`.
const OPERATORS: [(&str, bool, bool); 4] = [("=~", true, true), ("!~", false, true), ("!=", false, false), ("=", true, false)];

/// One or several, separated by commas outside of quotes, with or without braces. An error says what is wrong, and what would
/// be right.
pub fn read_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.trim();
    let inner = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(text);
    let parts: Vec<&str> = split(inner)?.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        return Err("a matcher is wanted, such as service_id=api or region=~\"eu-.*\"".to_owned());
    }
    parts.into_iter().map(read).collect()
}

/// As [`read_matchers`] reads it back, the value in quotes.
pub fn matcher_text(matcher: &Matcher) -> String {
    let kind = (matcher.is_equal, matcher.is_regex);
    let operator = OPERATORS.into_iter().find(|(_, is_equal, is_regex)| (*is_equal, *is_regex) == kind).map_or("=", |it| it.0);
    let mut text = format!("{}{operator}\"", matcher.name);
    for c in matcher.value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    // A String takes all.
    let _ = text.write_char('"');
    text
}

/// At commas that stand in no quotes.
fn split(text: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return Err(format!("{text}: a quote is not closed"));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

fn read(text: &str) -> Result<Matcher, String> {
    let wrong = |what: &str| Err(format!("{text}: {what}; write NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX"));
    let Some(at) = text.find(['=', '!']) else { return wrong("no operator") };
    let (name, rest) = text.split_at(at);
    let Some((operator, is_equal, is_regex)) = OPERATORS.into_iter().find(|(operator, ..)| rest.starts_with(operator)) else {
        return wrong("no operator");
    };
    let name = name.trim();
    if name.is_empty() || name.contains('"') {
        return wrong("no name before the operator");
    }
    let value = rest[operator.len()..].trim();
    let value = match value.strip_prefix('"') {
        None if value.contains('"') => return wrong("a quote stands inside of the value: put all of it in quotes"),
        None => value.to_owned(),
        Some(quoted) => match quoted.strip_suffix('"').and_then(unescape) {
            Some(value) => value,
            None => return wrong("the value goes on after its closing quote, or ends in a backslash"),
        },
    };
    Ok(Matcher { name: name.to_owned(), value, is_regex, is_equal })
}

/// `\"`, `\\` and `\n`; any other backslash stands for itself, as regular expressions want it.
fn unescape(text: &str) -> Option<String> {
    let mut value = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => return None,
            '\\' => match rest.next()? {
                c @ ('"' | '\\') => value.push(c),
                'n' => value.push('\n'),
                other => value.extend(['\\', other]),
            },
            c => value.push(c),
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        Ok(read_matchers(text)?.iter().map(matcher_text).collect())
    }

    #[test]
    fn reads_what_amtool_reads() {
        for (text, wanted) in [
            ("service_id=api", &[r#"service_id="api""#][..]),
            ("region=~eu-.*", &[r#"region=~"eu-.*""#]),
            ("region =~ \"eu-.*\"", &[r#"region=~"eu-.*""#]),
            ("a!=b", &[r#"a!="b""#]),
            ("a!~b|c", &[r#"a!~"b|c""#]),
            ("a=", &[r#"a="""#]),
            ("a=b=c", &[r#"a="b=c""#]),
            ("{a=\"b,c\",d!=e,}", &[r#"a="b,c""#, r#"d!="e""#]),
            ("a=~x\\.y", &[r#"a=~"x\\.y""#]),
            ("a=~\"x\\\\.y\"", &[r#"a=~"x\\.y""#]),
            ("a=~\"x\\.y\"", &[r#"a=~"x\\.y""#]),
            ("title=\"say \\\"hi\\\"\"", &[r#"title="say \"hi\"""#]),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(&wanted.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..]), "{text}");
        }
    }

    #[test]
    fn what_it_writes_it_reads_back() {
        for value in ["", "a", "a,b", "\"", "\\", "x\\.y\n", "}{=~!"] {
            for (_, is_equal, is_regex) in OPERATORS {
                let matcher = Matcher { name: "n".to_owned(), value: value.to_owned(), is_regex, is_equal };
                assert_eq!(read_matchers(&matcher_text(&matcher)), Ok(vec![matcher]));
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, says) in [
            ("", "a matcher is wanted"),
            ("{}", "a matcher is wanted"),
            ("api", "no operator"),
            ("a!b", "no operator"),
            ("=b", "no name"),
            ("a=\"b", "a quote is not closed"),
            ("a=\"b\"c", "goes on after"),
            ("a=b\"c\"", "stands inside"),
        ] {
            let error = shown(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
