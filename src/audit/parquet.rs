//! The Parquet files of the log: their names, what they say of themselves, and how they are written.
//!
//! In: names and metadata of files, here or in a store; what a file will hold. Out: whose it is and which numbers it has; the properties of its
//! writer. Refuses a file that does not say what it holds.

use std::fs::File;
use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataReader, SortingColumn};
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::file::statistics::Statistics;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::encoding::{self, encoded};
use super::schema::SCHEMA_VERSION;
use super::store::Store;
use super::{Error, folder};

/// Rows of a row group: small enough that a time range skips most of a file.
const ROW_GROUP_ROWS_MAX: usize = 128 << 10;
/// A file of more rows than these has larger ones: a dictionary is written once for each, and within it the index of pages skips what no time
/// range asks for.
const LARGE_FILE_ROWS: usize = 512 << 10;
const LARGE_ROW_GROUP_ROWS_MAX: usize = 1 << 20;
/// Of a large file with people in it, of whom there are more than one in [`ROWS_A_PERSON`] rows: whoever seeks one of them reads whole row groups.
const PEOPLES_ROW_GROUP_ROWS_MAX: usize = 256 << 10;
const ROWS_A_PERSON: u64 = 100;
/// How long the rows of a row group are at most in the files that they come from, bytes: together they are half as long at best.
pub const ROW_GROUP_BYTES_MAX: u64 = 32 << 20;
/// Statistics of texts are cut off at this length, bytes.
const STATISTICS_BYTES_MAX: usize = 64;
/// What is read of a file's end first, to see its metadata.
pub const FOOTER_BYTES: u64 = 64 << 10;

/// Metadata keys of a file of the log.
pub const META_WRITER: &str = "mitsuke.writer";
/// The lowest `seq` in the file.
pub const META_FIRST_SEQ: &str = "mitsuke.first_seq";
/// The highest.
pub const META_LAST_SEQ: &str = "mitsuke.last_seq";
/// See [`SCHEMA_VERSION`].
pub const META_SCHEMA: &str = "mitsuke.schema";
/// Which key file hashes are made under: tells keys apart, and says nothing about them.
pub const META_KEY: &str = "mitsuke.key";
/// The version that wrote it.
pub const META_VERSION: &str = "mitsuke.version";

/// The digits of a number in a file's name.
const NUMBER_DIGITS: usize = 20;

/// What a file's name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'n> {
    /// Who wrote it.
    pub writer: &'n str,
    /// The lowest number in it.
    pub first_seq: u64,
    /// The highest, of one that was compacted: it holds what files between the two have held.
    pub last_seq: Option<u64>,
}

impl Named<'_> {
    /// Whether another file of the same folder holds its records.
    pub fn is_replaced_by(&self, other: &Named<'_>) -> bool {
        let Some(last_seq) = other.last_seq else { return false };
        let ours = (self.first_seq, self.last_seq.unwrap_or(self.first_seq));
        self != other && self.writer == other.writer && other.first_seq <= ours.0 && ours.1 <= last_seq
    }
}

/// The file's name: names of one writer sort as numbers do.
pub fn file_name(writer: &str, first_seq: u64) -> String {
    format!("{writer}-{first_seq:0NUMBER_DIGITS$}.parquet")
}

/// The name of a file that holds what others have held.
pub fn compacted_name(writer: &str, first_seq: u64, last_seq: u64) -> String {
    format!("{writer}-{first_seq:0NUMBER_DIGITS$}-{last_seq:0NUMBER_DIGITS$}.parquet")
}

/// What a name tells; `None` for a file that is no part of the log.
pub fn parse_name(name: &str) -> Option<Named<'_>> {
    let (rest, last) = name.strip_suffix(".parquet")?.rsplit_once('-')?;
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| text.len() == NUMBER_DIGITS);
    let last = last.parse().ok()?;
    let named = match rest.rsplit_once('-').map(|(writer, first)| (writer, number(first))) {
        Some((writer, Some(first_seq))) => Named { writer, first_seq, last_seq: Some(last) },
        _ => Named { writer: rest, first_seq: last, last_seq: None },
    };
    (!named.writer.is_empty() && !named.writer.starts_with(['.', '_'])).then_some(named)
}

