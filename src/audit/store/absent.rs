//! The store of a build without the feature `object-store`: there is none, and opening one says so.

use std::collections::BTreeMap;
use std::fs::File;
use std::iter::{Once, once};
use std::path::Path;

use super::{Object, Put, StoreConfig, StoreUrl, Version};
use crate::audit::Error;

/// There is none: [`Store::open`] makes none.
#[derive(Clone, Debug)]
pub struct Store {
    url: StoreUrl,
}

impl Store {
    /// Says that it was left out.
    ///
    /// # Errors
    /// Always.
    pub fn open(config: &StoreConfig) -> Result<Store, Error> {
        let cause =
            "this binary was built without the feature `object-store`; build it with default features".to_owned();
        Err(Error::Store { what: "open", at: config.url.to_string(), cause })
    }

    /// Where.
    pub fn url(&self) -> &StoreUrl {
        &self.url
    }

    fn refuses<T>(&self) -> Result<T, Error> {
        let cause =
            "this binary was built without the feature `object-store`; build it with default features".to_owned();
        Err(Error::Store { what: "open", at: self.url.to_string(), cause })
    }

    pub(in crate::audit) fn list(&self, _below: &str) -> Result<BTreeMap<String, Object>, Error> {
        self.refuses()
    }

    pub(in crate::audit) fn read(&self, _path: &str) -> Result<Option<(Vec<u8>, Version)>, Error> {
        self.refuses()
    }

    pub(in crate::audit) fn copy(&self, _path: &str, _into: &File, _beside: &Path) -> Result<Option<String>, Error> {
        self.refuses()
    }

    pub(in crate::audit) fn read_end(&self, _path: &str, _length: u64, _bytes: u64) -> Result<Vec<u8>, Error> {
        self.refuses()
    }

    pub(in crate::audit) fn read_end_each(
        &self,
        _files: Vec<(String, u64)>,
        _bytes: u64,
    ) -> Once<Result<Option<Vec<u8>>, Error>> {
        once(self.refuses())
    }

    pub(in crate::audit) fn read_each(&self, _paths: Vec<String>) -> Once<Result<Vec<u8>, Error>> {
        once(self.refuses())
    }

    pub(in crate::audit) fn hash_each(&self, _paths: Vec<String>) -> Once<Result<Option<(String, u64)>, Error>> {
        once(self.refuses())
    }

    pub(in crate::audit) fn put(&self, _path: &str, _text: &str, _over: Option<&Version>) -> Result<Put, Error> {
        self.refuses()
    }

    pub(in crate::audit) fn upload(&self, _path: &str, _file: &Path) -> Result<Put, Error> {
        self.refuses()
    }

    pub(in crate::audit) fn remove(&self, _path: &str) -> Result<(), Error> {
        self.refuses()
    }

    pub(in crate::audit) fn remove_each(&self, _paths: Vec<String>) -> Once<Result<(), Error>> {
        once(self.refuses())
    }

    pub(in crate::audit) fn put_aside_each(&self, _paths: Vec<String>) -> Once<Result<(), Error>> {
        once(self.refuses())
    }
}
