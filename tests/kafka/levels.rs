//! Escalation over restarts: no level is lost, doubled, or later than a second after it was due and work went on.

use super::turn;
use crate::support::app::{App, Process, Settings};
use crate::support::client::{Reader, Writer};
use crate::support::wait_until;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LIMIT: Duration = Duration::from_secs(60);
const INCIDENTS: usize = 24;
/// Level 0 at once, level 1 after a minute.
const POLICY: &str =
    r##"escalation(#{ name: "p", levels: [ level(0, [slack_channel("#first")]), level(1, [slack_channel("#second")]) ] });"##;
/// How long nothing is up at each restart.
const DOWN: i64 = 3_000;
/// Wall time by which a level may be later than it was due, or the process ready.
const LATE: i64 = 1_000;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn is_ready(listen: &str) -> bool {
    let answer = TcpStream::connect(listen).and_then(|mut stream| {
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    });
    answer.is_ok_and(|answer| answer.contains(" 200 "))
}

/// A start, and the moment at which it was ready.
fn start(app: &App, listen: &str) -> (Process, i64) {
    let process = app.start();
    wait_until("readiness", LIMIT, || is_ready(listen).then_some(()));
    (process, now())
}

#[test]
fn no_level_is_lost_doubled_or_late_over_restarts() {
    let _turn = turn();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let listen = port.to_string();
    let app = App::new("levels", Settings { rules: POLICY.to_owned(), listen: listen.clone(), ..Settings::default() });
    let writer = Writer::new();
    let mut escalations = Reader::new(&app.topic("escalations"));
    // Of each incident and level: when it was due, and when its record was written.
    let mut fired: BTreeMap<(String, u64), Vec<(i64, i64)>> = BTreeMap::new();
    let (process, ready) = start(&app, &listen);
    let mut process = Some(process);
    let mut starts = vec![(0, ready)];
    let mut sent = 0;
    let began = now();
    wait_until("both levels of all", Duration::from_secs(150), || {
        // Over half a minute, so that levels fall due before, during and after each restart.
        while sent < INCIDENTS && now() - began >= sent as i64 * 1_200 {
            let service = format!("service-{sent}");
            let alert = json!({ "service_id": service, "title": "down", "severity": "critical" });
            writer.send(&app.topic("alerts"), &service, alert.to_string().as_bytes());
            sent += 1;
        }
        let restarts = [20_000, 62_000, 75_000];
        if starts.len() <= restarts.len() && now() - began > restarts[starts.len() - 1] {
            let down = now();
            if let Some(running) = process.take() {
                running.kill();
            }
            wait_until("levels that fall due meanwhile", LIMIT, || (now() - down > DOWN).then_some(()));
            let (successor, ready) = start(&app, &listen);
            process = Some(successor);
            starts.push((down, ready));
        }
        escalations.read(|record| {
            let action = record.json();
            let due = action["created_at"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
            let due = due.map_or(0, |at| at.as_millisecond());
            let key = (action["incident_id"].as_str().unwrap_or_default().to_owned(), action["level"].as_u64().unwrap_or(99));
            fired.entry(key).or_default().push((due, record.timestamp));
        });
        (fired.keys().filter(|(_, level)| *level == 1).count() == INCIDENTS).then_some(())
    });
    if let Some(running) = process.take() {
        running.stop();
    }
    assert_eq!(fired.len(), 2 * INCIDENTS, "each level of each: {fired:?}");
    for ((incident, level), times) in &fired {
        let [(due, written)] = times[..] else { panic!("{incident} level {level} fired {} times", times.len()) };
        // A level that fell due while nothing was up waits for the next readiness.
        let up = starts.iter().filter(|(down, ready)| *down <= due + LATE && due <= *ready).map(|(_, ready)| *ready).max();
        let from = up.map_or(due, |ready| ready.max(due));
        assert!(*level == 0 || written <= from + LATE, "{incident} level {level}: due {due}, ready {up:?}, written {written}");
    }
    let due: Vec<i64> = fired.iter().filter(|((_, level), _)| *level == 1).map(|(_, times)| times[0].0).collect();
    let over = starts.iter().skip(1).filter(|(down, ready)| due.iter().any(|due| (down..=ready).contains(&due))).count();
    assert!(over >= 1, "no level fell due during a restart: {starts:?} {due:?}");
}
