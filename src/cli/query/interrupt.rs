//! Ctrl-C: ends a question at once, however busy the engine is.
//!
//! A thread of its own waits for it. A question that was asked on the command line ends the process, with what it has written of a file
//! taken away; one at the prompt ends itself, and the prompt comes back.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// The exit status of who was ended by SIGINT, as shells give it.
const EXIT_INTERRUPTED: i32 = 130;

/// From now on, Ctrl-C removes this file and ends the process.
pub fn ends_the_process(unfinished: Option<PathBuf>) {
    each(move || {
        if let Some(unfinished) = &unfinished {
            let _ = std::fs::remove_file(unfinished);
        }
        std::process::exit(EXIT_INTERRUPTED);
    });
}

/// From now on, Ctrl-C wakes who waits.
pub fn wakes() -> Arc<Notify> {
    let woken = Arc::new(Notify::new());
    let wake = Arc::clone(&woken);
    each(move || wake.notify_waiters());
    woken
}

/// Where the thread cannot be had, Ctrl-C does what it does without us: it ends the process. Returns when the signal is caught: the
/// prompt's editor catches it too while it reads, and puts back what was there before.
fn each(interrupted: impl Fn() + Send + 'static) {
    let (ready, is_ready) = sync_channel(1);
    let wait = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            let Ok(mut interrupts) = signal(SignalKind::interrupt()) else { return };
            let _ = ready.send(());
            while interrupts.recv().await.is_some() {
                interrupted();
            }
        });
    };
    let _ = std::thread::Builder::new().name("interrupt".to_owned()).spawn(wait);
    // An error: the thread ended, or never began.
    let _ = is_ready.recv();
}
