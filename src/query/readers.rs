//! What a file says of itself before it is read, as a question wants it said: texts as dictionaries, and nothing of row groups that cannot have what
//! is sought.
//!
//! In: a file of a scan that carries [`InDictionaries`] or [`Sought`]. Out: its metadata, in which these columns are dictionaries, whatever others it
//! has and lacks; and from which row groups are left out whose bloom filter knows nothing of the one that is sought. The engine asks bloom filters
//! about plain columns itself; about lists it does not. A file without such filters is read as a whole.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::{Buf, Bytes};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::DefaultParquetFileReaderFactory;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::object_store::ObjectStore;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::arrow::{ARROW_SCHEMA_META_KEY, encode_arrow_schema, parquet_to_arrow_schema};
use parquet::bloom_filter::Sbbf;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, KeyValue, ParquetMetaData, ParquetMetaDataBuilder, RowGroupMetaData,
};
use parquet::file::reader::{ChunkReader, Length};

/// So many different schemas are kept.
const SCHEMAS_MAX: usize = 64;
/// A longer bloom filter is not asked.
const FILTER_BYTES_MAX: usize = 8 << 20;

/// Of a file: these columns of texts are to come as dictionaries.
#[derive(Clone, Debug)]
pub struct InDictionaries(pub Arc<[String]>);

/// Of a file: only rows are wanted in which a list has this text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sought {
    column: String,
    text: String,
}

impl Sought {
    /// What conditions say, all of which must hold, of a list that has a text.
    pub fn by(conditions: &[Expr]) -> Option<Sought> {
        conditions.iter().find_map(|condition| match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Sought::by(std::slice::from_ref(left)).or_else(|| Sought::by(std::slice::from_ref(right)))
            }
            Expr::ScalarFunction(function) if function.func.name() == "array_has" => match &function.args[..] {
                [Expr::Column(column), of] => {
                    let text = of.as_literal()?.try_as_str().flatten()?.to_owned();
                    Some(Sought { column: column.name.clone(), text })
                }
                _ => None,
            },
            _ => None,
        })
    }
}

/// A text that is read out of its dictionary.
pub fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// A schema in which these columns, where they are texts, are dictionaries.
pub fn with_dictionaries(schema: &SchemaRef, texts: &[String]) -> Schema {
    let fields = schema.fields().iter().map(|field| match texts.contains(field.name()) {
        true if field.data_type() == &DataType::Utf8 => {
            Arc::new(Field::new(field.name(), dictionary(), field.is_nullable()))
        }
        _ => Arc::clone(field),
    });
    Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone())
}

/// A file's schema and columns, and the schema that is said in its place: files have few different ones.
type Schemas = Arc<Mutex<HashMap<(String, Arc<[String]>), String>>>;

/// Opens files for scans.
#[derive(Debug)]
pub struct Readers {
    plain: DefaultParquetFileReaderFactory,
    schemas: Schemas,
}

impl Readers {
    /// Of a store.
    pub fn of(store: Arc<dyn ObjectStore>) -> Readers {
        Readers { plain: DefaultParquetFileReaderFactory::new(store), schemas: Arc::default() }
    }
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let texts = file.extension::<InDictionaries>().cloned();
        let sought = file.extension::<Sought>().cloned();
        let plain = self.plain.create_reader(partition, file, metadata_size_hint, metrics)?;
        if texts.is_none() && sought.is_none() {
            return Ok(plain);
        }
        Ok(Box::new(Reader { plain, texts, sought, schemas: Arc::clone(&self.schemas) }))
    }
}

/// One file's.
struct Reader {
    plain: Box<dyn AsyncFileReader + Send>,
    texts: Option<InDictionaries>,
    sought: Option<Sought>,
    schemas: Schemas,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.plain.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.plain.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move {
            let mut metadata = self.plain.get_metadata(options).await?;
            if let Some(sought) = self.sought.clone() {
                metadata = self.with_what_is_sought(metadata, &sought).await?;
            }
            if let Some(InDictionaries(texts)) = &self.texts {
                let schema = self.schema(metadata.file_metadata(), texts)?;
                metadata = Arc::new(with_schema(Arc::unwrap_or_clone(metadata), schema));
            }
            Ok(metadata)
        }
        .boxed()
    }
}

