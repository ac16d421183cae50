//! A store, by `object_store`: every call waits for its answer, wherever it is called from.
//!
//! In: names below the log's prefix. Out: objects, whole; what was put is there as a whole or not at all. The client's own threads do
//! the waiting: whoever calls may be on any thread, also one of another runtime. A call gives up after some 20 seconds: what it was
//! for is tried again by whoever wants it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::future::Future;
use std::io::Read;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{Certificate, ClientOptions, SpawnedReqwestConnector};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::path::Path as StorePath;
use object_store::{
    BackoffConfig, Error as Refusal, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, PutPayload, PutResult, RetryConfig, UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};

use super::{Object, Put, Service, StoreConfig, StoreUrl, Version};
use crate::audit::chain::{Hasher, hash_file};
use crate::audit::{Error, folder};
use crate::clock::Timestamp;
use crate::system;

/// Threads that wait for the store.
const THREADS: usize = 2;
/// A file longer than this goes up in parts of this length; also what is read of an object at a time to hash it, bytes.
const PART_BYTES: u64 = 8 << 20;
/// Objects that are read ahead.
const AHEAD: usize = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One request, from its first byte to its answer's last.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request that fails is tried again within one call.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const RETRIES_MAX: usize = 3;
/// What is told of a store's answer, characters.
const TOLD_CHARS_MAX: usize = 300;
/// Where a machine's role is asked for; what fails there has no credentials.
const METADATA_SERVICE: &str = "169.254.169.254";

/// See the module. Clones share the client.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    url: StoreUrl,
    client: Arc<dyn ObjectStore>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Dropping it would wait, which a thread of another runtime must not.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

type Answer<T> = Result<T, Refusal>;

impl Store {
    /// Makes ready; says nothing to the store yet.
    ///
    /// # Errors
    /// What was configured makes no client: a wrong endpoint, a file of authorities that cannot be read.
    pub fn open(config: &StoreConfig) -> Result<Store, Error> {
        let threads = Builder::new_multi_thread().worker_threads(THREADS).thread_name("store").enable_all().build();
        let runtime = threads.map_err(|error| failed("open", &config.url, "", &error.to_string()))?;
        let client = client(config, SpawnedReqwestConnector::new(runtime.handle().clone()))?;
        Ok(Store(Arc::new(Inner { url: config.url.clone(), client, runtime: Some(runtime) })))
    }

    /// Where.
    pub fn url(&self) -> &StoreUrl {
        &self.0.url
    }

