//! The pages as a browser meets them, over a filled board and an embedded broker without an engine.

use super::*;
use crate::board::History;
use crate::codec::{self, write_output};
use crate::config::Config;
use crate::http::access::{Access, Scope, Token};
use crate::http::rules::{Desk, Report};
use crate::http::{APPEND, Bodies, Commands, Replies, guarded};
use crate::kafka::{Appender, Clients, Embedded, Layout, Names, Observer};
use crate::model::incident::tests::incident;
use crate::model::{Incident, IncidentId, Labels, Metadata, Output, Severity, Status, Time, TimelineEvent};
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use tower::ServiceExt;

/// Fields are dropped in this order: who reads before what is read.
struct World {
    routes: Router,
    api: Arc<Api>,
    gate: Gate,
    observer: Observer,
    names: Names,
    layout: Layout,
    _broker: Embedded,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

impl World {
    fn new(tokens: &[(&str, &[Scope])]) -> World {
        let mut config = Config::default();
        config.topics.partitions = 2;
        let broker = Embedded::start(&config.topics).expect("a broker");
        let clients = Arc::new(broker.clients(&config.kafka, 7).expect("clients"));
        let observer = Observer::new(&clients).expect("an observer");
        let layout = observer.layout(&config.topics, Instant::now() + Duration::from_secs(10)).expect("a layout");
        let names = Names::new(&config.topics);
        let board = Arc::new(Board::default());
        let commands = Commands {
            appender: Appender::impatient(&clients, APPEND).expect("a producer"),
            replies: Replies::start(Arc::clone(&clients), &names, &layout, 7).expect("replies"),
            board: Arc::clone(&board),
            names: names.clone(),
            layout: layout.clone(),
            codec: Arc::new(codec::Settings::default()),
        };
        let token = |(name, scopes): &(&str, &[Scope])| Token {
            name: (*name).into(),
            sha256: Sha256::digest(format!("secret of {name}")).into(),
            scopes: scopes.to_vec(),
        };
        let api = Arc::new(Api {
            board,
            history: history(&clients, &names),
            commands,
            access: Access::new(tokens.iter().map(token).collect(), 0, None),
            rules: Desk { report: Box::new(Report::default), look: Box::new(|_| true) },
            bodies: Bodies::default(),
            pages: Pages::default(),
        });
        let gate = Gate::default();
        World { routes: guarded(Arc::clone(&api), &gate), api, gate, observer, names, layout, _broker: broker }
    }

    fn put(&self, hash: u64, change: impl FnOnce(&mut Incident)) -> IncidentId {
        let mut incident = incident();
        incident.id = IncidentId { partition: 0, hash };
        incident.version = 1;
        incident.triggered_at = Time(1_760_000_000_000 + hash as i64);
        change(&mut incident);
        let (id, output) = (incident.id, Output::Incident(incident.into()));
        let record = write_output(&output, &codec::Settings::default()).and_then(|record| record.value);
        self.api.board.put_incident(&record.expect("a value")).expect("our own JSON");
        id
    }

