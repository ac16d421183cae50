//! How far a long question has come, on a terminal.
//!
//! In: how many files there are, and what tells how many are done. Out: a bar on standard error, from the second second on; nothing
//! where standard error is no terminal, or there is one file.

use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What takes less needs no bar.
const BEGINS_AFTER: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);

/// A bar that ends when it is dropped.
pub struct Progress {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// None is ever shown where `files` is `None`.
    pub fn begin(files: Option<u64>, done: impl Fn() -> u64 + Send + 'static) -> Progress {
        let ended = Arc::new(AtomicBool::new(false));
        let shown = files.filter(|files| *files > 1 && stderr().is_terminal());
        let thread = shown.and_then(|files| {
            let ended = Arc::clone(&ended);
            thread::Builder::new().name("progress".to_owned()).spawn(move || show(files, &done, &ended)).ok()
        });
        Progress { ended, thread }
    }

    /// Takes the bar away.
    pub fn end(self) {
        drop(self);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn show(files: u64, done: &dyn Fn() -> u64, ended: &AtomicBool) {
    let began = Instant::now();
    let mut bar = None;
    while !ended.load(Ordering::Relaxed) {
        if began.elapsed() >= BEGINS_AFTER {
            let bar = bar.get_or_insert_with(|| {
                let style = ProgressStyle::with_template("{wide_bar} {pos} of {len} files, {elapsed}");
                ProgressBar::new(files).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
            });
            bar.set_position(done().min(files));
        }
        thread::park_timeout(EVERY);
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}