    /// The client, for a query engine that reads by itself.
    #[cfg_attr(not(feature = "query"), allow(dead_code, reason = "only a query engine reads by itself"))]
    pub fn client(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.0.client)
    }

    /// The whole name of what lies below the log's prefix.
    pub fn location(&self, path: &str) -> StorePath {
        StorePath::from(format!("{}/{path}", self.0.url.prefix))
    }

    /// The objects below a folder; below everything where it is empty.
    pub(in crate::audit) fn list(&self, below: &str) -> Result<BTreeMap<String, Object>, Error> {
        let (client, prefix) = (self.client(), self.location(below));
        let found = self.wait(async move { client.list(Some(&prefix)).try_collect::<Vec<_>>().await });
        let root = self.location("");
        let found = found.map_err(|error| self.failed("list", below, &error))?;
        let named = found.into_iter().filter_map(|meta| {
            let parts: Vec<_> = meta.location.prefix_match(&root)?.map(|part| part.as_ref().to_owned()).collect();
            let written_at = Timestamp(meta.last_modified.timestamp_micros());
            Some((parts.join("/"), Object { bytes: meta.size, written_at }))
        });
        Ok(named.collect())
    }

    /// An object and its version; `None` where there is none.
    pub(in crate::audit) fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Version)>, Error> {
        let (client, location) = (self.client(), self.location(path));
        let read = self.wait(async move {
            let found = client.get(&location).await?;
            let version = Version { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?.to_vec(), version))
        });
        match read {
            Err(Refusal::NotFound { .. }) => Ok(None),
            read => read.map(Some).map_err(|error| self.failed("read", path, &error)),
        }
    }

    /// Copies an object into a file that lies `beside`, piece by piece; the SHA-256 of what was copied, hexadecimal, or `None` where there
    /// is none.
    pub(in crate::audit) fn copy(&self, path: &str, into: &File, beside: &Path) -> Result<Option<String>, Error> {
        let unwritten = || Error::io("write a file in", beside);
        let (into, named) = (into.try_clone().map_err(unwritten())?, beside.to_path_buf());
        let (client, location) = (self.client(), self.location(path));
        let copied = self.wait(async move {
            let mut pieces = client.get(&location).await?.into_stream();
            let mut hasher = Hasher::default();
            while let Some(piece) = pieces.try_next().await? {
                hasher.update(&piece);
                if let Err(error) = system::write(&into, &named, &piece) {
                    return Ok(Err(error));
                }
            }
            Ok(Ok(hasher.finish()))
        });
        match copied {
            Err(Refusal::NotFound { .. }) => Ok(None),
            copied => copied.map_err(|error| self.failed("read", path, &error))?.map(Some).map_err(unwritten()),
        }
    }

    /// The last bytes of an object of this length, so many or all.
    pub(in crate::audit) fn read_end(&self, path: &str, length: u64, bytes: u64) -> Result<Vec<u8>, Error> {
        let end = self.read_end_each(vec![(path.to_owned(), length)], bytes).next().transpose()?.flatten();
        end.ok_or_else(|| self.failed("read", path, &Refusal::NotFound { path: path.to_owned(), source: "".into() }))
    }

    /// The last bytes of objects of these lengths, so many or all, in the order of their names here; `None` where there is none.
    pub(in crate::audit) fn read_end_each(&self, files: Vec<(String, u64)>, bytes: u64) -> Each<Option<Vec<u8>>> {
        // By where it begins: Azure knows no range that is counted from the end.
        let long = files.iter().filter(|(_, length)| *length > bytes);
        let ranges: HashMap<StorePath, GetRange> =
            long.map(|(path, length)| (self.location(path), GetRange::Bounded(length - bytes..*length))).collect();
        let paths = files.into_iter().map(|(path, _)| path).collect();
        self.each("read", paths, move |client, location| {
            let range = ranges.get(&location).cloned();
            async move {
                match listed(&*client, &location, GetOptions { range, ..GetOptions::default() }).await {
                    Err(Refusal::NotFound { .. }) => Ok(None),
                    found => Ok(Some(found?.bytes().await?.to_vec())),
                }
            }
        })
    }

    /// Objects in the order of their names here, a few read ahead.
    pub(in crate::audit) fn read_each(&self, paths: Vec<String>) -> Each<Vec<u8>> {
        self.each("read", paths, |client, location| async move {
            Ok(listed(&*client, &location, GetOptions::default()).await?.bytes().await?.to_vec())
        })
    }

    /// The SHA-256 of objects, hexadecimal, and their lengths, in the order of their names here; `None` where there is none.
    pub(in crate::audit) fn hash_each(&self, paths: Vec<String>) -> Each<Option<(String, u64)>> {
        self.each("read", paths, |client, location| async move { hash(&*client, &location).await })
    }

    /// Puts a small object where there is none, or over this version and no other.
    pub(in crate::audit) fn put(&self, path: &str, text: &str, over: Option<&Version>) -> Result<Put, Error> {
        let mode = over.map_or(PutMode::Create, |version| {
            PutMode::Update(UpdateVersion { e_tag: version.e_tag.clone(), version: version.version.clone() })
        });
        self.put_bytes(path, text.as_bytes().to_vec(), mode)
    }

    /// Puts a file where nothing is. One that is there already with the same bytes was put by an earlier try.
    pub(in crate::audit) fn upload(&self, path: &str, file: &Path) -> Result<Put, Error> {
        let unread = || Error::io("read", file);
        let (sha256, length) = hash_file(file, &mut |_| {}).map_err(unread())?;
        let is_there = || -> Result<Option<bool>, Error> {
            let there = self.hash_each(vec![path.to_owned()]).next().transpose()?.flatten();
            Ok(there.map(|(there, _)| there == sha256))
        };
        let known = |same| if same { Put::Done(Version::default()) } else { Put::Refused };
        if length <= PART_BYTES {
            let bytes = std::fs::read(file).map_err(unread())?;
            return match self.put_bytes(path, bytes, PutMode::Create)? {
                Put::Refused => Ok(known(is_there()?.unwrap_or_default())),
                done => Ok(done),
            };
        }
        // Parts cannot be put on a condition. Only its writer has the name, and another one with it is found out by the chain.
        if let Some(same) = is_there()? {
            return Ok(known(same));
        }
        let rest = File::open(file).map_err(unread())?;
        let (client, location) = (self.client(), self.location(path));
        let put = self.wait(async move { put_in_parts(&*client, &location, rest).await });
        put.map(|put| Put::Done(version(put))).map_err(|error| self.failed("write", path, &error))
    }

    /// Removes an object; that it is gone already is as well.
    pub(in crate::audit) fn remove(&self, path: &str) -> Result<(), Error> {
        self.remove_each(vec![path.to_owned()]).collect()
    }

    /// Removes objects; that they are gone already is as well.
    pub(in crate::audit) fn remove_each(&self, paths: Vec<String>) -> Each<()> {
        self.each("remove", paths, |client, location| async move { removed(&*client, &location).await })
    }

    /// Gives objects the names of what was replaced; that they have them already is as well. Each is under one of the two names, or both,
    /// at any time.
    pub(in crate::audit) fn put_aside_each(&self, paths: Vec<String>) -> Each<()> {
        self.each("put aside", paths, |client, location| async move {
            match client.copy(&location, &aside(&location)).await {
                Err(Refusal::NotFound { .. }) => Ok(()),
                copied => {
                    copied?;
                    removed(&*client, &location).await
                }
            }
        })
    }

    fn put_bytes(&self, path: &str, bytes: Vec<u8>, mode: PutMode) -> Result<Put, Error> {
        let (client, location) = (self.client(), self.location(path));
        let put = self.wait(async move {
            client.put_opts(&location, PutPayload::from(bytes), PutOptions { mode, ..PutOptions::default() }).await
        });
        match put {
            Ok(put) => Ok(Put::Done(version(put))),
            Err(Refusal::AlreadyExists { .. } | Refusal::Precondition { .. }) => Ok(Put::Refused),
            // What was to be written over is gone.
            Err(Refusal::NotFound { .. }) => Ok(Put::Refused),
            Err(error) => Err(self.failed("write", path, &error)),
        }
    }

    /// Has the client's own threads wait.
    fn wait<T: Send + 'static>(&self, asked: impl Future<Output = Answer<T>> + Send + 'static) -> Answer<T> {
        let (answer, answered) = sync_channel(1);
        if let Some(runtime) = &self.0.runtime {
            runtime.spawn(async move {
                let _ = answer.send(asked.await);
            });
        }
        let gone = || Refusal::Generic { store: "store", source: "its threads ended".into() };
        answered.recv().map_err(|_| gone()).and_then(|answer| answer)
    }

    fn each<T, F>(
        &self,
        what: &'static str,
        paths: Vec<String>,
        ask: impl Fn(Arc<dyn ObjectStore>, StorePath) -> F + Send + Sync + 'static,
    ) -> Each<T>
    where
        T: Send + 'static,
        F: Future<Output = Answer<T>> + Send + 'static,
    {
        let (answer, answered) = sync_channel(1);
        let store = self.clone();
        let asked = async move {
            let asked = futures_util::stream::iter(paths).map(|path| {
                let answer = ask(store.client(), store.location(&path));
                let store = &store;
                async move { answer.await.map_err(|error| store.failed(what, &path, &error)) }
            });
            let mut answers = pin!(asked.buffered(AHEAD));
            while let Some(next) = answers.next().await {
                // Whoever reads may be slow; another thread takes this one's place meanwhile.
                if tokio::task::block_in_place(|| answer.send(next)).is_err() {
                    return;
                }
            }
        };
        if let Some(runtime) = &self.0.runtime {
            runtime.spawn(asked);
        }
        Each { answered, _store: self.clone() }
    }

    fn failed(&self, what: &'static str, path: &str, error: &Refusal) -> Error {
        failed(what, &self.0.url, path, &in_full(error))
    }
}