/// The highest number of a writer that a partition holds; 0 where it holds none.
///
/// # Errors
/// The newest file of the writer cannot be read.
pub fn sealed_through(log: &Path, table: &str, date: &str, writer: &str) -> Result<u64, Error> {
    let folder = folder::partition(log, table, date);
    let newest = folder::names(&folder)?
        .into_iter()
        .filter_map(|name| {
            let named = parse_name(&name).filter(|named| named.writer == writer)?;
            Some((named.last_seq.unwrap_or(named.first_seq), folder.join(&name)))
        })
        .max();
    newest.map_or(Ok(0), |(_, path)| last_seq(&path))
}

/// The highest `seq` of a file, from its metadata.
///
/// # Errors
/// The file cannot be read, or is no file of the log.
pub fn last_seq(path: &Path) -> Result<u64, Error> {
    said(path, META_LAST_SEQ)?
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Error::Damaged { path: path.to_path_buf(), what: format!("it has no {META_LAST_SEQ}") })
}

/// What a file says under one of the keys above, if it does.
///
/// # Errors
/// The file cannot be read, or is no Parquet file.
pub fn said(path: &Path, key: &str) -> Result<Option<String>, Error> {
    let file = folder::listed(path, File::open).map_err(Error::io("open", path))?;
    let reader = SerializedFileReader::new(file).map_err(Error::parquet(path))?;
    Ok(said_by(reader.metadata().file_metadata(), key))
}

/// What metadata say under one of the keys above, if they do.
pub fn said_by(metadata: &FileMetaData, key: &str) -> Option<String> {
    let mut pairs = metadata.key_value_metadata().into_iter().flatten();
    pairs.find(|pair| pair.key == key).and_then(|pair| pair.value.clone())
}

/// The same of a file in a store, of which the end is read.
///
/// # Errors
/// As [`said`].
pub fn said_in_store(store: &Store, path: &str, bytes: u64, key: &str) -> Result<Option<String>, Error> {
    let end = store.read_end(path, bytes, FOOTER_BYTES)?;
    Ok(said_by(metadata_in_store(store, path, bytes, end)?.file_metadata(), key))
}

/// The metadata of a file in a store, of so many bytes, of which the end was read; more of it is read where they are longer.
///
/// # Errors
/// As [`said`].
pub fn metadata_in_store(store: &Store, path: &str, bytes: u64, end: Vec<u8>) -> Result<ParquetMetaData, Error> {
    let named = PathBuf::from(format!("{}/{path}", store.url()));
    let mut end = Bytes::from(end);
    if (end.len() as u64) < FOOTER_BYTES.min(bytes) {
        let what = format!("it has {} bytes and had {bytes}", end.len());
        return Err(Error::Damaged { path: named, what });
    }
    loop {
        let mut reader = ParquetMetaDataReader::new();
        match reader.try_parse_sized(&end, bytes) {
            Err(ParquetError::NeedMoreData(more)) if (end.len() as u64) < bytes => {
                let wanted = (more as u64).max((end.len() as u64).saturating_mul(2)).min(bytes);
                end = Bytes::from(store.read_end(path, bytes, wanted)?);
            }
            parsed => {
                parsed.map_err(Error::parquet(&named))?;
                return reader.finish().map_err(Error::parquet(&named));
            }
        }
    }
}

/// Where a file lies before it has its name. A fixed name: what a crash left there is written over, never piled up. Another one where
/// it is compacted: that goes on beside the sealing.
pub fn unfinished(path: &Path, writer: &str) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let is_compacted = parse_name(&name).is_some_and(|named| named.last_seq.is_some());
    path.with_file_name(format!(".{writer}.{}", if is_compacted { "compacting" } else { "unfinished" }))
}

/// How many people stand in a file's rows by their hashes, one that is in several counted for each.
pub fn people(metadata: &ParquetMetaData) -> u64 {
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    let of_people = columns.filter(|column| column.column_path() == &encoding::items("subjects"));
    let known = of_people.map(|column| {
        let nulls = column.statistics().and_then(Statistics::null_count_opt).unwrap_or(0);
        u64::try_from(column.num_values()).unwrap_or(0).saturating_sub(nulls)
    });
    known.sum()
}

