//! The analysis threads, and the cache of what they found.
//!
//! In: statement texts. Out: their analyses, shared. A text is parsed once while it stays in the cache, and texts that
//! differ in constants only are parsed once together, where nothing of the analysis came from a constant; parsing runs
//! on threads with a large stack of their own, so that a hostile text can at worst cost one of them its time. A panic
//! there is caught and counts as a text that no parser takes.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::places::{Places, Seen};
use crate::sql::seal::Keys;
use crate::sql::{Analysis, Constants, analyze_with, holds_for_shape, shape};

/// Threads that parse.
const PARSER_THREADS: usize = 2;
/// The stack of each, bytes. Hostile nesting within the limits of `sql` was measured to stay below a quarter of it.
pub(crate) const PARSER_STACK_BYTES: usize = 64 << 20;
/// Texts that may wait for a parser.
const QUEUE_TEXTS_MAX: usize = 1_024;
/// The cache's two generations hold at most this many texts each …
const CACHE_TEXTS_MAX: usize = 8_192;
/// … and this many bytes of text each.
const CACHE_BYTES_MAX: usize = 16 << 20;

/// The analyses of one text: one a statement in it, never empty.
pub type Analyses = Arc<[Arc<Analysis>]>;

struct Job {
    text: Arc<[u8]>,
    answer: SyncSender<Analyses>,
}

/// An analysis that is known, or on its way.
pub(super) enum Pending {
    /// Known.
    Ready(Analyses),
    /// Known, and more of the text.
    Seen(Arc<Seen>),
    /// Known by the text's shape, and where its constants lie.
    Shaped(Analyses, Constants),
    /// Being parsed.
    Parsing { text: Arc<[u8]>, answer: Receiver<Analyses> },
}

/// The threads and the cache.
pub struct Parsers {
    jobs: SyncSender<Job>,
    cache: Cache,
    places: Places,
    keys: Arc<ArcSwap<Keys>>,
}

impl Parsers {
    /// Starts the threads. They end when this is dropped.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(keys: &Arc<ArcSwap<Keys>>) -> std::io::Result<Parsers> {
        let (jobs, queue) = sync_channel::<Job>(QUEUE_TEXTS_MAX);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..PARSER_THREADS {
            let (queue, keys) = (Arc::clone(&queue), Arc::clone(keys));
            std::thread::Builder::new()
                .name(format!("parser-{number}"))
                .stack_size(PARSER_STACK_BYTES)
                .spawn(move || parse_jobs(&queue, &keys))?;
        }
        Ok(Parsers { jobs, cache: Cache::default(), places: Places::default(), keys: Arc::clone(keys) })
    }

    /// Begins to parse `text`, unless its analysis is known. `comes_again`: it is prepared, and lies where it is for as long as that.
    pub(super) fn begin(&mut self, text: &Arc<[u8]>, comes_again: bool) -> Pending {
        if self.cache.hold_by(&self.keys.load()) {
            self.places = Places::default();
        }
        if let Some(seen) = self.places.get(text) {
            return Pending::Seen(seen);
        }
        if let Some((analyses, constants)) = self.cache.find(text) {
            let seen = comes_again.then(|| self.places.note(text, &analyses)).flatten();
            return match (seen, constants) {
                (Some(seen), _) => Pending::Seen(seen),
                (None, Some(constants)) => Pending::Shaped(analyses, constants),
                (None, None) => Pending::Ready(analyses),
            };
        }
        let (answer, receiver) = sync_channel(1);
        match self.jobs.send(Job { text: Arc::clone(text), answer }) {
            Ok(()) => Pending::Parsing { text: Arc::clone(text), answer: receiver },
            Err(_) => Pending::Ready(not_understood()),
        }
    }

    /// The analysis of a text that is prepared; waits for it.
    pub fn analyse(&mut self, text: &Arc<[u8]>) -> Analyses {
        let mut pending = Some(self.begin(text, true));
        self.finish(&mut pending)
    }

    /// Waits for the analysis, which is taken out unless more is known of the text.
    pub(super) fn finish(&mut self, pending: &mut Option<Pending>) -> Analyses {
        match pending {
            Some(Pending::Seen(seen)) => return Arc::clone(&seen.analyses),
            Some(Pending::Shaped(analyses, _)) => return Arc::clone(analyses),
            _ => {}
        }
        match pending.take() {
            None => not_understood(),
            Some(Pending::Ready(analyses) | Pending::Shaped(analyses, _)) => analyses,
            Some(Pending::Seen(seen)) => Arc::clone(&seen.analyses),
            Some(Pending::Parsing { text, answer }) => {
                let analyses = answer.recv().unwrap_or_else(|_| not_understood());
                self.cache.put(&text, Arc::clone(&analyses));
                analyses
            }
        }
    }
}

fn parse_jobs(queue: &Mutex<Receiver<Job>>, keys: &ArcSwap<Keys>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // The client may have gone: then nobody waits for the answer.
        let _ = job.answer.send(analyses_of(&job.text, &keys.load()));
    }
}

/// Parses a text. Give it a stack of [`PARSER_STACK_BYTES`].
pub(crate) fn analyses_of(text: &[u8], keys: &Keys) -> Analyses {
    let text = String::from_utf8_lossy(text);
    match catch_unwind(AssertUnwindSafe(|| analyze_with(&text, keys))) {
        Ok(analyses) if !analyses.is_empty() => analyses.into_iter().map(Arc::new).collect(),
        _ => not_understood(),
    }
}

