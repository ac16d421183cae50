//! `date_trunc` of the log's own times, without the detour by a calendar.
//!
//! In: a unit and times. Out: what DataFusion's own makes of them. Of times in UTC, which all times of the log are, it looks up the zone's rules for
//! each; of times without a zone, it does not, and in UTC the two are the same.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::error::Result;
use datafusion::functions::datetime::date_trunc;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// The function, in the place of DataFusion's.
pub fn trunc() -> ScalarUDF {
    ScalarUDF::new_from_impl(Trunc { plain: date_trunc() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Trunc {
    plain: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Trunc {
    fn name(&self) -> &str {
        self.plain.name()
    }

    fn signature(&self) -> &Signature {
        self.plain.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.plain.return_type(arguments)
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        self.plain.return_field_from_args(arguments)
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(ColumnarValue::Array(times)) = arguments.args.get_mut(1) else {
            return self.plain.inner().invoke_with_args(arguments);
        };
        let zone = match times.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if &**zone == "UTC" => Arc::clone(zone),
            _ => return self.plain.inner().invoke_with_args(arguments),
        };
        *times = Arc::new(times.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<Arc<str>>));
        let truncated = self.plain.inner().invoke_with_args(arguments)?.into_array(1)?;
        let truncated = truncated.as_primitive::<TimestampMicrosecondType>().clone().with_timezone(zone);
        Ok(ColumnarValue::Array(Arc::new(truncated)))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.plain.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.plain.documentation()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, TimestampMicrosecondArray};
    use arrow::datatypes::Field;
    use datafusion::common::ScalarValue;
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn truncated(function: &ScalarUDF, unit: &str, times: &ArrayRef) -> ArrayRef {
        let field = Arc::new(Field::new("at", times.data_type().clone(), true));
        let arguments = ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(ScalarValue::from(unit)), ColumnarValue::Array(Arc::clone(times))],
            arg_fields: vec![Arc::new(Field::new("unit", DataType::Utf8, false)), Arc::clone(&field)],
            number_rows: times.len(),
            return_field: field,
            config_options: Arc::new(ConfigOptions::default()),
        };
        function.invoke_with_args(arguments).unwrap().into_array(times.len()).unwrap()
    }

    /// Before and behind the epoch, on borders and beside them, a leap day, and null.
    #[test]
    fn it_gives_what_the_engine_s_own_gives() {
        const DAY: i64 = 86_400_000_000;
        let mut moments = vec![None, Some(0), Some(-1), Some(1), Some(1_709_164_799_999_999), Some(-DAY), Some(DAY)];
        moments.extend((-50..50).map(|number| Some(number * 7_777_777_777_777 + number)));
        for zone in [Some("UTC"), None, Some("Asia/Tokyo")] {
            let times = TimestampMicrosecondArray::from(moments.clone()).with_timezone_opt(zone);
            let times: ArrayRef = Arc::new(times);
            for unit in ["second", "minute", "hour", "day", "week", "month", "quarter", "year"] {
                let (ours, theirs) = (truncated(&trunc(), unit, &times), truncated(&date_trunc(), unit, &times));
                assert_eq!(&ours, &theirs, "{unit} {zone:?}");
            }
        }
    }
}