/// Answers in order. It holds the client, whose threads give them.
#[derive(Debug)]
pub struct Each<T> {
    answered: Receiver<Result<T, Error>>,
    _store: Store,
}

impl<T> Iterator for Each<T> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Result<T, Error>> {
        self.answered.recv().ok()
    }
}

fn version(put: PutResult) -> Version {
    Version { e_tag: put.e_tag, version: put.version }
}

/// Where an object lies that was replaced.
fn aside(location: &StorePath) -> StorePath {
    StorePath::from(folder::aside_of(location.as_ref()))
}

/// An object that was listed, or what is left of it where it was replaced since.
async fn listed(client: &dyn ObjectStore, location: &StorePath, options: GetOptions) -> Answer<GetResult> {
    match client.get_opts(location, options.clone()).await {
        Err(missing @ Refusal::NotFound { .. }) => {
            client.get_opts(&aside(location), options).await.map_err(|_| missing)
        }
        found => found,
    }
}

async fn removed(client: &dyn ObjectStore, location: &StorePath) -> Answer<()> {
    match client.delete(location).await {
        Err(Refusal::NotFound { .. }) => Ok(()),
        removed => removed,
    }
}

/// Puts a file part by part, of which one at a time is in memory; it is there when the last one is.
async fn put_in_parts(client: &dyn ObjectStore, location: &StorePath, mut file: File) -> Answer<PutResult> {
    let mut parts = client.put_multipart(location).await?;
    loop {
        let mut part = Vec::new();
        let read = (&mut file).take(PART_BYTES).read_to_end(&mut part);
        let put = match read {
            Ok(0) => return parts.complete().await,
            Ok(_) => parts.put_part(PutPayload::from(part)).await,
            Err(error) => Err(Refusal::Generic { store: "store", source: Box::new(error) }),
        };
        if let Err(error) = put {
            let _ = parts.abort().await;
            return Err(error);
        }
    }
}

