//! An S3 server over a folder, in this process: started, stopped and started again with what it holds; and made to refuse.
//!
//! It is `s3s-fs`, which knows conditional puts and parts, and wants signatures that hold. Stopping it cuts every connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use hyper_util::rt::TokioIo;
use mitsuke::audit::{Connection, StoreConfig, StoreUrl, Variables};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpResponse};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use super::tls::{Authority, Issued};

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
    /// Where it speaks TLS: how, and the certificate of who signed its own.
    tls: Option<(TlsAcceptor, PathBuf)>,
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
        Bucket::speaking(None)
    }

    /// The same over TLS, under an authority of its own.
    pub fn with_tls(authority: &Authority) -> Bucket {
        let Issued { certificate, key } = authority.server("bucket");
        let chain = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        let config = builder.with_single_cert(chain, key).expect("a pair");
        Bucket::speaking(Some((TlsAcceptor::from(Arc::new(config)), authority.certificate())))
    }

    fn speaking(tls: Option<(TlsAcceptor, PathBuf)>) -> Bucket {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join(BUCKET)).expect("a bucket");
        let refusals = Arc::new(Refusals::default());
        refusals.answered.store(i64::MIN, Ordering::SeqCst);
        let address = SocketAddr::from(([127, 0, 0, 1], super::sidecar::free_port()));
        let mut bucket = Bucket { folder, address, runtime: None, refusals, tls };
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
        let tls = self.tls.as_ref().map(|(tls, _)| tls.clone());
        runtime.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { return };
                let (service, refusals, tls) = (service.clone(), Arc::clone(&refusals), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, service, refusals).await,
                        // Whoever does not trust it goes.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, service, refusals).await;
                            }
                        }
                    }
                });
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
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ALLOW_HTTP", self.tls.is_none().to_string()),
        ]
    }

    /// The lines of `[log]` that say how to reach it.
    pub fn settings(&self) -> String {
        let how = match &self.tls {
            None => "store.allow_http = true".to_owned(),
            Some((_, authority)) => format!("store.ca = \"{}\"", authority.display()),
        };
        format!("store.endpoint = \"{}\"\nstore.region = \"us-east-1\"\n{how}\n", self.endpoint())
    }

    fn endpoint(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
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

async fn serve<S>(stream: S, service: S3Service, refusals: Arc<Refusals>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
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
