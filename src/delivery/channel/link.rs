//! URLs as people may see them: links of a message, and addresses without what may be secret in them.

use reqwest::Url;

/// Scheme, host and port; the rest may be a token, so `/…` stands for it.
pub fn redacted(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "(an unreadable URL)".to_owned() };
    let Some(host) = url.host_str() else { return "(an unreadable URL)".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let rest = if url.path().len() > 1 || url.query().is_some() { "/…" } else { "" };
    format!("{}://{host}{port}{rest}", url.scheme())
}

/// Path and query, where there is more than a slash.
pub fn path(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{}{query}", url.path())).filter(|path| path.len() > 1)
}

/// The text where it is an http or https URL with a host: what a button or link may lead to.
pub fn web(text: &str) -> Option<&str> {
    let url = Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && text.len() <= 2_000).then_some(text)
}

/// A user's name or password as a URL holds it: `%40` is `@`.
pub fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