async fn hash(client: &dyn ObjectStore, location: &StorePath) -> Answer<Option<(String, u64)>> {
    let mut hasher = Hasher::default();
    let mut at = 0;
    loop {
        let range = Some(GetRange::Bounded(at..at.saturating_add(PART_BYTES)));
        let found = match client.get_opts(location, GetOptions { range, ..GetOptions::default() }).await {
            Err(Refusal::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        let size = found.meta.size;
        let bytes = found.bytes().await?;
        hasher.update(&bytes);
        at = at.saturating_add(bytes.len() as u64);
        if at >= size || bytes.is_empty() {
            return Ok(Some((hasher.finish(), at)));
        }
    }
}

fn client(config: &StoreConfig, connector: SpawnedReqwestConnector) -> Result<Arc<dyn ObjectStore>, Error> {
    let StoreConfig { url, connection, .. } = config;
    let mut options = ClientOptions::new()
        .with_timeout(REQUEST_TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_allow_http(connection.allow_http);
    if let Some(path) = &connection.ca {
        let pem = std::fs::read(path).map_err(Error::io("read", path))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unmade(url, &error))?;
        for authority in authorities {
            options = options.with_root_certificate(authority);
        }
    }
    let backoff = BackoffConfig { init_backoff: Duration::from_millis(200), ..BackoffConfig::default() };
    let retry = RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT };
    let variables = connection.variables.of_service(url.service);
    let made: Answer<Arc<dyn ObjectStore>> = match url.service {
        Service::S3 => {
            let mut builder = AmazonS3Builder::new().with_client_options(options).with_retry(retry);
            for (name, value) in variables {
                if let Ok(key) = name.parse::<AmazonS3ConfigKey>() {
                    builder = builder.with_config(key, value);
                }
            }
            if let Some(endpoint) = &connection.endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(region) = &connection.region {
                builder = builder.with_region(region);
            }
            let builder = builder.with_bucket_name(&url.bucket).with_http_connector(connector);
            builder.build().map(|client| Arc::new(client) as Arc<dyn ObjectStore>)
        }
        Service::Google => {
            let mut builder = GoogleCloudStorageBuilder::new().with_client_options(options).with_retry(retry);
            for (name, value) in variables {
                if let Ok(key) = name.parse::<GoogleConfigKey>() {
                    builder = builder.with_config(key, value);
                }
            }
            if let Some(endpoint) = &connection.endpoint {
                builder = builder.with_config(GoogleConfigKey::BaseUrl, endpoint);
            }
            let builder = builder.with_bucket_name(&url.bucket).with_http_connector(connector);
            builder.build().map(|client| Arc::new(client) as Arc<dyn ObjectStore>)
        }
        Service::Azure => {
            let mut builder = MicrosoftAzureBuilder::new().with_client_options(options).with_retry(retry);
            for (name, value) in variables {
                if let Ok(key) = name.parse::<AzureConfigKey>() {
                    builder = builder.with_config(key, value);
                }
            }
            if let Some(endpoint) = &connection.endpoint {
                builder = builder.with_endpoint(endpoint.clone());
            }
            let builder = builder.with_container_name(&url.bucket).with_http_connector(connector);
            builder.build().map(|client| Arc::new(client) as Arc<dyn ObjectStore>)
        }
    };
    made.map_err(|error| unmade(url, &error))
}

fn unmade(url: &StoreUrl, error: &Refusal) -> Error {
    failed("open", url, "", &error.to_string())
}

/// With what lies at the bottom of it, where that is not told: "error sending request" helps nobody.
fn in_full(error: &Refusal) -> String {
    let told = error.to_string();
    let mut bottom: &dyn std::error::Error = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    let bottom = bottom.to_string();
    match () {
        () if bottom.contains("certificate") => {
            format!("{bottom}: name the authority that signed the store's certificate as [log].store.ca")
        }
        () if told.contains(&bottom) => told,
        () => format!("{bottom}: {told}"),
    }
}

/// A store's answer may be long, and an address in it may carry a signature.
fn failed(what: &'static str, url: &StoreUrl, path: &str, answer: &str) -> Error {
    let word = |word: &str| word.split('?').next().unwrap_or_default().to_owned();
    let words: Vec<String> = answer.split_whitespace().map(word).collect();
    let mut cause: String = words.join(" ").chars().take(TOLD_CHARS_MAX).collect();
    if cause.contains(METADATA_SERVICE) {
        cause = "there are no credentials: neither in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY) \
                 nor a role of this machine"
            .to_owned();
    }
    let at = if path.is_empty() { url.to_string() } else { format!("{url}/{path}") };
    Error::Store { what, at, cause }
}
