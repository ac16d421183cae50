//! The log's files for DataFusion, of this machine or a store: those too that were compacted after a question had listed them.
//!
//! In: what DataFusion reads. Out: the file of that name or, where another one has replaced it meanwhile, what is left of it for such
//! readers. A file is looked for anew with each read: the two have the same bytes. Writes as little as its caller does: nothing.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures_util::Stream;

use crate::audit::aside_of;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send>>;

/// See the module.
#[derive(Debug)]
pub struct Kept(Arc<dyn ObjectStore>);

impl Kept {
    /// Of this machine.
    pub fn here() -> Kept {
        Kept(Arc::new(LocalFileSystem::new()))
    }

    /// Of a store.
    #[cfg(feature = "object-store")]
    pub fn stored(store: Arc<dyn ObjectStore>) -> Kept {
        Kept(store)
    }
}

/// Where a file lies that was replaced.
fn aside(location: &Path) -> Option<Path> {
    Path::parse(aside_of(location.as_ref())).ok()
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[async_trait]
impl ObjectStore for Kept {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match (self.0.get_opts(location, options.clone()).await, aside(location)) {
            (Err(error @ Error::NotFound { .. }), Some(aside)) => {
                self.0.get_opts(&aside, options).await.map_err(|_| error)
            }
            (got, _) => got,
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match (self.0.get_ranges(location, ranges).await, aside(location)) {
            (Err(error @ Error::NotFound { .. }), Some(aside)) => {
                self.0.get_ranges(&aside, ranges).await.map_err(|_| error)
            }
            (got, _) => got,
        }
    }

    fn delete_stream(&self, locations: Answers<Path>) -> Answers<Path> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> Answers<ObjectMeta> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
