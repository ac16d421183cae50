//! A scan that leaves texts in the dictionaries in which the files have them.
//!
//! In: a plan's part below an aggregate, and columns of it. Out: the same rows with these columns as dictionaries, or nothing where they are asked more of
//! on the way, or come from no file. A row group whose texts are too many for a dictionary has one made for it: slower, and the same.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, cast};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, Partitioning, ReplaceChildrenOptions};

use crate::query::readers::{InDictionaries, dictionary, with_dictionaries};

/// The same rows with these columns in dictionaries; `None` where nothing is to be had that way.
///
/// # Errors
/// The engine refuses a plan.
pub fn in_dictionaries(plan: &Arc<dyn ExecutionPlan>, columns: &[usize]) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(union) = plan.downcast_ref::<UnionExec>() {
        let inputs = union.inputs().iter().map(|input| Ok((input, in_dictionaries(input, columns)?)));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        if inputs.iter().all(|(_, in_dictionaries)| in_dictionaries.is_none()) {
            return Ok(None);
        }
        let inputs = inputs.into_iter().map(|(input, done)| done.map_or_else(|| coded(input, columns), Ok));
        return UnionExec::try_new(inputs.collect::<Result<_>>()?).map(Some);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let Some(handed_on) = handed_on(projection.expr(), columns, None) else { return Ok(None) };
        let places: Vec<usize> = handed_on.iter().map(Column::index).collect();
        let Some(input) = in_dictionaries(projection.input(), &places)? else { return Ok(None) };
        return Ok(Some(Arc::new(ProjectionExec::try_new(projection.expr().to_vec(), input)?)));
    }
    let is_dealt_out = |of: &RepartitionExec| matches!(of.partitioning(), Partitioning::RoundRobinBatch(_));
    if plan.downcast_ref::<RepartitionExec>().is_some_and(is_dealt_out) || plan.is::<CooperativeExec>() {
        let [input] = plan.children()[..] else { return Ok(None) };
        let Some(input) = in_dictionaries(input, columns)? else { return Ok(None) };
        let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        return Arc::clone(plan).replace_children(vec![input], anew).map(Some);
    }
    let Some(scan) = plan.downcast_ref::<DataSourceExec>() else { return Ok(None) };
    let Some((config, source)) = scan.downcast_to_file_source::<ParquetSource>() else { return Ok(None) };
    let projection: Vec<ProjectionExpr> = source.projection().into_iter().flat_map(|of| of.iter().cloned()).collect();
    let Some(texts) = handed_on(&projection, columns, source.filter()) else { return Ok(None) };
    let texts = texts.iter().map(|column| column.name().to_owned()).collect();
    Ok(of_files(config, source, texts)?.map(|config| DataSourceExec::from_data_source(config) as _))
}

/// What these columns are below a projection, where it does nothing but hand them on, and no condition asks for them.
fn handed_on(
    projection: &[ProjectionExpr],
    columns: &[usize],
    condition: Option<Arc<dyn PhysicalExpr>>,
) -> Option<Vec<Column>> {
    let below = columns.iter().map(|place| projection.get(*place)?.expr.downcast_ref::<Column>().cloned());
    let below = below.collect::<Option<Vec<Column>>>()?;
    let others = projection.iter().enumerate().filter(|(place, _)| !columns.contains(place));
    let mut others = others.map(|(_, of)| Arc::clone(&of.expr)).chain(condition);
    let is_asked_more = others.any(|other| collect_columns(&other).iter().any(|column| below.contains(column)));
    (!is_asked_more).then_some(below)
}

/// The same scan, which says of each file that these columns are wanted in dictionaries.
fn of_files(config: &FileScanConfig, source: &ParquetSource, texts: Vec<String>) -> Result<Option<FileScanConfig>> {
    let (Some(readers), Some(projection)) = (source.parquet_file_reader_factory(), source.projection()) else {
        return Ok(None);
    };
    let was = source.table_schema();
    let partition: Vec<FieldRef> = was.table_partition_cols().iter().cloned().collect();
    let table = TableSchema::builder(Arc::new(with_dictionaries(was.file_schema(), &texts)))
        .with_table_partition_cols(partition)
        .build();
    let mut whole = ParquetSource::new(table)
        .with_table_parquet_options(source.table_parquet_options().clone())
        .with_parquet_file_reader_factory(Arc::clone(readers));
    if let Some(filter) = source.filter() {
        whole = whole.with_predicate(filter);
    }
    let Some(source) = whole.try_pushdown_projection(projection)? else { return Ok(None) };
    let texts = InDictionaries(texts.into());
    let of_group = |group: &FileGroup| {
        FileGroup::new(group.files().iter().map(|file| file.clone().with_extension(texts.clone())).collect())
    };
    let groups = config.file_groups.iter().map(of_group).collect();
    Ok(Some(FileScanConfigBuilder::from(config.clone()).with_source(source).with_file_groups(groups).build()))
}

/// The same rows, their texts put into dictionaries: of what lies in memory.
fn coded(plan: &Arc<dyn ExecutionPlan>, columns: &[usize]) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = plan.schema();
    let each = schema.fields().iter().enumerate().map(|(place, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), place));
        let expr = if columns.contains(&place) { cast(column, &schema, dictionary())? } else { column };
        Ok(ProjectionExpr::new(expr, field.name()))
    });
    Ok(Arc::new(ProjectionExec::try_new(each.collect::<Result<Vec<_>>>()?, Arc::clone(plan))?))
}