/// How a file of a writer is written, under the key file's id, that holds so many rows of these numbers, and so many people in them.
pub fn properties(
    (writer, key): (&str, &str),
    seqs: (u64, u64),
    schema: &SchemaRef,
    (rows, people): (usize, u64),
) -> Result<WriterProperties, Error> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let at = i32::try_from(schema.index_of("at")?).unwrap_or_default();
    let seq = i32::try_from(schema.index_of("seq")?).unwrap_or_default();
    let sorted = [at, seq].map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false });
    let group_rows_max = match rows > LARGE_FILE_ROWS {
        true if people.saturating_mul(ROWS_A_PERSON) > rows as u64 => PEOPLES_ROW_GROUP_ROWS_MAX,
        true => LARGE_ROW_GROUP_ROWS_MAX,
        false => ROW_GROUP_ROWS_MAX,
    };
    let properties = WriterProperties::builder()
        .set_created_by(format!("mitsuke {}", env!("CARGO_PKG_VERSION")))
        .set_max_row_group_row_count(Some(group_rows_max))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_column_index_truncate_length(Some(STATISTICS_BYTES_MAX))
        .set_sorting_columns(Some(sorted.to_vec()))
        .set_key_value_metadata(Some(vec![
            pair(META_WRITER, writer.to_owned()),
            pair(META_FIRST_SEQ, seqs.0.to_string()),
            pair(META_LAST_SEQ, seqs.1.to_string()),
            pair(META_SCHEMA, SCHEMA_VERSION.to_string()),
            pair(META_KEY, key.to_owned()),
            pair(META_VERSION, env!("CARGO_PKG_VERSION").to_owned()),
        ]));
    let rows = rows.clamp(1, group_rows_max) as u64;
    Ok(encoded(properties, schema, rows).build())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ::parquet::arrow::ArrowWriter;

    use super::super::schema;
    use super::*;
    use crate::record::{Statement, Text};

    #[test]
    fn a_name_tells_the_writer_and_the_numbers() {
        let named = |writer, first_seq, last_seq| Some(Named { writer, first_seq, last_seq });
        assert_eq!(parse_name(&file_name("db-1", 7)), named("db-1", 7, None));
        assert_eq!(parse_name(&file_name("db-1-read-2", 7)), named("db-1-read-2", 7, None));
        assert_eq!(parse_name(&compacted_name("db-1-read-2", 7, 90)), named("db-1-read-2", 7, Some(90)));
        for other in ["-00000000000000000001.parquet", ".db-1-1.parquet", "db-1-x.parquet", "db-1-1.parquet.replaced"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_is_replaced_by_a_compacted_one_of_its_writer_that_has_its_numbers() {
        let names = [
            file_name("w", 1),
            file_name("w", 5),
            file_name("w", 9),
            file_name("v", 5),
            compacted_name("w", 1, 4),
            compacted_name("w", 1, 8),
            compacted_name("w", 5, 8),
        ];
        let all = compacted_name("w", 1, 8);
        let all = parse_name(&all).unwrap();
        let replaced: Vec<bool> = names.iter().map(|name| parse_name(name).unwrap().is_replaced_by(&all)).collect();
        assert_eq!(replaced, [true, true, false, false, true, false, true]);
        assert!(!all.is_replaced_by(&parse_name(&names[0]).unwrap()), "one that was not compacted replaces nothing");
    }

    #[test]
    fn people_are_counted_by_what_a_file_says_and_make_its_row_groups_smaller() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.parquet");
        let of = |people: &[&str]| Statement {
            subjects: Some(people.iter().map(|person| Text::from(*person)).collect()),
            ..Statement::default()
        };
        let rows = [of(&["a", "b"]), of(&[]), Statement::default(), of(&["a"])];
        let of_statements = schema::schema::<Statement>();
        let written = properties(("w", ""), (1, 4), &of_statements, (rows.len(), 0)).unwrap();
        let mut parquet =
            ArrowWriter::try_new(File::create(&path).unwrap(), Arc::clone(&of_statements), Some(written)).unwrap();
        parquet.write(&schema::encode(&rows).unwrap()).unwrap();
        parquet.close().unwrap();
        let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(people(file.metadata()), 3);

        let group_rows_max = |rows, people| {
            let properties = properties(("w", ""), (1, 9), &of_statements, (rows, people)).unwrap();
            properties.max_row_group_row_count()
        };
        assert_eq!(group_rows_max(LARGE_FILE_ROWS, 100_000), Some(ROW_GROUP_ROWS_MAX));
        assert_eq!(group_rows_max(1_000_000, 10_000), Some(LARGE_ROW_GROUP_ROWS_MAX));
        assert_eq!(group_rows_max(1_000_000, 10_001), Some(PEOPLES_ROW_GROUP_ROWS_MAX));
    }
}
