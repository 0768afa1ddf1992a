//! Numbers as the seed's JavaScript sees them, for fingerprints and scores must equal its own (SPEC 4.1, 4.2).

use serde_json::Value;

/// A JSON value as a number: numbers and numeric strings are, everything else is not.
pub fn numeric(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().filter(|n| n.is_finite()),
        Value::String(text) => numeric_text(text),
        _ => None,
    }
}

/// A string as `Number(text)` reads it, where that is finite; an empty one is no number.
pub fn numeric_text(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    for (prefix, radix) in [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            return u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+')).map(|n| n as f64);
        }
    }
    // Rust also reads "inf" and "nan".
    if text.bytes().any(|b| b.is_ascii_alphabetic() && b != b'e' && b != b'E') {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// `Math.round`: halves go up, also below zero.
pub fn round(x: f64) -> f64 {
    let floor = x.floor();
    if x - floor >= 0.5 { floor + 1.0 } else { floor }
}

/// `String(x)` of a finite integer-valued number.
pub fn integer_text(x: f64) -> String {
    if x == 0.0 {
        "0".to_owned() // also for −0
    } else if x.abs() < 9_007_199_254_740_992.0 {
        (x as i64).to_string() // an integer is printed four times as fast, and nearly all are small
    } else if x.abs() < 1e21 {
        format!("{x}")
    } else {
        format!("{x:e}").replace('e', "e+")
    }
}

/// A JSON number that is written without `.0` where it is an integer, as JavaScript would.
pub fn json(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 9_007_199_254_740_992.0 { Value::from(x as i64) } else { Value::from(x) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_javascript_does() {
        for (x, text) in [
            (-0.5, "0"),
            (0.4, "0"),
            (2.5, "3"),
            (-2.5, "-2"),
            (0.499_999_999_999_999_94, "0"),
            (1e21, "1e+21"),
            (1.5e25, "1.5e+25"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (-1e21, "-1e+21"),
        ] {
            assert_eq!(integer_text(round(x)), text, "{x}");
        }
    }

    #[test]
    fn reads_numeric_strings_only() {
        for (text, value) in [
            ("5", Some(5.0)),
            (" 5.5 ", Some(5.5)),
            ("1e3", Some(1000.0)),
            (".5", Some(0.5)),
            ("0x10", Some(16.0)),
            ("", None),
            ("inf", None),
            ("NaN", None),
            ("5ms", None),
            ("1e999", None),
        ] {
            assert_eq!(numeric_text(text), value, "{text:?}");
        }
    }
}
