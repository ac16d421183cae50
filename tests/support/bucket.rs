//! An S3 server over a folder, in this process: started, stopped and started again with what it holds; and made to refuse.
//!
//! It is `s3s-fs`, which knows conditional puts and parts, and wants signatures that hold. Stopping it cuts every connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hyper_util::rt::TokioIo;
use mitsuke::audit::{Connection, StoreConfig, StoreUrl, Variables};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpResponse};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Made up.
const ACCESS_KEY: &str = "mitsuke-test";
/// Made up, and looked for in whatever is printed.
pub const SECRET_KEY: &str = "a-secret-of-the-test-4711";
const BUCKET: &str = "audit";

/// See the module. Gone with the test.
pub struct Bucket {
    folder: TempDir,
    address: SocketAddr,
    runtime: Option<Runtime>,
    refusals: Arc<Refusals>,
}

/// When it refuses what is asked of it.
#[derive(Default)]
struct Refusals {
    /// Requests that are answered before it refuses all; below zero: none are refused.
    answered: AtomicI64,
    /// Whether the first that is refused is done all the same.
    is_heard: AtomicBool,
    /// All requests so far.
    asked: AtomicI64,
}

impl Bucket {
    /// Starts one that is empty.
    pub fn start() -> Bucket {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let refusals = Arc::new(Refusals::default());
        refusals.answered.store(i64::MIN, Ordering::SeqCst);
        let address = SocketAddr::from(([127, 0, 0, 1], super::sidecar::free_port()));
        let mut bucket = Bucket { folder, address, runtime: None, refusals };
        bucket.start_again();
        bucket
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        let mut builder = S3ServiceBuilder::new(FileSystem::new(self.folder.path()).expect("its folder"));
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = builder.build();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("threads");
        let listener = super::wait_for("the bucket's port", || runtime.block_on(TcpListener::bind(self.address)).ok());
        let refusals = Arc::clone(&self.refusals);
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, service.clone(), Arc::clone(&refusals)));
            }
        });
        self.runtime = Some(runtime);
    }

    /// Stops it, whatever is under way.
    pub fn stop(&mut self) {
        self.runtime.take().expect("it runs").shutdown_background();
    }

    /// From now on it answers so many requests, and refuses all others; with `is_heard` the first of those is done all the same.
    pub fn answer(&self, requests: i64, is_heard: bool) {
        self.refusals.is_heard.store(is_heard, Ordering::SeqCst);
        self.refusals.answered.store(requests, Ordering::SeqCst);
    }

    /// Refuses nothing any more.
    pub fn answer_all(&self) {
        self.refusals.answered.store(i64::MIN, Ordering::SeqCst);
    }

    /// How many requests there were.
    pub fn asked(&self) -> i64 {
        self.refusals.asked.load(Ordering::SeqCst)
    }

    /// A place in it.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// Where what is at that place lies.
    pub fn folder(&self, prefix: &str) -> PathBuf {
        self.folder.path().join(BUCKET).join(prefix)
    }

    /// What a process needs in its environment to be let in.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }

    /// The lines of `[log]` that say how to reach it.
    pub fn settings(&self) -> String {
        format!("store.endpoint = \"http://{}\"\nstore.region = \"us-east-1\"\nstore.allow_http = true\n", self.address)
    }

    /// A configuration of a place in it.
    pub fn config(&self, prefix: &str) -> StoreConfig {
        let url = StoreUrl::parse(&self.url(prefix)).expect("an address").expect("a store's");
        let variables = self.variables().into_iter().map(|(name, value)| (name.to_owned(), value));
        let connection = Connection { allow_http: true, variables: Variables::of(variables), ..Connection::default() };
        StoreConfig { url, connection, spool_bytes_max: 1 << 30 }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service, refusals: Arc<Refusals>) {
    let answer = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (service, refusals) = (service.clone(), Arc::clone(&refusals));
        async move {
            refusals.asked.fetch_add(1, Ordering::SeqCst);
            let left = refusals.answered.load(Ordering::SeqCst);
            if left != i64::MIN {
                refusals.answered.store(left - 1, Ordering::SeqCst);
            }
            let refuses = left != i64::MIN && left <= 0;
            if refuses && !(left == 0 && refusals.is_heard.load(Ordering::SeqCst)) {
                return Ok(refusal());
            }
            let answer = service.call(request.map(Body::from)).await;
            if refuses { Ok(refusal()) } else { answer }
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
}

/// One that is not asked again.
fn refusal() -> HttpResponse {
    let mut refusal = HttpResponse::new(Body::from("refused by the test".to_owned()));
    *refusal.status_mut() = hyper::StatusCode::FORBIDDEN;
    refusal
}
