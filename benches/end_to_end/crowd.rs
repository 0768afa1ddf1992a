//! Clients of every bad sort at once, in a runtime of their own: what they are answered is counted.

use crate::wire::Wire;
use std::collections::BTreeMap;
use std::io::Result;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep, sleep_until};

/// Each sends an alert a second, and waits for its answer.
const SENDERS: usize = 1_000;
/// Each has a page open.
const STREAMS: usize = 1_000;
/// Each sends a byte a second, half of them of a head, half of a body.
const SLOW: usize = 500;
/// Each tries a token that is none, once a second.
const STRANGERS: usize = 50;
/// Each sends a head that is too large, ten times a second: too many headers, or one that is too long.
const FLOODS: usize = 2;
/// Each sends bodies of 100 MB, one every other second: with their length told, or in pieces.
const HUGE: usize = 2;
const HUGE_BYTES: usize = 100_000_000;

const SECOND: Duration = Duration::from_secs(1);

/// Who came, and what they were answered; 0: nothing, the connection was closed.
pub type Answers = BTreeMap<(&'static str, u16), u64>;

struct Target {
    address: String,
    /// Which `Authorization: Bearer` and which cookie open the door.
    token: &'static str,
    answers: Mutex<Answers>,
    streams: AtomicUsize,
}

/// All of them, until dropped.
pub struct Crowd {
    runtime: Option<Runtime>,
    target: Arc<Target>,
}

impl Crowd {
    /// Returns once all streams are open.
    pub fn gather(address: &str, token: &'static str) -> Crowd {
        crate::support::allow_many_files();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let target =
            Arc::new(Target { address: address.to_owned(), token, answers: Mutex::default(), streams: AtomicUsize::new(0) });
        let spread = |n: usize, of: usize| SECOND * n as u32 / of as u32;
        let asked = std::env::var("INCIDENTD_BENCH_CROWD").unwrap_or_default();
        let of = |name: &str, count: usize| if asked.is_empty() || asked.split(',').any(|part| part == name) { count } else { 0 };
        let streams = of("streams", STREAMS);
        for n in 0..streams {
            let target = Arc::clone(&target);
            runtime.spawn(async move { again(&target, "stream", SECOND, spread(n, STREAMS), look).await });
        }
        for n in 0..of("senders", SENDERS) {
            let target = Arc::clone(&target);
            runtime.spawn(async move { send(&target, n, spread(n, SENDERS)).await });
        }
        for n in 0..of("slow", SLOW) {
            let (target, head) = (Arc::clone(&target), n % 2 == 0);
            let crawl = move |target: Arc<Target>| crawl(target, head);
            runtime.spawn(async move { again(&target, "byte by byte", SECOND, spread(n, SLOW), crawl).await });
        }
        for n in 0..of("strangers", STRANGERS) {
            let target = Arc::clone(&target);
            runtime.spawn(async move { again(&target, "wrong token", SECOND, spread(n, STRANGERS), knock).await });
        }
        for n in 0..of("floods", FLOODS) {
            let (target, many) = (Arc::clone(&target), n % 2 == 0);
            let flood = move |target: Arc<Target>| flood(target, many);
            runtime.spawn(async move { again(&target, "header flood", SECOND / 10, spread(n, FLOODS), flood).await });
        }
        for n in 0..of("huge", HUGE) {
            let (target, told) = (Arc::clone(&target), n % 2 == 0);
            let bury = move |target: Arc<Target>| bury(target, told);
            runtime.spawn(async move { again(&target, "100 MB", SECOND * 2, spread(n, HUGE), bury).await });
        }
        crate::support::wait_until("all streams are open", Duration::from_secs(30), || {
            (target.streams.load(Ordering::Relaxed) == streams).then_some(())
        });
        Crowd { runtime: Some(runtime), target }
    }

    pub fn answers(&self) -> Answers {
        self.target.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(SECOND);
        }
    }
}

impl Target {
    fn count(&self, who: &'static str, answer: Result<u16>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((who, answer.unwrap_or(0))).or_default() += 1;
    }
}

