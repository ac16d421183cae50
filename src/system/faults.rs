//! A file system that refuses, as a test says.
//!
//! In: a folder, which change below it is refused, and how. Out: the refusals, what was asked, and after a loss of power what is left. Scenes know
//! their changes by the folder: tests and threads beside each other do not meet.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

static SCENES: Mutex<Vec<Arc<Inner>>> = Mutex::new(Vec::new());

/// How a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Once: the device is full, a write after half of its bytes.
    Full,
    /// Once: the device has failed.
    Failed,
    /// From there on everything, as for a process that is killed in the midst of it.
    Killed,
}

/// See the module. It ends when it is dropped.
pub struct Scene(Arc<Inner>);

struct Inner {
    below: PathBuf,
    state: Mutex<State>,
}

struct State {
    asked: Vec<String>,
    refuse: Option<(usize, Refusal)>,
    /// Files with bytes that the disk does not have, and the length that it has.
    unsynced: BTreeMap<PathBuf, u64>,
}

/// The system's answer to a test.
pub struct Refused(Refusal);

impl Refused {
    /// Whether half of what is written is there all the same.
    pub fn writes_half(&self) -> bool {
        self.0 != Refusal::Failed
    }
}

impl From<Refused> for io::Error {
    fn from(Refused(refusal): Refused) -> io::Error {
        io::Error::from(match refusal {
            Refusal::Full => io::ErrorKind::StorageFull,
            Refusal::Failed => io::ErrorKind::ReadOnlyFilesystem,
            Refusal::Killed => io::ErrorKind::BrokenPipe,
        })
    }
}

impl Scene {
    /// Refuses nothing, and counts.
    pub fn watch(below: &Path) -> Scene {
        Scene::begin(below, None)
    }

    /// Refuses the change of that number, the first being 0.
    pub fn refuse(below: &Path, number: usize, refusal: Refusal) -> Scene {
        Scene::begin(below, Some((number, refusal)))
    }

    fn begin(below: &Path, refuse: Option<(usize, Refusal)>) -> Scene {
        let state = Mutex::new(State { asked: Vec::new(), refuse, unsynced: BTreeMap::new() });
        let inner = Arc::new(Inner { below: below.to_path_buf(), state });
        lock(&SCENES).push(Arc::clone(&inner));
        Scene(inner)
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.0.state).asked.clone()
    }

    /// Takes away what the disk has not: bytes of files that were not synced. Names are there in the order in which they were made.
    pub fn lose_power(&self) {
        for (path, bytes) in std::mem::take(&mut lock(&self.0.state).unsynced) {
            if let Ok(file) = OpenOptions::new().write(true).open(&path) {
                file.set_len(bytes).expect("a file of the test");
            }
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        lock(&SCENES).retain(|scene| !Arc::ptr_eq(scene, &self.0));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn scene(path: &Path) -> Option<Arc<Inner>> {
    lock(&SCENES).iter().find(|scene| path.starts_with(&scene.below)).cloned()
}

/// Whether a change is refused.
pub fn ask(what: &str, path: &Path) -> Result<(), Refused> {
    let Some(scene) = scene(path) else { return Ok(()) };
    let mut state = lock(&scene.state);
    let number = state.asked.len();
    state.asked.push(format!("{what} {}", path.strip_prefix(&scene.below).unwrap_or(path).display()));
    match state.refuse {
        Some((at, Refusal::Killed)) if number > at => {
            // The dead write nothing more, not even half of it.
            Err(Refused(Refusal::Failed))
        }
        Some((at, refusal)) if number == at => Err(Refused(refusal)),
        _ => Ok(()),
    }
}

/// A file is about to be written.
pub fn writes(path: &Path) {
    let Some(scene) = scene(path) else { return };
    let bytes = fs::metadata(path).map_or(0, |file| file.len());
    lock(&scene.state).unsynced.entry(path.to_path_buf()).or_insert(bytes);
}

/// The disk has all of a file.
pub fn synced(path: &Path) {
    let Some(scene) = scene(path) else { return };
    lock(&scene.state).unsynced.remove(path);
}

/// A file has another name.
pub fn renamed(from: &Path, to: &Path) {
    let Some(scene) = scene(from) else { return };
    let mut state = lock(&scene.state);
    state.unsynced.remove(to);
    if let Some(bytes) = state.unsynced.remove(from) {
        state.unsynced.insert(to.to_path_buf(), bytes);
    }
}
