//! Request bodies: read whole, within bounds of size, time and of what all of them together may hold.

use crate::http::Problem;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// For a body to come whole.
const TIME: Duration = Duration::from_secs(5);
/// What all bodies that are being read or served may hold, in KiB.
const ALL_KIB: usize = 64 << 10;
/// A body that is too large is read off for so long and so far, that its sender reads our answer and not a broken connection; no
/// faster than so many bytes a second, for what nobody wants is not to take a processor from who is paged.
const LINGER: Duration = Duration::from_secs(16);
const LINGER_BYTES: usize = 256 << 20;
const LINGER_PACE: usize = 16 << 20;

/// The room that all bodies share.
#[derive(Clone)]
pub struct Bodies(Arc<Semaphore>);

/// A body, and the room that it takes until it is dropped.
pub struct Payload {
    pub bytes: Vec<u8>,
    room: Option<OwnedSemaphorePermit>,
}

/// What a body has to say of itself.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `application/json`, so that no web page can send one without asking the browser's user agent first.
    Json,
    Any,
}

impl Default for Bodies {
    fn default() -> Bodies {
        Bodies(Arc::new(Semaphore::new(ALL_KIB)))
    }
}

impl Bodies {
    /// At most `most` bytes; `limit` is the setting that says so.
    pub async fn read(&self, request: Request, most: usize, limit: &str, kind: Kind) -> Result<Payload, Problem> {
        let (parts, mut body) = request.into_parts();
        if !is_plain(&parts.headers) {
            linger(body);
            let detail = "no body that is compressed or encoded is read: send it as it is";
            return Err(Problem::of_field(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding", detail));
        }
        let too_large = || {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body may have at most {most} bytes ({limit}): send less"))
        };
        if length(&parts.headers).is_some_and(|length| length > most as u64) {
            linger(body);
            return Err(too_large());
        }
        let deadline = Instant::now() + TIME;
        let mut payload = Payload { bytes: Vec::new(), room: None };
        loop {
            let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(Some(Err(error))) => {
                    return Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body could not be read: {error}")));
                }
                Ok(None) => break,
                Err(_) => {
                    let detail = format!("the body did not come whole within {} s", TIME.as_secs());
                    return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            if payload.bytes.len() + data.len() > most {
                linger(body);
                return Err(too_large());
            }
            payload.push(&data, &self.0)?;
        }
        if kind == Kind::Json && !payload.bytes.is_empty() && !is_json(&parts.headers) {
            let detail = "say `application/json`: no other form is read";
            return Err(Problem::of_field(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", detail));
        }
        Ok(payload)
    }
}

impl Payload {
    fn push(&mut self, data: &Bytes, room: &Arc<Semaphore>) -> Result<(), Problem> {
        let wanted = (self.bytes.len() + data.len()).div_ceil(1_024);
        let more = wanted.saturating_sub(self.room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if more > 0 {
            let busy = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many bodies are being read: try again").after(1);
            let more = Arc::clone(room).try_acquire_many_owned(u32::try_from(more).unwrap_or(u32::MAX)).map_err(|_| busy())?;
            match &mut self.room {
                Some(room) => room.merge(more),
                None => self.room = Some(more),
            }
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// The JSON object; an empty body is an empty one.
    pub fn object(&self) -> Result<Map<String, Value>, Problem> {
        if self.bytes.is_empty() {
            return Ok(Map::new());
        }
        match serde_json::from_slice(&self.bytes) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the body: a JSON object is wanted")),
            Err(error) => Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}"))),
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_plain(headers: &HeaderMap) -> bool {
    headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

/// Reads off what still comes, beside the answer.
pub fn linger(mut body: Body) {
    tokio::spawn(tokio::time::timeout(LINGER, async move {
        let (begun, mut read) = (Instant::now(), 0);
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > LINGER_BYTES {
                break;
            }
            tokio::time::sleep_until(begun + Duration::from_secs(1).mul_f64(read as f64 / LINGER_PACE as f64)).await;
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn request(length: usize, content_type: &str) -> Request {
        Request::post("/").header("content-type", content_type).body(Body::from(vec![b'1'; length])).expect("a request")
    }

    #[tokio::test]
    async fn a_body_is_bounded_by_itself_and_with_all_others() {
        let bodies = Bodies::default();
        let read = |length, content_type| bodies.read(request(length, content_type), 20 << 20, "limits.x", Kind::Json);
        let status =
            |result: Result<Payload, Problem>| result.map(|payload| payload.bytes.len()).map_err(|problem| problem.status);
        assert_eq!(status(read(5, "application/json; charset=utf-8").await), Ok(5));
        assert_eq!(status(read(0, "").await), Ok(0));
        assert_eq!(status(read(5, "text/plain").await), Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        assert_eq!(status(read((20 << 20) + 1, "application/json").await), Err(StatusCode::PAYLOAD_TOO_LARGE));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(read(20 << 20, "application/json").await.unwrap_or_else(|problem| panic!("{problem:?}")));
        }
        assert_eq!(status(read(20 << 20, "application/json").await), Err(StatusCode::SERVICE_UNAVAILABLE));
        held.pop();
        assert_eq!(status(read(20 << 20, "application/json").await), Ok(20 << 20));
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_wants_is_read_off_at_leisure_and_not_for_ever() {
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        let frame = move || {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(Bytes::from(vec![0; 1 << 20]))
        };
        linger(Body::from_stream(futures_util::stream::repeat_with(frame)));
        tokio::time::sleep(Duration::from_secs(4)).await;
        let early = read.load(Ordering::Relaxed);
        assert!((63..=66).contains(&early), "{early} MiB in 4 s");
        tokio::time::sleep(Duration::from_secs(100)).await;
        let all = read.load(Ordering::Relaxed);
        assert!((255..=258).contains(&all), "{all} MiB in all");
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_given_up() {
        struct Never;
        impl hyper::body::Body for Never {
            type Data = Bytes;
            type Error = std::convert::Infallible;
            fn poll_frame(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
                std::task::Poll::Pending
            }
        }
        let request = Request::post("/").body(Body::new(Never)).expect("a request");
        let result = Bodies::default().read(request, 10, "limits.x", Kind::Any).await;
        assert_eq!(result.err().map(|problem| problem.status), Some(StatusCode::REQUEST_TIMEOUT));
    }
}
