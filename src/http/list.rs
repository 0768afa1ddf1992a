//! The query of a request: parameters by name, each known, within bounds, and said at most once but for lists.

use crate::http::Problem;
use axum::http::StatusCode;
use std::ops::RangeInclusive;

/// Values of one list.
const VALUES: usize = 50;

/// Names and values as they were sent.
pub struct Query(Vec<(String, String)>);

impl Query {
    /// A parameter that the route does not know is refused: a filter that was misspelt must not show everything.
    pub fn read(query: Option<&str>, known: &[&str]) -> Result<Query, Problem> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query.unwrap_or_default())
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the query cannot be read: {error}")))?;
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let near = known.iter().filter(|_| name.len() <= 64).map(|known| (strsim::jaro_winkler(known, name), *known));
            let near = near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
            let meant = near.map_or_else(String::new, |(_, known)| format!(" (did you mean `{known}`?)"));
            let detail = format!("there is no such parameter{meant}; there are {}", known.join(", "));
            return Err(Problem::of_field(StatusCode::BAD_REQUEST, name, detail));
        }
        Ok(Query(pairs))
    }

    /// Comma lists, and the same name again; what is empty says nothing.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, Problem> {
        let values = self.0.iter().filter(|(known, _)| known == name).flat_map(|(_, value)| value.split(','));
        let texts: Vec<String> = values.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
        match texts.len() > VALUES {
            true => Err(Problem::of_field(StatusCode::BAD_REQUEST, name, format!("at most {VALUES} values are taken"))),
            false => Ok(texts),
        }
    }

    /// The same of words that there is a list of.
    pub fn names<T: Copy>(&self, name: &str, known: &[(&str, T)]) -> Result<Vec<T>, Problem> {
        let value = |text: String| {
            known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| {
                let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
                Problem::of_field(StatusCode::BAD_REQUEST, name, format!("{text:?} is none of {}", words.join(", ")))
            })
        };
        self.texts(name)?.into_iter().map(value).collect()
    }

    pub fn number(&self, name: &str, within: RangeInclusive<usize>) -> Result<Option<usize>, Problem> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value);
        let (value, more) = (values.next(), values.next());
        let wrong = |found: &str| {
            let detail = format!("a whole number from {} to {} is wanted, once, not {found:?}", within.start(), within.end());
            Problem::of_field(StatusCode::BAD_REQUEST, name, detail)
        };
        match (value, more) {
            (None, _) => Ok(None),
            (Some(_), Some(again)) => Err(wrong(again)),
            (Some(value), None) => {
                let number = value.parse().ok().filter(|number| within.contains(number) && !value.starts_with('+'));
                number.map(Some).ok_or_else(|| wrong(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["status", "service_id", "limit"];

    fn field(problem: Problem) -> String {
        assert_eq!(problem.status, StatusCode::BAD_REQUEST);
        problem.field.unwrap_or_default()
    }

    #[test]
    fn lists_names_and_numbers() {
        let query = Query::read(Some("status=a,b&status=%20a&service_id=x%2Cy&limit=7"), &KNOWN).expect("known parameters");
        assert_eq!(query.names("status", &[("a", 1), ("b", 2)]), Ok(vec![1, 2, 1]));
        assert_eq!(query.texts("service_id"), Ok(vec!["x".to_owned(), "y".to_owned()]));
        assert_eq!(query.number("limit", 1..=500), Ok(Some(7)));
        assert_eq!(query.names("status", &[("a", 1)]).map_err(field), Err("status".to_owned()));
        assert_eq!(query.number("offset", 0..=9), Ok(None));
        let empty = Query::read(Some("status=&service_id=,"), &KNOWN).expect("known parameters");
        assert_eq!((empty.names::<u8>("status", &[]), empty.texts("service_id")), (Ok(vec![]), Ok(vec![])));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(
            Query::read(Some("statsu=a"), &KNOWN).map(drop).map_err(|problem| problem.detail.contains("`status`")),
            Err(true)
        );
        for wrong in ["limit=0", "limit=501", "limit=-1", "limit=+5", "limit=1.5", "limit=x", "limit=", "limit=1&limit=2"] {
            let query = Query::read(Some(wrong), &KNOWN).expect("known parameters");
            assert_eq!(query.number("limit", 1..=500).map_err(field), Err("limit".to_owned()), "{wrong}");
        }
        let many = format!("service_id={}", "x,".repeat(51));
        let query = Query::read(Some(&many), &KNOWN).expect("known parameters");
        assert_eq!(query.texts("service_id").map_err(field), Err("service_id".to_owned()));
    }
}
