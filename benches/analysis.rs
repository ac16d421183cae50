//! What understanding a statement costs: ten statements as applications send them, of 0.2 to 2 KB, parsed anew and found again.
//!
//! Found again in two ways: a prepared statement's text is where it was, and a text that was sent anew has the shape of one before. What is
//! found is found without an allocation, which is checked before anything is measured.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mimalloc::MiMalloc;
use mitsuke::analysis::Parsers;
use mitsuke::sql::analyze;

/// As many texts as keep each other from being recognised by where they lie.
const COPIES: usize = 16_384;

/// Counts what is allocated, by the allocator that the program has.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
/// Whether anybody asks: counting would cost a cold analysis, which allocates a thousand times, a twentieth of its time.
static COUNTS: AtomicBool = AtomicBool::new(false);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes on to the program's allocator as it came.
#[allow(unsafe_code, reason = "an allocator that counts can be written in no other way")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTS.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller has it.
        unsafe { MiMalloc.alloc(layout) }
    }

    // Left out, every vector that grows would be copied.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if COUNTS.load(Ordering::Relaxed) {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: as the caller has it.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller has it.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
}

fn texts() -> Vec<Arc<[u8]>> {
    let statements = include_str!("statements.sql").split("\n\n").map(str::trim).filter(|text| !text.is_empty());
    statements.map(|text| text.as_bytes().into()).collect()
}

/// What [`Parsers::analyse`] allocates for a text that it has seen, the least of several times: other threads allocate, too.
fn allocated(parsers: &mut Parsers, text: &Arc<[u8]>) -> Option<u64> {
    COUNTS.store(true, Ordering::Relaxed);
    let least = (0..16)
        .map(|_| {
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            black_box(parsers.analyse(text));
            ALLOCATIONS.load(Ordering::Relaxed) - before
        })
        .min();
    COUNTS.store(false, Ordering::Relaxed);
    least
}

fn analysis(criterion: &mut Criterion) {
    let texts = texts();
    assert_eq!(texts.len(), 10);
    let Ok(mut parsers) = Parsers::start(&Arc::default()) else { return eprintln!("the threads could not be started") };
    let mut cold = criterion.benchmark_group("parsed anew");
    for text in &texts {
        let name = BenchmarkId::from_parameter(format!("{} bytes", text.len()));
        let text = String::from_utf8_lossy(text);
        cold.bench_function(name, |bencher| bencher.iter(|| analyze(black_box(&text))));
    }
    cold.finish();
    let mut warm = criterion.benchmark_group("found again");
    for text in &texts {
        for _ in 0..3 {
            parsers.analyse(text);
        }
        assert_eq!(allocated(&mut parsers, text), Some(0), "by its place");
        let bytes = text.len();
        warm.bench_function(BenchmarkId::new("by its place", bytes), |bencher| {
            bencher.iter(|| parsers.analyse(black_box(text)));
        });
        // More than are held by their places at a time.
        let copies: Vec<Arc<[u8]>> = (0..COPIES).map(|_| text[..].into()).collect();
        let mut copy = copies.iter().cycle();
        warm.bench_function(BenchmarkId::new("sent anew", bytes), |bencher| {
            bencher.iter(|| copy.next().map(|copy| parsers.analyse(black_box(copy))));
        });
    }
    warm.finish();
}

criterion_group!(benches, analysis);
criterion_main!(benches);
