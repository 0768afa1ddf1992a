//! Tells a page that is open that it should look again: server-sent events, without content.
//!
//! One task listens to the board while anybody looks, gathers what changed, and passes it on a few times a second, so that a
//! storm of alerts costs the streams nothing. Who is too slow misses ticks and is told to look.

use crate::board::Change;
use crate::http::list::Query;
use crate::http::page::frame::Failed;
use crate::http::{Api, Gate, Problem};
use crate::metrics as names;
use crate::model::IncidentId;
use axum::body::{Body, Bytes};
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use metrics::gauge;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::Instant;

/// Streams at a time: with them a quarter of the connections is left to others.
const STREAMS: usize = 3_072;
/// Ticks that a stream may be behind.
const TICKS: usize = 16;
/// Incidents that a tick names; past that it is about all.
const NAMED: usize = 1_024;
/// Between two ticks.
const PACE: Duration = Duration::from_millis(250);
/// How soon a stream notices that the process is to end.
const PULSE: Duration = Duration::from_secs(1);
/// Pulses between two signs of life, which also find out who has gone.
const SILENT: u32 = 15;

const BEGIN: &str = "retry: 3000\n: incidentd\n\n";
const CHANGED: &str = "event: changed\ndata: look again\n\n";
const ALIVE: &str = ": alive\n\n";

/// What has changed since the last tick.
#[derive(Clone, Debug, Default, PartialEq)]
struct Tick {
    /// More than can be named.
    all: bool,
    incidents: BTreeSet<IncidentId>,
    silences: bool,
}

pub struct Live {
    places: Arc<Semaphore>,
    ticks: broadcast::Sender<Arc<Tick>>,
    /// Is somebody listening to the board?
    runs: Mutex<bool>,
}

impl Default for Live {
    fn default() -> Live {
        Live { places: Arc::new(Semaphore::new(STREAMS)), ticks: broadcast::channel(TICKS).0, runs: Mutex::default() }
    }
}

/// What a page shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Topic {
    Incidents,
    Incident(IncidentId),
    Silences,
}

impl Topic {
    fn is_touched(self, tick: &Tick) -> bool {
        match self {
            Topic::Incidents => tick.all || !tick.incidents.is_empty(),
            Topic::Incident(id) => tick.all || tick.incidents.contains(&id),
            Topic::Silences => tick.all || tick.silences,
        }
    }
}

impl Tick {
    fn add(&mut self, change: Result<Change, RecvError>) {
        match change {
            Ok(Change::Incident(id)) if self.incidents.len() < NAMED => drop(self.incidents.insert(id)),
            Ok(Change::Silence(_)) => self.silences = true,
            Ok(Change::Incident(_)) | Err(_) => self.all = true,
        }
    }
}

/// Listens until nobody looks any more.
async fn relay(api: Arc<Api>, mut changes: broadcast::Receiver<Change>) {
    let live = &api.pages.live;
    loop {
        let mut tick = Tick::default();
        match tokio::time::timeout(PULSE, changes.recv()).await {
            Ok(change) => tick.add(change),
            Err(_) => {
                let mut runs = live.runs.lock().unwrap_or_else(PoisonError::into_inner);
                if live.ticks.receiver_count() == 0 {
                    *runs = false;
                    return;
                }
                continue;
            }
        }
        gather(&mut changes, &mut tick).await;
        // Fails where the last stream has just gone.
        let _ = live.ticks.send(Arc::new(tick));
    }
}

async fn gather(changes: &mut broadcast::Receiver<Change>, tick: &mut Tick) {
    tokio::time::sleep(PACE).await;
    loop {
        match changes.try_recv() {
            Ok(change) => tick.add(Ok(change)),
            Err(TryRecvError::Lagged(missed)) => tick.add(Err(RecvError::Lagged(missed))),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return,
        }
    }
}

/// One page's stream; its place is given back when it is dropped.
struct Stream {
    topic: Topic,
    ticks: broadcast::Receiver<Arc<Tick>>,
    gate: Gate,
    begun: bool,
    spoke: Instant,
    _place: Place,
}