/// Does it again and again, at most once in `every`.
async fn again<F>(target: &Arc<Target>, who: &'static str, every: Duration, first: Duration, act: impl Fn(Arc<Target>) -> F)
where
    F: Future<Output = Result<u16>>,
{
    let mut next = Instant::now() + first;
    loop {
        sleep_until(next).await;
        let answer = act(Arc::clone(target)).await;
        target.count(who, answer);
        next = (next + every).max(Instant::now());
    }
}

/// One connection, kept: the same few alerts, which merge.
async fn send(target: &Target, n: usize, first: Duration) {
    let body = format!(
        r#"{{"service_id":"crowd-{}","title":"from the crowd","severity":"low","labels":{{"metric_type":"crowd-{}"}}}}"#,
        n % 50,
        n % 7
    );
    let request = format!(
        "POST /v1/incidents HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        target.token,
        body.len()
    );
    let (mut wire, mut next) = (None, Instant::now() + first);
    loop {
        sleep_until(next).await;
        if wire.is_none() {
            wire = Wire::open(&target.address).await.ok();
        }
        if let Some(open) = &mut wire {
            let answer = open.ask(request.as_bytes()).await;
            if answer.is_err() {
                wire = None;
            }
            target.count("alert", answer);
        }
        next = (next + SECOND).max(Instant::now());
    }
}

/// A page that is kept up to date.
async fn look(target: Arc<Target>) -> Result<u16> {
    let mut wire = Wire::open(&target.address).await?;
    let cookie = const_hex::encode(target.token);
    let request = format!("GET /live HTTP/1.1\r\nhost: localhost\r\ncookie: incidentd_token={cookie}\r\n\r\n");
    let status = wire.ask(request.as_bytes()).await?;
    if status != 200 {
        return Ok(status);
    }
    target.count("stream", Ok(status));
    target.streams.fetch_add(1, Ordering::Relaxed);
    let ended = loop {
        if let Err(error) = wire.pour().await {
            break error;
        }
    };
    target.streams.fetch_sub(1, Ordering::Relaxed);
    Err(ended)
}

async fn crawl(target: Arc<Target>, head: bool) -> Result<u16> {
    let mut wire = Wire::open(&target.address).await?;
    if head {
        wire.send(b"GET /v1/incidents HTTP/1.1\r\nhost: localhost\r\nx-slow: ").await?;
    } else {
        wire.send(&webhook(&target, "content-length: 1000")).await?;
    }
    loop {
        tokio::select! {
            answer = wire.answer() => return answer,
            () = sleep(SECOND) => {}
        }
        wire.send(b"a").await?;
    }
}

async fn knock(target: Arc<Target>) -> Result<u16> {
    let mut wire = Wire::open(&target.address).await?;
    wire.ask(b"GET /v1/incidents HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer nobody's\r\nconnection: close\r\n\r\n")
        .await
}

async fn flood(target: Arc<Target>, many: bool) -> Result<u16> {
    let mut wire = Wire::open(&target.address).await?;
    let headers = match many {
        true => (0..500).map(|n| format!("x-{n}: a\r\n")).collect(),
        false => format!("x-long: {}\r\n", "a".repeat(100_000)),
    };
    let request = format!("GET /v1/incidents HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
    // Who is not heard out may be answered nevertheless.
    let sent = wire.send(request.as_bytes()).await;
    wire.answer().await.or_else(|error| sent.and(Err(error)))
}

async fn bury(target: Arc<Target>, told: bool) -> Result<u16> {
    let mut wire = Wire::open(&target.address).await?;
    let length = if told { format!("content-length: {HUGE_BYTES}") } else { "transfer-encoding: chunked".to_owned() };
    wire.send(&webhook(&target, &length)).await?;
    let piece = vec![b'x'; 100_000];
    let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece.as_slice(), b"\r\n".as_slice()].concat();
    let piece = if told { &piece } else { &chunk };
    let mut sent = Ok(());
    for _ in 0..HUGE_BYTES / 100_000 {
        sent = wire.send(piece).await;
        if sent.is_err() {
            break;
        }
    }
    if sent.is_ok() && !told {
        sent = wire.send(b"0\r\n\r\n").await;
    }
    wire.answer().await.or_else(|error| sent.and(Err(error)))
}

fn webhook(target: &Target, length: &str) -> Vec<u8> {
    format!(
        "POST /v1/webhooks/alertmanager HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\n{length}\r\n\r\n",
        target.token
    )
    .into_bytes()
}
