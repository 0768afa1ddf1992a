//! What is put on the board is found again, once, in order, and by every filter.

use super::*;
use crate::codec::write_output;
use crate::model::{Environment, Output, Severity, Status, Time};

fn json(n: u64, version: u64, change: impl FnOnce(&mut crate::model::Incident)) -> Vec<u8> {
    let mut incident = crate::model::incident::tests::incident();
    incident.id = IncidentId { partition: (n % 4) as u16, hash: n };
    incident.triggered_at = Time(n as i64 * 1_000);
    incident.version = version;
    change(&mut incident);
    let record = write_output(&Output::Incident(Arc::new(incident)), &codec::Settings::default());
    record.and_then(|record| record.value).expect("an incident has a value")
}

fn put(board: &Board, n: u64, version: u64, change: impl FnOnce(&mut crate::model::Incident)) {
    board.put_incident(&json(n, version, change)).expect("our own JSON");
}

fn hashes(page: &Page) -> Vec<u64> {
    let id = |packed: &Packed| codec::read_indexed(&packed.text()).expect("our own JSON").id.hash;
    page.incidents.iter().map(id).collect()
}

#[test]
fn every_filter_finds_what_it_names_newest_first() {
    let board = Board::default();
    for n in 0..600 {
        put(&board, n, 1, |incident| {
            incident.status = Status::ALL[n as usize % 6];
            incident.severity = Severity::ALL[n as usize % 5];
            incident.environment = Environment::ALL[n as usize % 3];
            incident.service_id = format!("service-{}", n % 7);
        });
    }
    let find = |filter: Filter, offset, limit| {
        let page = board.list(&filter, offset, limit);
        (page.total, hashes(&page))
    };
    assert_eq!(find(Filter::default(), 0, 3), (600, vec![599, 598, 597]));
    assert_eq!(find(Filter::default(), 598, 50), (600, vec![1, 0]));
    assert_eq!(find(Filter::default(), 600, 50), (600, vec![]));
    let expected = |takes: &dyn Fn(u64) -> bool| (0..600).rev().filter(|n| takes(*n)).collect::<Vec<u64>>();
    let (statuses, severities) = (vec![Status::ALL[1], Status::ALL[4]], vec![Severity::ALL[2]]);
    let by_status = expected(&|n| n % 6 == 1 || n % 6 == 4);
    let filter = Filter { statuses: statuses.clone(), ..Filter::default() };
    assert_eq!(find(filter, 0, 1_000), (by_status.len(), by_status));
    let services = vec!["service-3".to_owned(), "nobody".to_owned(), "service-5".to_owned(), "service-3".to_owned()];
    let filter = Filter { statuses, severities, environments: vec![Environment::ALL[1]], services };
    let all = expected(&|n| (n % 6 == 1 || n % 6 == 4) && n % 5 == 2 && n % 3 == 1 && (n % 7 == 3 || n % 7 == 5));
    assert!(all.len() > 1);
    assert_eq!(find(filter.clone(), 0, 1_000), (all.len(), all.clone()));
    assert_eq!(find(filter, 1, 1), (all.len(), vec![all[1]]));
}

#[test]
fn the_higher_version_counts_and_a_change_moves_it() {
    let board = Board::default();
    let of = |status| Filter { statuses: vec![status], ..Filter::default() };
    put(&board, 1, 3, |incident| incident.status = Status::Acknowledged);
    put(&board, 1, 2, |_| {});
    put(&board, 1, 3, |incident| incident.status = Status::Closed);
    assert_eq!(board.list(&of(Status::Acknowledged), 0, 10).total, 1);
    assert_eq!(board.list(&of(Status::Triggered), 0, 10).total, 0);
    put(&board, 1, 4, |incident| incident.status = Status::Resolved);
    assert_eq!(board.list(&of(Status::Acknowledged), 0, 10).total, 0);
    assert_eq!(hashes(&board.list(&of(Status::Resolved), 0, 10)), [1]);
    assert_eq!(board.len(), (1, 0));
    let id = IncidentId { partition: 1, hash: 1 };
    assert!(board.incident(id).is_some());
    board.take([News::IncidentGone(id), News::IncidentGone(id)]);
    assert!(board.incident(id).is_none());
    assert_eq!(board.list(&Filter::default(), 0, 10).total, 0);
    assert!(board.put_incident(b"{}").is_err());
}

#[test]
fn listeners_hear_of_changes_and_of_nothing_else() {
    let board = Board::default();
    let mut changes = board.listen();
    put(&board, 1, 1, |_| {});
    put(&board, 1, 1, |_| {});
    let silence = r#"{"id":"s","matchers":[],"starts_at":"2026-01-01T00:00:00Z","ends_at":"2026-01-02T00:00:00Z","updated_at":"2026-01-01T00:00:0VZ"}"#;
    let at = |second: &str| silence.replace('V', second);
    board.put_silence(at("2").as_bytes()).expect("our own JSON");
    board.put_silence(at("1").as_bytes()).expect("our own JSON");
    board.remove_silence("s");
    board.remove_silence("s");
    let heard: Vec<Change> = std::iter::from_fn(|| changes.try_recv().ok()).collect();
    let incident = Change::Incident(IncidentId { partition: 1, hash: 1 });
    assert_eq!(heard, [incident, Change::Silence("s".into()), Change::Silence("s".into())]);
}
