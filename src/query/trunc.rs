//! `date_trunc` of the log's own times, by arithmetic.
//!
//! In: a unit and times. Out: what DataFusion's own makes of them. That asks a calendar about each time, and of times in UTC, which all times of the
//! log are, the zone's rules as well. Units of one length, up to a week, need neither; a longer one is asked about once a run of times of one day.

use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take;
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
        let [ColumnarValue::Scalar(unit), ColumnarValue::Array(times)] = &mut arguments.args[..] else {
            return self.plain.inner().invoke_with_args(arguments);
        };
        let zone = match times.data_type() {
            DataType::Timestamp(TimeUnit::Microsecond, zone) if zone.as_deref().is_none_or(|zone| zone == "UTC") => {
                zone.clone()
            }
            _ => return self.plain.inner().invoke_with_args(arguments),
        };
        let unit = unit.try_as_str().flatten().map(str::to_lowercase).unwrap_or_default();
        let of_times = times.as_primitive::<TimestampMicrosecondType>();
        if let Some((length, begin)) = length(&unit) {
            let truncated = of_times.unary::<_, TimestampMicrosecondType>(|at| down(at, length, begin));
            return Ok(ColumnarValue::Array(Arc::new(truncated.with_timezone_opt(zone))));
        }
        let days = of_times.unary::<_, TimestampMicrosecondType>(|at| down(at, DAY, 0));
        let (runs, of_rows) = runs(&days);
        *times = Arc::new(runs);
        arguments.number_rows = times.len();
        let truncated = self.plain.inner().invoke_with_args(arguments)?.into_array(of_rows.len())?;
        let truncated = take(&truncated, &UInt32Array::from(of_rows), None)?;
        let truncated = truncated.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(zone);
        Ok(ColumnarValue::Array(Arc::new(truncated)))
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.plain.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.plain.documentation()
    }
}

/// A day, microseconds.
const DAY: i64 = 86_400_000_000;

/// The length of a unit, and where one of them begins, microseconds; `None` of those of which one is longer than another.
fn length(unit: &str) -> Option<(i64, i64)> {
    Some(match unit {
        "second" => (1_000_000, 0),
        "minute" => (60_000_000, 0),
        "hour" => (3_600_000_000, 0),
        "day" => (DAY, 0),
        // 1970-01-05 was a Monday.
        "week" => (7 * DAY, 4 * DAY),
        _ => return None,
    })
}

fn down(at: i64, length: i64, begin: i64) -> i64 {
    at.wrapping_sub(at.wrapping_sub(begin).rem_euclid(length))
}

/// Neighbours that are alike as one, and which one each row has.
fn runs(times: &TimestampMicrosecondArray) -> (TimestampMicrosecondArray, Vec<u32>) {
    let mut runs: Vec<Option<i64>> = Vec::new();
    let mut of_rows = Vec::with_capacity(times.len());
    for time in times {
        if runs.last() != Some(&time) {
            runs.push(time);
        }
        of_rows.push(u32::try_from(runs.len()).unwrap_or(u32::MAX).saturating_sub(1));
    }
    (runs.into(), of_rows)
}

#[cfg(test)]
mod tests {
    use arrow::array::ArrayRef;
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
        let mut moments = vec![None, Some(0), Some(-1), Some(1), Some(1_709_164_799_999_999), Some(-DAY), Some(DAY)];
        moments.extend((-40..40).map(|number| Some(1_709_164_800_000_000 + number * DAY + number)));
        moments.extend((-50..50).map(|number| Some(number * 7_777_777_777_777 + number)));
        for zone in [Some("UTC"), None, Some("Asia/Tokyo")] {
            let times = TimestampMicrosecondArray::from(moments.clone()).with_timezone_opt(zone);
            let times: ArrayRef = Arc::new(times);
            for unit in ["second", "minute", "hour", "day", "week", "month", "quarter", "year", "Week", "MONTH"] {
                let (ours, theirs) = (truncated(&trunc(), unit, &times), truncated(&date_trunc(), unit, &times));
                assert_eq!(&ours, &theirs, "{unit} {zone:?}");
            }
        }
    }
}
