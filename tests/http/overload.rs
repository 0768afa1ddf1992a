//! Crowds, slow clients and floods: the right codes, bounded memory, and a service that goes on.

use super::client::{Client, alert};
use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::{Process, Settings};
use crate::support::{allow_many_files, wait_until};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

fn connect(client: &Client) -> TcpStream {
    let stream = TcpStream::connect(client.url.trim_start_matches("http://")).expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    stream
}

/// The status line's number; 0: closed without an answer.
fn status(stream: &mut TcpStream) -> u16 {
    let mut text = Vec::new();
    let mut piece = [0; 4_096];
    while !text.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => text.extend_from_slice(&piece[..read]),
        }
    }
    String::from_utf8_lossy(&text).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Reads on until `mark` has come; what came before it and with it.
fn until(stream: &mut TcpStream, mark: &str) -> String {
    let mut text = String::new();
    let mut piece = [0; 4_096];
    while !text.contains(mark) {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => panic!("`{mark}` never came, but: {text}"),
            Ok(read) => text.push_str(&String::from_utf8_lossy(&piece[..read])),
        }
    }
    text
}

/// Resident memory in MiB.
fn memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1_024
}

#[test]
fn a_thousand_at_once_are_answered_and_each_counts_once() {
    let _turn = turn();
    allow_many_files();
    let app = app("http-crowd", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let statuses = std::sync::Mutex::new(BTreeMap::<u16, u64>::new());
    std::thread::scope(|scope| {
        for n in 0..1_000 {
            let (client, statuses) = (&client, &statuses);
            let send = move || {
                let body = alert(&format!("service-{}", n % 50), "t").to_string();
                let head =
                    "POST /v1/incidents HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close";
                // In one piece: by pieces it could take longer than a head may.
                let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let mut stream = connect(client);
                stream.write_all(request.as_bytes()).expect("it is taken");
                *statuses.lock().unwrap().entry(status(&mut stream)).or_default() += 1;
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, send).expect("a thread");
        }
    });
    let statuses = statuses.into_inner().unwrap();
    eprintln!("{statuses:?}, {} MiB", memory(&process));
    assert_eq!(statuses.values().sum::<u64>(), 1_000);
    assert!(statuses.keys().all(|status| [200, 201, 202, 503].contains(status)), "{statuses:?}");
    let refused = statuses.get(&503).copied().unwrap_or(0);
    wait_until("every one that was taken counts", LIMIT, || {
        let list = client.get("/v1/incidents?limit=500").expect(200);
        let counts = list["incidents"].as_array()?.iter().filter_map(|incident| incident["occurrence_count"].as_u64());
        (counts.sum::<u64>() == 1_000 - refused).then_some(())
    });
    process.stop();
}

#[test]
fn slow_huge_and_chattering_clients_are_ended_and_others_served() {
    let _turn = turn();
    let app = app("http-slow", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let before = memory(&process);
    let post = "POST /v1/webhooks/alertmanager HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    // Heads that never end, and bodies that come by the byte.
    let mut heads: Vec<TcpStream> = (0..250).map(|_| connect(&client)).collect();
    let mut bodies: Vec<TcpStream> = (0..250).map(|_| connect(&client)).collect();
    heads.iter_mut().for_each(|stream| write!(stream, "GET /v1/incidents HTTP/1.1\r\nx-a").expect("it is taken"));
    bodies.iter_mut().for_each(|stream| write!(stream, "{post}content-length: 4000000\r\n\r\n{{").expect("it is taken"));
    for _ in 0..4 {
        client.post("/v1/incidents", &alert("served", "t"));
        std::thread::sleep(Duration::from_secs(1));
        heads.iter_mut().chain(&mut bodies).for_each(|stream| {
            let _ = stream.write_all(b"a");
        });
    }
    // hyper closes a head that does not come; a body that does not come gets its answer.
    assert!(heads.iter_mut().map(status).all(|status| status == 0 || status == 408));
    // Alertmanager's, which takes a 4xx for a no of minutes.
    assert!(bodies.iter_mut().map(status).all(|status| status == 503));

    // 100 MB, with its length told and in pieces.
    for head in [format!("{post}content-length: 100000000\r\n\r\n"), format!("{post}transfer-encoding: chunked\r\n\r\n")] {
        let mut stream = connect(&client);
        stream.write_all(head.as_bytes()).expect("it is taken");
        let piece = vec![b'x'; 1_000_000];
        for _ in 0..100 {
            let sent = if head.contains("chunked") {
                write!(stream, "{:x}\r\n", piece.len())
                    .and_then(|()| stream.write_all(&piece))
                    .and_then(|()| stream.write_all(b"\r\n"))
            } else {
                stream.write_all(&piece)
            };
            sent.expect("who sends too much is still heard out");
        }
        if head.contains("chunked") {
            stream.write_all(b"0\r\n\r\n").expect("it is taken");
        }
        assert_eq!(status(&mut stream), 413);
    }

    // Too many headers, and too long ones.
    let many: String = (0..500).map(|n| format!("x-{n}: a\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(100_000));
    for headers in [many, long] {
        let mut stream = connect(&client);
        let _ = write!(stream, "GET /v1/incidents HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n");
        let status = status(&mut stream);
        assert!(status == 431 || status == 0, "{status}");
    }
    let after = memory(&process);
    eprintln!("memory: {before} MiB before, {after} MiB after");
    assert!(after < before + 150, "{before} MiB before, {after} MiB after");
    client.post("/v1/incidents", &alert("served", "t")).expect(200);
    process.stop();
}

/// Pages that are kept up to date at a time.
const STREAMS: usize = 3_072;

#[test]
fn as_many_pages_as_there_is_room_for_are_kept_up_to_date_and_strangers_stay_out() {
    let _turn = turn();
    allow_many_files();
    let hash: String = Sha256::digest("open sesame").iter().map(|byte| format!("{byte:02x}")).collect();
    let api = format!("rate_limit = 0\ntokens = [{{ name = \"a\", sha256 = \"{hash}\", scopes = [\"admin\"] }}]");
    let app = app("http-pages", Settings { api, ..Settings::default() });
    let process = app.start();
    let stranger = ready(&process);
    let client = stranger.with_token("open sesame");
    let before = memory(&process);
    let look = |token: &str| {
        let mut stream = connect(&client);
        let cookie: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
        write!(stream, "GET /live HTTP/1.1\r\nhost: localhost\r\ncookie: incidentd_token={cookie}\r\n\r\n").expect("it is taken");
        stream
    };
    let mut pages: Vec<TcpStream> = (0..STREAMS).map(|_| look("open sesame")).collect();
    for page in &mut pages {
        let head = until(page, ": incidentd\n\n");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
    }
    let open = || client.get("/metrics").text.contains(&format!("incidentd_http_event_streams {STREAMS}\n"));
    wait_until("all are counted", LIMIT, || open().then_some(()));
    assert_eq!(status(&mut look("open sesame")), 503, "there is no room for one more");
    assert_eq!(status(&mut look("guessed")), 401);

    // Those who guess are told no, however many, and nobody waits for them.
    std::thread::scope(|scope| {
        for n in 0..50 {
            let guesser = stranger.with_token(&format!("guess {n}"));
            scope.spawn(move || {
                for _ in 0..20 {
                    guesser.get("/v1/incidents").problem(401, Some("authorization"));
                    guesser.post("/v1/incidents", &alert("guessed", "t")).problem(401, Some("authorization"));
                }
            });
        }
    });
    let incident = client.post("/v1/incidents", &alert("told", "t")).expect(201)["incident"].clone();
    pages.iter_mut().for_each(|page| drop(until(page, "event: changed\n")));
    let after = memory(&process);
    eprintln!("memory: {before} MiB before, {after} MiB with {STREAMS} pages open");
    assert!(after < before + 150, "{before} MiB before, {after} MiB after");
    let list = client.get("/v1/incidents").expect(200);
    assert_eq!(list["pagination"]["total"], 1, "nothing of what strangers sent is there");
    assert_eq!(list["incidents"][0]["id"], incident["id"]);

    drop(pages);
    wait_until("their places are given back", LIMIT, || (status(&mut look("open sesame")) == 200).then_some(()));
    process.stop();
}
