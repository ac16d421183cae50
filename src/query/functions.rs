//! Functions of our own: `person('4711')` and `week(at)`.
//!
//! In: a person's key as the subject column has it, or a time. Out: the keyed hash that stands in `subjects`; the week as ISO 8601
//! writes it. The value that was asked for goes nowhere else. A condition on `week(at)` opens the files of its days only.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder, new_null_array};
use arrow::compute::{DatePart, cast, date_part};
use arrow::datatypes::{DataType, Int32Type, TimeUnit};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use jiff::civil::{Date, ISOWeekDate, Weekday};

use crate::audit::Key;

/// Their names, for who completes and explains.
pub const NAMES: [&str; 2] = ["person", "week"];

/// The functions; the key file is read when the first person is asked for.
pub fn all(key_file: Option<PathBuf>) -> [ScalarUDF; 2] {
    let person = Person { signature: Signature::any(1, Volatility::Immutable), key_file, key: OnceLock::new() };
    let week = Week { signature: Signature::any(1, Volatility::Immutable) };
    [ScalarUDF::new_from_impl(person), ScalarUDF::new_from_impl(week)]
}

#[derive(Debug)]
struct Person {
    signature: Signature,
    key_file: Option<PathBuf>,
    key: OnceLock<std::result::Result<Key, String>>,
}

impl PartialEq for Person {
    fn eq(&self, other: &Person) -> bool {
        self.key_file == other.key_file
    }
}

impl Eq for Person {}

impl Hash for Person {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key_file.hash(state);
    }
}

impl Person {
    fn key(&self) -> Result<&Key> {
        let read = || match &self.key_file {
            Some(path) => Key::load(path).map_err(|error| error.to_string()),
            None => Err("no key file is named".to_owned()),
        };
        self.key.get_or_init(read).as_ref().map_err(|error| {
            let what = "person() hashes under the key that the log was written with";
            DataFusionError::Execution(format!("{what}: {error}; name its file as [privacy].key_file"))
        })
    }
}

impl ScalarUDFImpl for Person {
    fn name(&self) -> &'static str {
        NAMES[0]
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [of] if of.is_string() || of.is_integer() || of.is_null() => Ok(DataType::Utf8),
            _ => plan_err!("person() takes the value of a subject column: person('4711')"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let key = self.key()?;
        by_row(&arguments.args, |values| {
            let values = cast(values, &DataType::Utf8)?;
            let mut hashes = StringBuilder::new();
            values.as_string::<i32>().iter().for_each(|value| {
                hashes.append_option(value.map(|value| key.subject_hash(value)));
            });
            Ok(Arc::new(hashes.finish()))
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Week {
    signature: Signature,
}

impl ScalarUDFImpl for Week {
    fn name(&self) -> &'static str {
        NAMES[1]
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Timestamp(..) | DataType::Date32 | DataType::Null] => Ok(DataType::Utf8),
            _ => plan_err!("week() takes a time or a date: week(at), week(dt), week(at at time zone 'Asia/Tokyo')"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        by_row(&arguments.args, |times| {
            if times.data_type().is_null() {
                return Ok(new_null_array(&DataType::Utf8, times.len()));
            }
            let (years, weeks) = (date_part(times, DatePart::YearISO)?, date_part(times, DatePart::WeekISO)?);
            let (years, weeks) = (years.as_primitive::<Int32Type>(), weeks.as_primitive::<Int32Type>());
            let mut texts = StringBuilder::with_capacity(times.len(), times.len() * "2026-W47".len());
            // Neighbours lie in one week, mostly.
            let mut last = ((0, 0), String::new());
            for (year, week) in years.iter().zip(weeks) {
                let Some(week) = year.zip(week) else {
                    texts.append_null();
                    continue;
                };
                if last.1.is_empty() || last.0 != week {
                    last = (week, format!("{:04}-W{:02}", week.0, week.1));
                }
                texts.append_value(&last.1);
            }
            Ok(Arc::new(texts.finish()))
        })
    }

    /// `week(at) = '2026-W47'` is a time from Monday to Monday.
    fn preimage(&self, arguments: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        let ([of], Some(text)) = (arguments, literal.as_literal().and_then(|value| value.try_as_str().flatten()))
        else {
            return Ok(PreimageResult::None);
        };
        let Some(monday) = monday(text) else { return Ok(PreimageResult::None) };
        let Ok(next) = monday.checked_add(jiff::Span::new().days(7)) else { return Ok(PreimageResult::None) };
        let shown = info.get_data_type(of)?;
        // Another zone's clock shows the same moment: what is compared is the moment.
        let moment = match of {
            Expr::Cast(cast) if zone(&shown).is_some() && zone(&info.get_data_type(&cast.expr)?).is_some() => {
                &cast.expr
            }
            of => of,
        };
        let kind = info.get_data_type(moment)?;
        let bounds = bound(monday, zone(&shown), &kind).zip(bound(next, zone(&shown), &kind));
        let Some((from, to)) = bounds else { return Ok(PreimageResult::None) };
        Ok(PreimageResult::Range { expr: moment.clone(), interval: Box::new(Interval::try_new(from, to)?) })
    }
}

/// Where a week begins; `None` for what is no week in the form that [`Week`] writes.
fn monday(text: &str) -> Option<Date> {
    let (year, week) = text.split_once("-W")?;
    let number = |digits: &str, length: usize| {
        let proper = digits.len() == length && digits.bytes().all(|byte| byte.is_ascii_digit());
        proper.then(|| digits.parse::<i16>().ok())?
    };
    let week = i8::try_from(number(week, 2)?).ok()?;
    Some(ISOWeekDate::new(number(year, 4)?, week, Weekday::Monday).ok()?.date())
}

/// The zone whose clock a type shows.
fn zone(kind: &DataType) -> Option<&str> {
    match kind {
        DataType::Timestamp(_, zone) => zone.as_deref(),
        _ => None,
    }
}

/// Midnight of a day in a zone, in the type of what is compared with it.
fn bound(day: Date, zone: Option<&str>, kind: &DataType) -> Option<ScalarValue> {
    let epoch = Date::constant(1970, 1, 1);
    match kind {
        DataType::Date32 => Some(ScalarValue::Date32(Some(day.since(epoch).ok()?.get_days()))),
        DataType::Timestamp(TimeUnit::Microsecond, of) => {
            let micros = day.in_tz(zone.unwrap_or("UTC")).ok()?.timestamp().as_microsecond();
            Some(ScalarValue::TimestampMicrosecond(Some(micros), of.clone()))
        }
        _ => None,
    }
}

/// Constants stay constants.
fn by_row(arguments: &[ColumnarValue], each: impl Fn(&ArrayRef) -> Result<ArrayRef>) -> Result<ColumnarValue> {
    match arguments {
        [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(each(values)?)),
        [ColumnarValue::Scalar(value)] => {
            let value = each(&value.to_array()?)?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?))
        }
        _ => exec_err!("one argument belongs here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_its_monday_and_what_is_none_has_no_beginning() {
        assert_eq!(monday("2026-W47"), Some(Date::constant(2026, 11, 16)));
        assert_eq!(monday("2026-W01"), Some(Date::constant(2025, 12, 29)));
        assert_eq!(monday("2026-W53"), Some(Date::constant(2026, 12, 28)));
        for text in ["2025-W53", "2026-W00", "2026W47", "2026-W7", "2026-w47", "", "+026-W47", "2026-W54"] {
            assert_eq!(monday(text), None, "{text}");
        }
    }
}
