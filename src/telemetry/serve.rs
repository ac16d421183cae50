//! The little HTTP server of `[telemetry].listen`.
//!
//! In: GET or HEAD of three paths. Out: text. It answers one request a connection and holds nobody long: heads have a size and a time, a
//! connection has an end, and of more than [`CONNECTIONS_MAX`] the oldest goes, so that whoever comes with an honest question is answered
//! while others hold theirs. It takes no body, writes nothing down and knows no TLS: it belongs on loopback or a network that is trusted.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinHandle};

use super::exposition::{self, Format};
use super::readiness::Readiness;

/// Connections at once. One more ends the oldest.
pub const CONNECTIONS_MAX: usize = 64;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the head of a request may be, bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How many lines the head of a request may have.
const HEAD_LINES_MAX: usize = 64;
/// How long no connection is accepted after the system refused one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What is said where nothing is.
const PATHS: &str = "/metrics, /healthz and /readyz are here\n";
const TEXT: &str = "text/plain; charset=utf-8";

/// Why it cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for /metrics: {source}; set another [telemetry].listen, or remove it")]
pub struct Error {
    address: String,
    source: io::Error,
}

/// A server that runs.
#[derive(Debug)]
pub struct Server {
    /// Where it listens; the real port where 0 was asked for.
    pub address: SocketAddr,
    serving: JoinHandle<()>,
    asking: JoinHandle<()>,
}

impl Server {
    /// Listens on `host:port` and answers from what `readiness` knows. To be called within a tokio runtime.
    ///
    /// # Errors
    /// The name leads nowhere, or the system refuses.
    pub fn start(address: &str, readiness: &Readiness) -> Result<Server, Error> {
        let failed = |source| Error { address: address.to_owned(), source };
        let (listener, bound) = bind(address).map_err(failed)?;
        let serving = tokio::spawn(accept(listener, readiness.clone()));
        let asking = tokio::spawn(readiness.clone().keep_asking());
        Ok(Server { address: bound, serving, asking })
    }

    /// Stops it.
    pub fn stop(self) {
        self.serving.abort();
        self.asking.abort();
    }
}

fn bind(address: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name leads nowhere");
    for address in address.to_socket_addrs()? {
        let listener = std::net::TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        match listener.and_then(|listener| listener.local_addr().map(|bound| (listener, bound))) {
            Ok(bound) => return Ok(bound),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn accept(listener: TcpListener, readiness: Readiness) {
    let mut running = Connections::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let readiness = readiness.clone();
        let connection = tokio::spawn(async move {
            let service = service_fn(|request| answer(request, readiness.clone()));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
            http.max_headers(HEAD_LINES_MAX).keep_alive(false);
            let serving = http.serve_connection(TokioIo::new(stream), service);
            // Who is too slow, or speaks nonsense, has been told so or is gone.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, serving).await;
        });
        running.add(connection.abort_handle());
    }
}

/// The connections that run, the oldest first. Dropping it ends them.
#[derive(Default)]
struct Connections(VecDeque<AbortHandle>);

impl Connections {
    fn add(&mut self, connection: AbortHandle) {
        self.0.retain(|running| !running.is_finished());
        while self.0.len() >= CONNECTIONS_MAX {
            self.0.pop_front().iter().for_each(AbortHandle::abort);
        }
        self.0.push_back(connection);
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

type Answer = Response<Full>;

async fn answer(request: Request<Incoming>, readiness: Readiness) -> Result<Answer, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD\n".to_owned());
        refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Ok(refused);
    }
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let format = Format::wanted(accept.unwrap_or_default());
    let path = request.uri().path().to_owned();
    // A folder is listed, and files of the system are read.
    let answered = tokio::task::spawn_blocking(move || match path.as_str() {
        "/metrics" => metrics(format, &readiness),
        "/healthz" => health(&readiness),
        "/readyz" => ready(&readiness),
        _ => text(StatusCode::NOT_FOUND, PATHS.to_owned()),
    });
    let failed = |_| text(StatusCode::INTERNAL_SERVER_ERROR, "it could not be told\n".to_owned());
    Ok(answered.await.unwrap_or_else(failed))
}

fn metrics(format: Format, readiness: &Readiness) -> Answer {
    match exposition::render(format, readiness) {
        Ok(rendered) => {
            let mut answer = text(StatusCode::OK, rendered);
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
            answer
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the figures could not be written\n".to_owned()),
    }
}

fn health(readiness: &Readiness) -> Answer {
    match readiness.illness() {
        None => text(StatusCode::OK, "alive\n".to_owned()),
        Some(illness) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{illness}\n")),
    }
}

fn ready(readiness: &Readiness) -> Answer {
    let objections = readiness.objections();
    match objections.is_empty() {
        true => text(StatusCode::OK, "ready\n".to_owned()),
        false => text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", objections.join("\nnot ready: "))),
    }
}

fn text(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(Full(Some(Bytes::from(body))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// A body that is there as a whole.
struct Full(Option<Bytes>);

impl hyper::body::Body for Full {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        hyper::body::SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
