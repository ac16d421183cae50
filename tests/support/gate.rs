//! A gate as strict as a test wants it. It judges by words in the text; what a policy judges by is another room's matter.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use mitsuke::proxy::Gate;
use mitsuke::session::UNKNOWN_TEXT;
use mitsuke::session::gate::{Denial, Going, Message, Progress, Question, Verdict};

/// What the client is told of a denial.
pub const DENIED: &str = "policy test-deny: 見附 keeps this from running";
/// What the client is told of a cut.
pub const CUT: &str = "policy test-cut: more than the limit";

/// (message, text) of every question that was answered.
pub type Asked = Arc<Mutex<Vec<(Message, String)>>>;

/// See the module.
#[derive(Default)]
pub struct TestGate {
    /// A text with this word is denied …
    pub word: &'static str,
    /// … in these messages; in all of them, if there are none.
    pub messages: Vec<Message>,
    /// A text that is not known is denied too.
    pub unknown: bool,
    /// How long it thinks about each question.
    pub thinks: Duration,
    /// Results are cut behind so many rows …
    pub rows_max: Option<u64>,
    /// … or people.
    pub people_max: Option<u64>,
    /// What was asked.
    pub asked: Asked,
    /// Since when it thinks about the question at hand.
    pub thinking_since: Mutex<Option<Instant>>,
}

impl TestGate {
    /// Denies what contains `word`.
    pub fn denying(word: &'static str) -> TestGate {
        TestGate { word, ..TestGate::default() }
    }

    /// Cuts behind so many rows.
    pub fn cutting_rows(rows_max: u64) -> TestGate {
        TestGate { rows_max: Some(rows_max), ..TestGate::default() }
    }

    fn denies(&self, question: &Question<'_>, text: &str) -> bool {
        if !self.messages.is_empty() && !self.messages.contains(&question.message) {
            return false;
        }
        let unknown =
            self.unknown && (question.text == UNKNOWN_TEXT || question.text_bytes > question.text.len() as u64);
        unknown || (!self.word.is_empty() && text.contains(self.word))
    }
}

impl Gate for TestGate {
    fn poll_ask(&self, cx: &mut Context<'_>, question: &Question<'_>) -> Poll<Verdict> {
        if !self.thinks.is_zero() {
            let mut since = self.thinking_since.lock().unwrap();
            if since.get_or_insert_with(Instant::now).elapsed() < self.thinks {
                let (waker, left) = (cx.waker().clone(), self.thinks);
                std::thread::spawn(move || {
                    std::thread::sleep(left);
                    waker.wake();
                });
                return Poll::Pending;
            }
            *since = None;
        }
        let text = String::from_utf8_lossy(&question.text).into_owned();
        let denies = self.denies(question, &text);
        self.asked.lock().unwrap().push((question.message, text));
        Poll::Ready(if denies { Verdict::Deny(Denial::new(DENIED)) } else { Verdict::Allow })
    }

    fn look(&self, progress: &Progress<'_>) -> Going {
        let (rows, people) = (self.rows_max.unwrap_or(u64::MAX), self.people_max.unwrap_or(u64::MAX));
        if progress.rows > rows || progress.people.is_some_and(|heads| heads.together > people) {
            return Going::Cut(Denial::new(CUT));
        }
        Going::On { rows, people, bytes: u64::MAX }
    }
}
