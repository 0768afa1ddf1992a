//! The listener and its bounds: connections, headers, requests at a time, and time. Bodies are `body`'s.

use crate::http::access::Peer;
use crate::http::problem::{self, Problem};
use axum::error_handling::HandleErrorLayer;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// From a request's headers to its answer.
pub const TIME: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 4_096;
/// Most of them wait for the engine, which costs little.
const REQUESTS: usize = 2_048;
const HEADERS: usize = 100;
/// Bytes of a request line and its headers.
const HEAD: usize = 32 << 10;
const HEAD_TIME: Duration = Duration::from_secs(5);
/// A client that takes nothing of its answer for so long is gone.
const WRITE_TIME: Duration = Duration::from_secs(10);
/// How long open requests may take once the process is to end.
const DRAIN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(5);

/// Before a process ends it lets nobody in, and waits for those inside, whom the engine answers still.
#[derive(Clone, Default)]
pub struct Gate(Arc<Inside>);

#[derive(Default)]
struct Inside {
    closed: AtomicBool,
    requests: AtomicUsize,
}

impl Gate {
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// Until nobody is inside, for [`DRAIN`] at most.
    pub async fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        let until = tokio::time::Instant::now() + DRAIN;
        while self.0.requests.load(Ordering::Acquire) > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Gone when dropped, also where the client broke off.
struct Pass(Gate);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.0.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

pub async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    gate.0.requests.fetch_add(1, Ordering::AcqRel);
    let pass = Pass(gate);
    if pass.0.is_closed() {
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this process is about to end: try again").after(1).into_response();
    }
    next.run(request).await
}

/// Past so many requests at a time further ones get 503 at once.
pub fn crowd<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    let shed = HandleErrorLayer::new(|_| async {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{REQUESTS} requests are being served: try again")).after(1)
    });
    routes.layer(ServiceBuilder::new().layer(shed).layer(LoadShedLayer::new()).layer(GlobalConcurrencyLimitLayer::new(REQUESTS)))
}

/// The bound of time for each request; every error becomes a problem document.
pub fn bound<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIME))
        .layer(CatchPanicLayer::custom(broken))
        .layer(middleware::map_response(problem::complete))
}

fn broken(_: Box<dyn Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "incidentd broke on this request; its log says how").into_response()
}

/// Serves until `shutdown` ends, then lets open requests finish for [`DRAIN`].
pub async fn serve(listener: TcpListener, routes: Router, shutdown: impl Future<Output = ()>) {
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_headers(HEADERS).max_buf_size(HEAD);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let open = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = &mut shutdown => break,
            // The semaphore is never closed.
            Ok(place) = Arc::clone(&places).acquire_owned() => place,
        };
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // Out of file descriptors, most likely: some connection must end first.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        // Without it a short answer may wait for the client's acknowledgement; it fails where the client has gone.
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIME));
        let routes =
            ServiceExt::<hyper::Request<Incoming>>::map_request(routes.clone(), move |mut request: hyper::Request<_>| {
                request.extensions_mut().insert(Peer(peer));
                request
            });
        let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(routes));
        let connection = open.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off is no error of ours.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, open.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use axum::routing::{get, post};
    use serde_json::Value;

    async fn ask(routes: Router, request: Request<Body>) -> (StatusCode, Value) {
        let response = routes.oneshot(request).await.unwrap();
        let status = response.status();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_error_is_a_problem_document() {
        let routes = bound(crowd(
            Router::new()
                .route(
                    "/panic",
                    get(|| async {
                        if true {
                            panic!("on purpose")
                        }
                    }),
                )
                .route("/post", post(|_: axum::body::Bytes| async {})),
        ));
        let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        for (request, status) in [
            (get("/nowhere"), StatusCode::NOT_FOUND),
            (get("/post"), StatusCode::METHOD_NOT_ALLOWED),
            (get("/panic"), StatusCode::INTERNAL_SERVER_ERROR),
        ] {
            let (found, problem) = ask(routes.clone(), request).await;
            assert_eq!(found, status);
            assert_eq!(problem["status"], status.as_u16());
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_request_ends() {
        let routes = bound(Router::new().route("/slow", get(|| async { std::future::pending::<()>().await })));
        let (status, _) = ask(routes, Request::get("/slow").body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    }

    #[tokio::test]
    async fn a_closed_gate_waits_for_those_inside_and_lets_nobody_in() {
        let gate = Gate::default();
        let (held, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (h, r) = (Arc::clone(&held), Arc::clone(&release));
        let hold = move || {
            let (held, release) = (Arc::clone(&h), Arc::clone(&r));
            async move {
                held.add_permits(1);
                let _ = release.acquire().await;
            }
        };
        let routes: Router = Router::new().route("/", get(hold)).route_layer(middleware::from_fn_with_state(gate.clone(), pass));
        let inside = tokio::spawn(routes.clone().oneshot(Request::get("/").body(Body::empty()).unwrap()));
        let _ = held.acquire().await.unwrap();
        let closing = gate.close();
        tokio::pin!(closing);
        tokio::select! {
            () = &mut closing => panic!("one is inside still"),
            (status, _) = async {
                while !gate.is_closed() {
                    tokio::task::yield_now().await;
                }
                ask(routes, Request::get("/").body(Body::empty()).unwrap()).await
            } => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
        }
        release.add_permits(1);
        closing.await;
        assert_eq!(inside.await.unwrap().unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn past_the_crowd_there_is_a_clear_no() {
        let (held, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let (h, r) = (Arc::clone(&held), Arc::clone(&release));
        let hold = move || {
            let (held, release) = (Arc::clone(&h), Arc::clone(&r));
            async move {
                held.add_permits(1);
                let _ = release.acquire().await;
            }
        };
        let routes = bound(crowd(Router::new().route("/hold", get(hold))));
        for _ in 0..REQUESTS {
            tokio::spawn(routes.clone().oneshot(Request::get("/hold").body(Body::empty()).unwrap()));
        }
        let _ = held.acquire_many(REQUESTS as u32).await.unwrap();
        let (status, _) = ask(routes, Request::get("/hold").body(Body::empty()).unwrap()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        release.add_permits(REQUESTS);
    }
}