struct Place(#[allow(dead_code, reason = "held until the stream ends")] OwnedSemaphorePermit);

impl Place {
    fn new(permit: OwnedSemaphorePermit) -> Place {
        gauge!(names::HTTP_EVENT_STREAMS).increment(1.0);
        Place(permit)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        gauge!(names::HTTP_EVENT_STREAMS).decrement(1.0);
    }
}

impl Stream {
    /// The next text; `None` where the process is to end.
    async fn next(&mut self) -> Option<&'static str> {
        if !std::mem::replace(&mut self.begun, true) {
            return Some(BEGIN);
        }
        loop {
            if self.gate.is_closed() {
                return None;
            }
            let text = match tokio::time::timeout(PULSE, self.ticks.recv()).await {
                Ok(Ok(tick)) if self.topic.is_touched(&tick) => CHANGED,
                Ok(Err(RecvError::Lagged(_))) => CHANGED,
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Ok(_)) | Err(_) if self.spoke.elapsed() < PULSE * SILENT => continue,
                Ok(Ok(_)) | Err(_) => ALIVE,
            };
            self.spoke = Instant::now();
            return Some(text);
        }
    }
}

/// `?incident=ID`, `?of=silences`, or the incidents.
fn topic(query: Option<&str>) -> Result<Topic, Problem> {
    let query = Query::read(query, &["incident", "of"])?;
    if let Some(id) = query.texts("incident")?.first() {
        return crate::http::incidents::read_id(id).map(Topic::Incident);
    }
    let of = query.names("of", &[("incidents", Topic::Incidents), ("silences", Topic::Silences)])?;
    Ok(of.first().copied().unwrap_or(Topic::Incidents))
}

pub async fn stream(
    State(api): State<Arc<Api>>,
    Extension(gate): Extension<Gate>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let topic = topic(query.as_deref())?;
    let live = &api.pages.live;
    let permit = Arc::clone(&live.places).try_acquire_owned().map_err(|_| {
        let detail = format!("{STREAMS} pages are being kept up to date: this one shows changes when it is reloaded");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(30)
    })?;
    let mut runs = live.runs.lock().unwrap_or_else(PoisonError::into_inner);
    // Under the lock: a relay that is about to end sees this one, or has ended.
    let ticks = live.ticks.subscribe();
    if !std::mem::replace(&mut *runs, true) {
        // It listens from now on, not from when it first runs.
        tokio::spawn(relay(Arc::clone(&api), api.board.listen()));
    }
    drop(runs);
    let stream = Stream { topic, ticks, gate, begun: false, spoke: Instant::now(), _place: Place::new(permit) };
    let body = stream::unfold(stream, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from_static(text.as_bytes())), stream))
    });
    Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], Body::from_stream(body)).into_response())
}

/// What a page asks of its stream.
pub fn address(incident: Option<IncidentId>) -> String {
    incident.map_or_else(|| "/live".to_owned(), |id| format!("/live?incident={id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::Board;

    fn id(hash: u64) -> IncidentId {
        IncidentId { partition: 0, hash }
    }

    #[tokio::test(start_paused = true)]
    async fn a_storm_is_one_tick_and_nothing_is_missed() {
        let (sender, mut changes) = broadcast::channel(2_048);
        let mut tick = Tick::default();
        for hash in 0..10 {
            sender.send(Change::Incident(id(hash % 3))).expect("a listener");
        }
        gather(&mut changes, &mut tick).await;
        assert_eq!(tick, Tick { incidents: [id(0), id(1), id(2)].into(), ..Tick::default() });
        assert!(Topic::Incident(id(2)).is_touched(&tick) && Topic::Incidents.is_touched(&tick));
        assert!(!Topic::Incident(id(3)).is_touched(&tick) && !Topic::Silences.is_touched(&tick));
        for hash in 0..5_000 {
            sender.send(Change::Incident(id(hash))).expect("a listener");
        }
        let mut tick = Tick::default();
        gather(&mut changes, &mut tick).await;
        assert!(tick.all && tick.incidents.len() <= NAMED);
        assert!(Topic::Incident(id(9_999)).is_touched(&tick) && Topic::Silences.is_touched(&tick));
    }

    #[test]
    fn a_stream_says_what_it_is_about() {
        assert_eq!(topic(None), Ok(Topic::Incidents));
        assert_eq!(topic(Some("of=silences")), Ok(Topic::Silences));
        assert_eq!(topic(Some("incident=inc_00000000000000000007")), Ok(Topic::Incident(id(7))));
        for wrong in ["incident=x", "of=all", "x=1"] {
            assert!(topic(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_board_is_what_it_listens_to() {
        let board = Board::default();
        let mut changes = board.listen();
        board.put_silence(br#"{"id":"s","matchers":[],"starts_at":"2026-01-01T00:00:00Z","ends_at":"2026-01-02T00:00:00Z","updated_at":"2026-01-01T00:00:00Z"}"#).expect("our own JSON");
        let mut tick = Tick::default();
        tick.add(changes.try_recv().map_err(|_| RecvError::Closed));
        assert!(Topic::Silences.is_touched(&tick) && !Topic::Incidents.is_touched(&tick));
    }
}