/// The analysis of the statement at `index`; the last one where the server saw more than the parser.
pub(crate) fn part(analyses: &Analyses, index: usize) -> Arc<Analysis> {
    analyses.get(index).or_else(|| analyses.last()).map_or_else(unknown, Arc::clone)
}

/// The analysis of a text that was sent to be prepared. Several statements in one are refused by the server, whole: their record
/// shows all of them.
pub(crate) fn prepared(analyses: &Analyses) -> Arc<Analysis> {
    let [first, _, ..] = &analyses[..] else { return part(analyses, 0) };
    let queries: Vec<&str> = analyses.iter().map(|analysis| &*analysis.query).collect();
    Arc::new(Analysis { query: queries.join("; ").into(), fingerprint: "".into(), ..Analysis::clone(first) })
}

fn not_understood() -> Analyses {
    Arc::new([unknown()])
}

/// What is said of a text that could not be analysed at all.
pub(crate) fn unknown() -> Arc<Analysis> {
    Arc::new(Analysis::unknown())
}

/// What is known, by the text itself, or by its shape where the analysis holds for all texts of one.
#[derive(Default)]
pub(crate) struct Cache {
    of_shape: Generations,
    of_text: Generations,
    /// Room for the shape of the text at hand.
    shape: Vec<u8>,
    /// What comments were held against.
    keys: Arc<Keys>,
}

impl Cache {
    /// With other keys, everything is forgotten, which it says: comments are to be held against these.
    pub(crate) fn hold_by(&mut self, keys: &Arc<Keys>) -> bool {
        let others = !Arc::ptr_eq(&self.keys, keys);
        if others {
            *self = Cache { keys: Arc::clone(keys), ..Cache::default() };
        }
        others
    }

    /// The analyses of a text, if they are known.
    pub(crate) fn get(&mut self, text: &[u8]) -> Option<Analyses> {
        self.find(text).map(|(analyses, _)| analyses)
    }

    /// The same, and where its constants lie, where they are known by its shape.
    fn find(&mut self, text: &[u8]) -> Option<(Analyses, Option<Constants>)> {
        let constants = shape(text, &mut self.shape);
        let known = constants.and_then(|constants| Some((self.of_shape.get(&self.shape)?, Some(constants))));
        known.or_else(|| Some((self.of_text.get(text)?, None)))
    }

    /// Keeps them.
    pub(crate) fn put(&mut self, text: &[u8], analyses: Analyses) {
        if shape(text, &mut self.shape).is_some() && analyses.iter().all(|analysis| holds_for_shape(analysis)) {
            self.of_shape.put(self.shape.as_slice().into(), analyses);
        } else {
            self.of_text.put(text.into(), analyses);
        }
    }
}

/// Two generations: what is used moves to the young one; when that is full, the old one is forgotten whole.
#[derive(Default)]
struct Generations {
    young: HashMap<Box<[u8]>, Analyses, ahash::RandomState>,
    young_bytes: usize,
    old: HashMap<Box<[u8]>, Analyses, ahash::RandomState>,
}

impl Generations {
    fn get(&mut self, key: &[u8]) -> Option<Analyses> {
        if let Some(analyses) = self.young.get(key) {
            return Some(Arc::clone(analyses));
        }
        let (key, analyses) = self.old.remove_entry(key)?;
        self.put(key, Arc::clone(&analyses));
        Some(analyses)
    }

    fn put(&mut self, key: Box<[u8]>, analyses: Analyses) {
        if self.young.len() >= CACHE_TEXTS_MAX || self.young_bytes.saturating_add(key.len()) > CACHE_BYTES_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        let bytes = key.len();
        if self.young.insert(key, analyses).is_none() {
            self.young_bytes = self.young_bytes.saturating_add(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    #[test]
    fn a_text_is_parsed_once() {
        let mut parsers = Parsers::start(&Arc::default()).expect("threads");
        let mut pending = Some(parsers.begin(&text("select 1; select 2"), false));
        let first = parsers.finish(&mut pending);
        assert_eq!(first.len(), 2);
        let Pending::Shaped(second, _) = parsers.begin(&text("select 1; select 2"), false) else {
            panic!("not cached")
        };
        assert!(Arc::ptr_eq(&first, &second));
    }

    #[test]
    fn texts_of_one_shape_are_parsed_once_unless_a_constant_meant_something() {
        let mut parsers = Parsers::start(&Arc::default()).expect("threads");
        let mut is_known_after = |first: &str, then: &str| {
            parsers.analyse(&text(first));
            !matches!(parsers.begin(&text(then), false), Pending::Parsing { .. })
        };
        assert!(is_known_after("select a from t where b = 1", "select a from t where b = 22"));
        assert!(is_known_after("select a from t where b = 'x'", "select a from t where b = 'y'"));
        assert!(!is_known_after("select a from t where b = 1", "select a from u where b = 1"));
        assert!(!is_known_after("select set_config('a.b', 'x', false)", "select set_config('a.b', 'y', false)"));
        assert!(is_known_after("select set_config('a.b', 'x', false)", "select set_config('a.b', 'x', false)"));
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let mut cache = Generations::default();
        cache.put((*b"used").into(), not_understood());
        for number in 0..CACHE_TEXTS_MAX * 3 {
            cache.put(number.to_string().into_bytes().into(), not_understood());
            assert!(cache.get(b"used").is_some());
            assert!(cache.young.len() + cache.old.len() <= 2 * CACHE_TEXTS_MAX + 1);
        }
        assert!(cache.get(b"0").is_none());
    }
}
