//! Pieces read by several threads, and of them only the rows that are wanted.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::UInt64Type;

use super::*;
use crate::record::Texts;

/// A statement for each way in which a list may be there, or not.
fn varied(number: u64) -> Statement {
    let mut statement = statement(MONDAY + i64::try_from(number % 3).unwrap() * DAY_US);
    let list = |of: u64, name: &str| -> Option<Texts> {
        (of > 0).then(|| (1..of).map(|item| format!("{name}{}", (number + item) % 5).into()).collect())
    };
    statement.relations = list(number % 4, "shop.t");
    statement.subjects = list(number / 4 % 3, "person");
    statement.persons = (!number.is_multiple_of(7)).then_some(number % 3);
    statement.query = Some(format!("select {}", number % 11).into());
    statement
}

/// Statements that read a table and returned the person, or more people than are kept.
fn is_wanted(statement: &Statement) -> bool {
    let has = |list: &Option<Texts>, text: &str| list.iter().flat_map(|list| list.iter()).any(|item| &**item == text);
    let kept = statement.subjects.as_ref().map_or(0, |subjects| subjects.len() as u64);
    has(&statement.relations, "shop.t2")
        && (has(&statement.subjects, "person1") || statement.persons.is_some_and(|persons| persons > kept))
}

fn filters() -> [Filter; 2] {
    let of_table =
        |batch: &RecordBatch| Lists::of(batch, "relations").that_have(&["shop.t2", "shop.none"], batch.num_rows());
    let of_person = |batch: &RecordBatch| {
        let (rows, subjects) = (batch.num_rows(), Lists::of(batch, "subjects"));
        let persons: &ArrayRef = batch.column_by_name("persons").unwrap();
        let persons = persons.as_primitive::<UInt64Type>();
        let more = |row: usize| persons.is_valid(row) && persons.value(row) > subjects.length(row);
        &subjects.that_have(&["person1"], rows) | &BooleanBuffer::collect_bool(rows, more)
    };
    [Filter::of(&["relations"], of_table), Filter::of(&["persons", "subjects"], of_person)]
}

#[test]
fn the_rows_that_filters_want_are_read_from_files_and_journal_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(&config(folder.path()), "w").unwrap();
    for number in 0..3_000 {
        log.append(varied(number));
        if number % 500 == 499 {
            log.commit(&checkpoint(number)).unwrap();
        }
        if number == 999 || number == 1_999 {
            log.seal().unwrap();
        }
    }
    let lake = Lake::open(folder.path()).unwrap();
    let all: Vec<Statement> = lake.records::<Statement>(None).map(Result::unwrap).collect();
    let expected: Vec<u64> = all.iter().filter(|one| is_wanted(one)).map(|one| one.common.seq).collect();
    assert!(all.len() == 3_000 && expected.len() > 100, "{}", expected.len());
    let pieces = |from, to| lake.snapshot::<Statement>().unwrap().into_pieces(from, to).unwrap();
    let columns: Vec<&str> = Statement::columns().iter().map(|column| column.name).collect();
    let read = |piece: &Piece, times: &mut u32| {
        *times += 1;
        let batches = piece.read_where(&columns, &filters()).unwrap();
        batches.iter().flat_map(|batch| schema::decode::<Statement>(batch).unwrap()).collect::<Vec<_>>()
    };
    let found: Vec<Statement> =
        read_abreast(&pieces(None, None), u32::default, read, |found| found.flatten().collect());
    assert_eq!(found.iter().map(|one| one.common.seq).collect::<Vec<_>>(), expected);
    assert!(found.iter().all(|one| all.contains(one)), "whole, as they are");

    let none =
        Filter::of(&["relations"], |batch| Lists::of(batch, "relations").that_have(&["shop.none"], batch.num_rows()));
    let dates = |from, to| {
        let pieces = pieces(from, to).into_iter();
        pieces.map(|piece| piece.date().to_owned()).collect::<std::collections::BTreeSet<_>>()
    };
    let tuesday = Timestamp(MONDAY + DAY_US);
    assert!(dates(Some(tuesday), None).iter().eq(["2026-11-24", "2026-11-25"]));
    assert!(dates(None, Some(tuesday)).iter().eq(["2026-11-23", "2026-11-24"]));
    let monday = pieces(Some(Timestamp(MONDAY)), Some(Timestamp(MONDAY + 1)));
    assert!(!monday.is_empty() && monday.iter().all(|piece| piece.date() == "2026-11-23"));
    for piece in monday {
        let none = piece.read_where(&columns, std::slice::from_ref(&none)).unwrap();
        assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
        let lacking =
            Filter::of(&["lacking"], |batch| Lists::of(batch, "lacking").that_have(&["any"], batch.num_rows()));
        let none = piece.read_where(&["seq"], &[lacking]).unwrap();
        assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }
}
