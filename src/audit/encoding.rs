//! How each column of a Parquet file is encoded: chosen by size, measured column by column (`benches/README.md`).
//!
//! In: a file's schema. Out: writer properties. Only encodings that every engine reads which the log is made for: of the newer ones,
//! `BYTE_STREAM_SPLIT` for whole numbers would be smaller for some, and Spark 3 refuses it.

use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::file::properties::WriterPropertiesBuilder;
use ::parquet::schema::types::ColumnPath;
use arrow::datatypes::Schema;

/// Of all columns but keyed hashes.
const ZSTD_LEVEL: i32 = 3;
/// Numbers that rise: the differences are small, and a dictionary would hold each of them.
const RISING: [&str; 5] = ["seq", "at", "ended_at", "statement_no", "transaction_no"];
/// Keyed hashes: 16 random bytes written as 32 digits, of which half is all that can be saved. A dictionary pays as long as they repeat: in few
/// rows, those of few people; in many, those of a hundred thousand.
const HASHES: [&str; 2] = ["subjects", "literals"];
const HASHES_DICTIONARY_BYTES_MAX: usize = 64 << 10;
const MANY_ROWS: u64 = 256 << 10;
const MANY_HASHES_DICTIONARY_BYTES_MAX: usize = 4 << 20;
/// A higher level was measured to make them larger.
const HASHES_ZSTD_LEVEL: i32 = 1;
/// Columns that are searched for one value among many files.
const SEARCHED: [&str; 3] = ["session_id", "fingerprint", "finding_id"];
/// Lists that are searched for one person: a byte more a hash, and a file that has never seen them need not be read.
const PEOPLE: [&str; 1] = ["subjects"];

/// The properties of a file with these columns, of whose row groups none has more than `rows`.
pub(super) fn encoded(mut properties: WriterPropertiesBuilder, schema: &Schema, rows: u64) -> WriterPropertiesBuilder {
    let has = |column: &&str| schema.field_with_name(column).is_ok();
    properties = properties.set_compression(zstd(ZSTD_LEVEL));
    for column in RISING.iter().filter(|column| has(column)).map(|column| ColumnPath::from(*column)) {
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    let dictionary_bytes_max =
        if rows >= MANY_ROWS { MANY_HASHES_DICTIONARY_BYTES_MAX } else { HASHES_DICTIONARY_BYTES_MAX };
    for column in HASHES.iter().filter(|column| has(column)) {
        let items = items(column);
        properties = properties
            .set_column_dictionary_page_size_limit(items.clone(), dictionary_bytes_max)
            .set_column_encoding(items.clone(), Encoding::DELTA_LENGTH_BYTE_ARRAY)
            .set_column_compression(items, zstd(HASHES_ZSTD_LEVEL));
    }
    let lists = PEOPLE.iter().filter(|column| has(column)).map(|column| items(column));
    let searched = SEARCHED.iter().filter(|column| has(column)).map(|column| ColumnPath::from(*column));
    for column in searched.chain(lists) {
        properties = properties
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_max_ndv(column, rows);
    }
    properties
}

/// What a list's items are called in a file.
pub(super) fn items(column: &str) -> ColumnPath {
    ColumnPath::new(vec![column.to_owned(), "list".to_owned(), "item".to_owned()])
}

fn zstd(level: i32) -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(level).unwrap_or_default())
}