impl Reader {
    /// The schema that is said in the place of the file's.
    fn schema(&self, file: &FileMetaData, texts: &Arc<[String]>) -> ParquetResult<String> {
        let encoded = || {
            let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata())?;
            Ok(encode_arrow_schema(&with_dictionaries(&Arc::new(schema), texts)))
        };
        let mut pairs = file.key_value_metadata().into_iter().flatten();
        let said = pairs.find(|pair| pair.key == ARROW_SCHEMA_META_KEY).and_then(|pair| pair.value.clone());
        let Some(said) = said else { return encoded() };
        let mut schemas = self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (said, Arc::clone(texts));
        if let Some(known) = schemas.get(&key) {
            return Ok(known.clone());
        }
        let encoded = encoded()?;
        if schemas.len() < SCHEMAS_MAX {
            schemas.insert(key, encoded.clone());
        }
        Ok(encoded)
    }

    /// A file's metadata without the row groups that cannot have it.
    async fn with_what_is_sought(
        &mut self,
        metadata: Arc<ParquetMetaData>,
        sought: &Sought,
    ) -> ParquetResult<Arc<ParquetMetaData>> {
        let mut kept = Vec::with_capacity(metadata.num_row_groups());
        for group in metadata.row_groups() {
            kept.push(match filter_of(group, &sought.column) {
                Some((column, range)) => {
                    let bytes = self.plain.get_bytes(range.clone()).await?;
                    let filter = Sbbf::read_from_column_chunk(column, &Part { bytes, begin: range.start })?;
                    filter.is_none_or(|filter| filter.check(sought.text.as_str()))
                }
                None => true,
            });
        }
        if kept.iter().all(|kept| *kept) {
            return Ok(metadata);
        }
        let mut builder = Arc::unwrap_or_clone(metadata).into_builder();
        let mut kept = kept.into_iter();
        let groups = builder.take_row_groups().into_iter().filter(|_| kept.next().unwrap_or(true)).collect();
        // They are by row group; the engine reads those that it needs anew.
        Ok(Arc::new(builder.set_row_groups(groups).set_column_index(None).set_offset_index(None).build()))
    }
}

/// The items of a list in a row group, and where their bloom filter lies, if they have one.
fn filter_of<'g>(group: &'g RowGroupMetaData, column: &str) -> Option<(&'g ColumnChunkMetaData, Range<u64>)> {
    let is_of_it = |of: &&ColumnChunkMetaData| of.column_path().parts().first().is_some_and(|first| first == column);
    let mut leaves = group.columns().iter().filter(is_of_it);
    let (Some(items), None) = (leaves.next(), leaves.next()) else { return None };
    let begin = u64::try_from(items.bloom_filter_offset()?).ok()?;
    let bytes = usize::try_from(items.bloom_filter_length()?).ok().filter(|bytes| *bytes <= FILTER_BYTES_MAX)?;
    Some((items, begin..begin.checked_add(bytes as u64)?))
}

/// A file's metadata that say another schema.
fn with_schema(metadata: ParquetMetaData, schema: String) -> ParquetMetaData {
    let file = metadata.file_metadata();
    let mut pairs: Vec<KeyValue> = file.key_value_metadata().cloned().unwrap_or_default();
    pairs.retain(|pair| pair.key != ARROW_SCHEMA_META_KEY);
    pairs.push(KeyValue::new(ARROW_SCHEMA_META_KEY.to_owned(), schema));
    let file = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(ToOwned::to_owned),
        Some(pairs),
        file.schema_descr_ptr(),
        file.column_orders().cloned(),
    );
    let mut was = metadata.into_builder();
    ParquetMetaDataBuilder::new(file)
        .set_row_groups(was.take_row_groups())
        .set_column_index(was.take_column_index())
        .set_offset_index(was.take_offset_index())
        .build()
}

/// A part of a file, which is asked for by its place in the file.
struct Part {
    bytes: Bytes,
    begin: u64,
}

impl Part {
    fn from(&self, begin: u64) -> ParquetResult<Bytes> {
        let within = begin.checked_sub(self.begin).and_then(|within| usize::try_from(within).ok());
        let within = within.filter(|within| *within <= self.bytes.len());
        within.map(|within| self.bytes.slice(within..)).ok_or_else(|| ParquetError::EOF("no such part".to_owned()))
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.begin.saturating_add(self.bytes.len() as u64)
    }
}

impl ChunkReader for Part {
    type T = Box<dyn Read + Send>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(Box::new(self.from(start)?.reader()))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let from = self.from(start)?;
        if length > from.len() {
            return Err(ParquetError::EOF("no such part".to_owned()));
        }
        Ok(from.slice(..length))
    }
}
