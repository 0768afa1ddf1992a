//! Where a JSON text nests too deep. A scan of its own, for a parser that recurses must not be asked (SPEC 6 «Limits»).

/// How much of a path an error shows.
const SHOWN: usize = 160;

/// The error naming the place where `text` opens an object or array on a level deeper than `most`; `None` where it never does.
/// It need not be JSON otherwise.
pub fn too_deep(text: &str, most: usize) -> Option<String> {
    let bytes = text.as_bytes();
    let mut open: Vec<Step> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let start = at + 1;
                at = end_of_string(bytes, start);
                if let Some(Step::Key(key)) = open.last_mut() {
                    *key = (start, at);
                }
            }
            b'{' | b'[' if open.len() >= most => return Some(error(text, &open, most)),
            b'{' => open.push(Step::Key((0, 0))),
            b'[' => open.push(Step::Index(0)),
            b'}' | b']' => {
                open.pop();
            }
            b',' => {
                if let Some(Step::Index(index)) = open.last_mut() {
                    *index += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where in an open object or array the scan stands.
enum Step {
    /// The bytes of the last string in this object: its last key, unless a string is the value.
    Key((usize, usize)),
    Index(usize),
}

/// The place of the closing quote, or the end.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cold]
fn error(text: &str, open: &[Step], most: usize) -> String {
    let mut path = String::new();
    for step in open {
        match step {
            // The ends are those of a string, so they lie on quotes and never inside a character.
            Step::Key((start, end)) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(text.get(*start..*end).unwrap_or_default());
            }
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
        if path.len() > SHOWN {
            break;
        }
    }
    if let Some((at, _)) = path.char_indices().nth(SHOWN) {
        path.truncate(at);
        path.push('…');
    }
    format!("{path}: nested deeper than {most} levels (limits.nesting)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_levels_and_names_the_place() {
        for (text, most, place) in [
            (r#"{"a":{"b":1}}"#, 2, None),
            (r#"{"a":{"b":1}}"#, 1, Some("a: ")),
            (r#"{"x":"{[{[","a":{"b\"}":[1,"]",{}]}}"#, 3, Some(r#"a.b\"}[2]: "#)),
            (r#"[[],[],[[]]]"#, 2, Some("[2][0]: ")),
            (r#"{"never closed"#, 1, None),
            (r#"}}]]"#, 1, None),
            ("\"\\", 1, None),
        ] {
            let found = too_deep(text, most);
            assert_eq!(found.is_some(), place.is_some(), "{text}");
            assert!(found.unwrap_or_default().starts_with(place.unwrap_or_default()), "{text}");
        }
        let tower = "{\"level\":".repeat(10_000);
        let error = too_deep(&tower, 32).expect("ten thousand levels");
        assert!(error.starts_with("level.level.") && error.chars().count() < 250, "{error}");
    }
}
