//! The listener and its bounds: connections, headers, bodies, requests at a time, and time.

use crate::http::problem::{self, Problem};
use axum::error_handling::HandleErrorLayer;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

/// Bytes of a body: a webhook body's own limit (SPEC 3.1).
pub const BODY: usize = 4 << 20;
/// From a request's headers to its answer.
pub const TIME: Duration = Duration::from_secs(10);
const CONNECTIONS: usize = 1_024;
const REQUESTS: usize = 256;
const HEADERS: usize = 100;
/// Bytes of a request line and its headers.
const HEAD: usize = 32 << 10;
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long open requests may take once the process is to end.
const DRAIN: Duration = Duration::from_secs(2);

/// Past so many requests at a time further ones get 503 at once.
pub fn crowd<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    let shed = HandleErrorLayer::new(|_| async {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{REQUESTS} requests are being served: try again"))
    });
    routes.layer(ServiceBuilder::new().layer(shed).layer(LoadShedLayer::new()).layer(GlobalConcurrencyLimitLayer::new(REQUESTS)))
}

/// Bounds of time and size for each request; every error becomes a problem document.
pub fn bound<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIME))
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(BODY))
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
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // Out of file descriptors, most likely: some connection must end first.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes.clone()));
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
    use tower::ServiceExt;

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
            (Request::post("/post").body(Body::from(vec![b'x'; BODY + 1])).unwrap(), StatusCode::PAYLOAD_TOO_LARGE),
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
