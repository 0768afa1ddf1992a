//! axum with as little behind it as there can be, in a process of its own: what the same clients cost where nothing is done
//! for them. Answers as soon as it can, and says as much on its streams as incidentd may.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The argument that makes this program the server.
pub const ARGUMENT: &str = "bare-axum";
/// Between two events of a stream: incidentd's own pace where incidents change all the time.
const PACE: Duration = Duration::from_millis(250);

/// Serves until the process is ended; says where on its output.
pub fn serve() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free loopback port");
        println!("{}", listener.local_addr().expect("a bound listener has an address"));
        let take = |_: Bytes| async { Json(json!({"status": "merged"})) };
        let routes = Router::new()
            .route("/v1/incidents", get(|| async { Json(json!({"incidents": []})) }).post(take))
            .route("/v1/webhooks/alertmanager", post(take))
            .route("/live", get(events));
        axum::serve(listener, routes).await.expect("it serves");
    });
}

async fn events() -> ([(axum::http::HeaderName, &'static str); 1], Body) {
    let events = stream::unfold((), |()| async {
        tokio::time::sleep(PACE).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"event: changed\ndata: look again\n\n")), ()))
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events))
}

/// That server, ended on drop.
pub struct Bare {
    child: Child,
    pub address: String,
}

impl Bare {
    pub fn start() -> Bare {
        let program = std::env::current_exe().expect("this program's own path");
        let mut child = Command::new(program).arg(ARGUMENT).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut address = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut address).expect("it says where it listens");
        Bare { child, address: address.trim().to_owned() }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