    fn put_silence(&self, id: &str, comment: &str) {
        let silence = json!({
            "id": id, "matchers": [{ "name": "tenant", "value": comment, "isRegex": false, "isEqual": true }], "comment": comment,
            "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        self.api.board.put_silence(silence.to_string().as_bytes()).expect("our own JSON");
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "127.0.0.1:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.routes.clone().oneshot(request).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(body.collect().await.expect("a body").to_bytes().to_vec()).expect("a text");
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "").await
    }

    /// Records in `commands`.
    fn written(&self) -> i64 {
        let partitions: Vec<(&str, u32)> = (0..self.layout.commands).map(|it| (self.names.commands.as_str(), it)).collect();
        self.observer.ends(&partitions, Duration::from_secs(5)).expect("the ends").into_iter().sum()
    }
}

fn history(clients: &Arc<Clients>, names: &Names) -> History {
    History::start(Arc::clone(clients), names).expect("a history")
}

const EVIL: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

#[tokio::test]
async fn what_alerts_and_people_say_is_text() {
    let world = World::new(&[]);
    let id = world.put(1, |incident| {
        for text in [&mut incident.title, &mut incident.description, &mut incident.category, &mut incident.service_id] {
            *text = EVIL.to_owned();
        }
        incident.assigned_to = Some(EVIL.to_owned());
        incident.labels = Labels::from_iter([(EVIL.to_owned(), EVIL.to_owned())]);
        let metadata =
            json!({ "dashboard_url": "javascript:alert(3)", "runbook_url": format!("https://x/{EVIL}"), EVIL: { EVIL: EVIL } });
        incident.metadata = Metadata(metadata.as_object().cloned().expect("an object"));
        incident.note(Time(1), TimelineEvent::Note, Some(EVIL), json!({ "note": EVIL, EVIL: EVIL }));
    });
    world.put_silence(EVIL, EVIL);
    let encoded = serde_urlencoded::to_string([("x", EVIL)]).expect("a query");
    let encoded = encoded.trim_start_matches("x=");
    for path in [
        "/".to_owned(),
        format!("/?service_id={encoded}"),
        format!("/?status={encoded}"),
        format!("/?{encoded}=1"),
        format!("/incidents/{id}"),
        format!("/incidents/{id}?done={encoded}"),
        format!("/incidents/{id}/acknowledge"),
        format!("/incidents/{id}/{}", encoded.replace('+', "%20")),
        format!("/incidents/{}", encoded.replace('+', "%20")),
        "/silences".to_owned(),
        format!("/silences/new?matchers={encoded}&comment={encoded}"),
        format!("/silences/{}/expire", encoded.replace('+', "%20")),
    ] {
        let answer = world.get(&path).await;
        for bad in ["<script>alert", "<img", "onerror=alert(2)>", "href=\"javascript:", "\"'>"] {
            assert!(!answer.text.contains(bad), "{path} has {bad}: {}", answer.text);
        }
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"), "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
        // What the policy forbids would not work.
        assert!(!answer.text.contains(" style=") && !answer.text.contains(" onclick="), "{path}");
    }
    assert!(world.get("/").await.text.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

#[tokio::test]
async fn looking_changes_nothing_and_only_our_own_forms_are_taken() {
    let world = World::new(&[]);
    let id = world.put(1, |_| {});
    world.put_silence("s", "moving racks");
    let acknowledge = format!("/incidents/{id}/acknowledge");
    let forms =
        [acknowledge.clone(), format!("/incidents/{id}/resolve"), "/silences/new".to_owned(), "/silences/s/expire".to_owned()];
    for path in ["/".to_owned(), "/silences".to_owned(), format!("/incidents/{id}")].iter().chain(&forms) {
        for method in ["GET", "HEAD"] {
            assert_eq!(world.ask(method, path, &[], "").await.status, StatusCode::OK, "{method} {path}");
        }
    }
    for path in &forms {
        for from in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8080")],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
        ] {
            let headers: Vec<(&str, &str)> = from.iter().copied().chain([FORM]).collect();
            let body = "matchers=a%3Db&minutes=60&note=x";
            assert_eq!(world.ask("POST", path, &headers, body).await.status, StatusCode::FORBIDDEN, "{path} {from:?}");
        }
    }
    let rebound = world.ask("GET", "/", &[("host", "evil.example")], "").await;
    assert_ne!(rebound.status, StatusCode::OK, "two hosts");
    assert_eq!(world.ask("POST", &acknowledge, &[OURS, ("content-type", "text/plain")], "x").await.status, 415);
    assert_eq!(world.written(), 0);
    // Nobody answers here: Kafka has it, and the page says so.
    let taken = world.ask("POST", &acknowledge, &[OURS, FORM], "note=on+it&user=J%C3%B6rg").await;
    assert_eq!(
        (taken.status, taken.header("location")),
        (StatusCode::SEE_OTHER, format!("/incidents/{id}?done=accepted").as_str())
    );
    assert!(taken.header("set-cookie").contains("HttpOnly; SameSite=Strict"));
    assert_eq!(world.written(), 1);
    let name = taken.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let next = world.ask("GET", &acknowledge, &[("cookie", &name)], "").await;
    assert!(next.text.contains("value=\"Jörg\""), "the name is remembered: {}", next.text);
}

#[tokio::test]
async fn a_form_that_is_wrong_comes_back_with_its_reason_and_what_was_entered() {
    let world = World::new(&[]);
    let id = world.put(1, |_| {});
    let wrong = world.ask("POST", &format!("/incidents/{id}/snooze"), &[OURS, FORM], "minutes=0&note=later").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("role=\"alert\">minutes: ") && wrong.text.contains("later</textarea>"), "{}", wrong.text);
    let silence = world.ask("POST", "/silences/new", &[OURS, FORM], "matchers=region%3D~.*&minutes=60&comment=why").await;
    assert_eq!(silence.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        silence.text.contains("could match everything") && silence.text.contains("region=~.*</textarea>"),
        "{}",
        silence.text
    );
    for (path, status) in [
        (format!("/incidents/{id}/delivery_receipt"), StatusCode::NOT_FOUND),
        ("/incidents/inc_00000000000000000099".to_owned(), StatusCode::NOT_FOUND),
        ("/silences/none/expire".to_owned(), StatusCode::NOT_FOUND),
        ("/?limit=0".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text.contains("role=\"alert\""), "{path}");
    }
    assert_eq!(world.written(), 0);
}

#[tokio::test]
async fn the_list_shows_what_fires_and_filters() {
    let world = World::new(&[]);
    for (hash, status, severity) in [
        (1, Status::Triggered, Severity::Critical),
        (2, Status::Acknowledged, Severity::Low),
        (3, Status::Closed, Severity::High),
    ] {
        world.put(hash, |incident| {
            (incident.title, incident.status, incident.severity) = (format!("title-{hash}."), status, severity);
            incident.acknowledged_by = Some(format!("owner-{hash}."));
        });
    }
    let shown = async |path: &str| {
        let text = world.get(path).await.text;
        (1..=3).filter(|hash| text.contains(&format!("title-{hash}."))).collect::<Vec<_>>()
    };
    assert_eq!(shown("/").await, [1, 2]);
    assert_eq!(shown("/?status=closed").await, [3]);
    assert_eq!(shown("/?severity=critical&severity=high&service_id=").await, [1]);
    assert_eq!(shown("/?service_id=nobody").await, Vec::<i32>::new());
    let text = world.get("/").await.text;
    assert!(text.contains("owner-2.") && text.contains("<svg class=\"spark\"") && text.contains("aria-label="), "{text}");
    let paged = world.get("/?limit=1").await.text;
    assert!(paged.contains("title-2.") && !paged.contains("title-1.") && paged.contains("offset=1"), "{paged}");
}

#[tokio::test]
async fn with_tokens_one_signs_in_and_the_cookie_opens_pages_alone() {
    let world = World::new(&[("viewer", &[Scope::Read]), ("ann", &[Scope::Read, Scope::Operate])]);
    let id = world.put(1, |_| {});
    let path = format!("/incidents/{id}/acknowledge");
    let closed = world.get(&path).await;
    assert_eq!(closed.status, StatusCode::UNAUTHORIZED);
    assert!(closed.text.contains("type=\"password\"") && closed.text.contains(&format!("value=\"{path}\"")), "{}", closed.text);
    // The cookie is not sent along from another site: the page loads itself again, from here.
    let led = world.ask("GET", &path, &[("sec-fetch-site", "cross-site")], "").await;
    assert!(led.status == StatusCode::OK && led.text.contains(&format!("content=\"0; url={path}\"")), "{}", led.text);
    let wrong = world.ask("POST", "/sign-in", &[OURS, FORM], "token=nonsense&next=%2F").await;
    assert!(wrong.status == StatusCode::UNAUTHORIZED && wrong.text.contains("not known"));
    let foreign = world.ask("POST", "/sign-in", &[("sec-fetch-site", "cross-site"), FORM], "token=secret+of+ann").await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let sign_in = async |name: &str| {
        let body = format!("token=secret+of+{name}&next=%2F%2Fevil.example");
        let answer = world.ask("POST", "/sign-in", &[OURS, FORM, ("origin", "https://x")], &body).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "/"), "{name}");
        let cookie = answer.header("set-cookie").to_owned();
        assert!(cookie.ends_with("HttpOnly; SameSite=Strict; Secure"), "{cookie}");
        cookie.split(';').next().unwrap_or_default().to_owned()
    };
    let (viewer, ann) = (sign_in("viewer").await, sign_in("ann").await);
    let page = world.ask("GET", "/", &[("cookie", &ann)], "").await;
    assert!(page.status == StatusCode::OK && page.text.contains("Signed in as <b>ann</b>"), "{}", page.text);
    let refused = world.ask("POST", &path, &[("cookie", &viewer), OURS, FORM], "").await;
    assert!(refused.status == StatusCode::FORBIDDEN && refused.text.contains("operate"), "{}", refused.text);
    assert_eq!(world.ask("GET", "/v1/incidents", &[("cookie", &ann)], "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.ask("GET", "/live", &[], "").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.written(), 0);
    assert_eq!(world.ask("POST", &path, &[("cookie", &ann), OURS, FORM], "user=mallory").await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.written(), 1);
    let left = world.ask("POST", "/sign-out", &[OURS], "").await;
    assert!(left.header("set-cookie").starts_with("incidentd_token=; Path=/; Max-Age=0"));
}

#[tokio::test]
async fn an_open_page_is_told_to_look_again_until_the_process_ends() {
    let world = World::new(&[]);
    let id = world.put(1, |_| {});
    let request = |path: &str| Request::get(path).header("host", "localhost").body(Body::empty()).expect("a request");
    let open = async |path: String| {
        let answer = world.routes.clone().oneshot(request(&path)).await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        answer.into_body()
    };
    let text = async |body: &mut Body| {
        let frame = tokio::time::timeout(Duration::from_secs(5), body.frame()).await.expect("in time");
        frame.map(|frame| String::from_utf8(frame.expect("no error").into_data().expect("data").to_vec()).expect("a text"))
    };
    let (mut list, mut one) = (open("/live".to_owned()).await, open(format!("/live?incident={id}")).await);
    for body in [&mut list, &mut one] {
        assert!(text(body).await.is_some_and(|text| text.starts_with("retry: ")));
    }
    world.put(2, |_| {});
    assert!(text(&mut list).await.is_some_and(|text| text.starts_with("event: changed\n")));
    world.put(1, |incident| incident.version = 2);
    assert!(text(&mut one).await.is_some_and(|text| text.starts_with("event: changed\n")));
    world.gate.close().await;
    assert_eq!(text(&mut one).await, None);
}
