//! What a command records of itself, whenever it is killed.

use super::*;
use crate::record::{Review, Verdict};

fn asked(about: &str) -> Asked {
    Asked { at: Timestamp(MONDAY), reviewer: "anna".to_owned(), about: about.to_owned(), comment: None }
}

fn abouts(path: &Path) -> Vec<String> {
    let reviews = Lake::open(path).unwrap().records::<Review>(None).map(Result::unwrap);
    let mut abouts: Vec<String> = reviews
        .inspect(|review| assert_eq!(review.verdict, Some(Verdict::Queried)))
        .map(|review| review.about.as_deref().unwrap().to_owned())
        .collect();
    abouts.sort();
    abouts
}

#[test]
fn a_question_is_there_before_its_answer_and_is_sealed_by_the_next_command_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut sidecar = Log::open(&config, "w").unwrap();
    let mut killed = Reading::open(&config, Timestamp(MONDAY)).unwrap();
    killed.record(asked("1")).unwrap();
    assert_eq!(abouts(folder.path()), ["1"]);
    // Another at the same time has a name of its own, and neither is the sidecar's.
    let mut beside = Reading::open(&config, Timestamp(MONDAY)).unwrap();
    beside.record(asked("2")).unwrap();
    sidecar.append(statement(MONDAY));
    sidecar.commit(&checkpoint(1)).unwrap();
    drop(killed);
    beside.close().unwrap();
    let mut next = Reading::open(&config, Timestamp(MONDAY)).unwrap();
    next.record(asked("3")).unwrap();
    next.close().unwrap();
    sidecar.close().unwrap();
    assert_eq!(abouts(folder.path()), ["1", "2", "3"]);
    let found = verify(&Place::folder(folder.path()), &Held::default(), &mut |_| {}).unwrap();
    assert_eq!(
        (found.faults.len(), found.unsealed.clone(), found.proofs.len()),
        (0, Some(Unsealed::default()), 3),
        "{found:?}"
    );
    assert_eq!(found.proofs.iter().map(|proof| proof.records).sum::<u64>(), 4);
}

#[test]
fn a_long_question_is_cut_short_at_a_character() {
    let folder = tempfile::tempdir().unwrap();
    drop(Log::open(&config(folder.path()), "w").unwrap());
    let mut reading = Reading::open(&config(folder.path()), Timestamp(MONDAY)).unwrap();
    reading.record(asked(&"あ".repeat(10_000))).unwrap();
    let about = abouts(folder.path()).remove(0);
    assert!(about.ends_with("あ…") && about.len() < 9_000, "{}", about.len());
}

#[test]
fn without_the_signing_key_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { signing_key: folder.path().join("elsewhere"), ..config(folder.path()) };
    assert!(Reading::open(&config, Timestamp(MONDAY)).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
