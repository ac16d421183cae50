//! A condition → SQL that says the same over the log's tables, in the dialect of an engine.
//!
//! In: a checked tree. Out: an expression over the table's columns and, where the condition asks the clock, over `"hour"`, `"weekday"`
//! and `"holiday"`, which the query around it has to have ([`super::super::sql`]). NULL comes out where NULL comes out here. Refuses
//! what an engine would answer with an error at run time: numbers of more than 76 digits, in DataFusion.

use std::cell::Cell;

use super::Condition;
use super::tree::{Boolean, Comparison, Number, Text, Time, Tri};
use crate::policy::list::List;
use crate::record::{Column, Table};

/// Who is to run a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `mitsuke query`, over Parquet and journals.
    DataFusion,
    /// DuckDB, over the Parquet files.
    DuckDb,
}

/// What conditions ask of a record's time besides its columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    /// `hour`.
    pub hour: bool,
    /// `weekday`.
    pub weekday: bool,
    /// `holiday`.
    pub holiday: bool,
}

/// What SQL cannot say, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsayable(pub String);

/// The greatest 128-bit number, and from where on a figure may come near it.
const WIDE_MAX: i128 = i128::MAX;
const NEAR_WIDE_MAX: f64 = 1.7e38;
/// What DataFusion's narrower and wider decimals hold.
const DECIMAL_38: f64 = 1e38;
const DECIMAL_76: f64 = 1e76;

impl<R: Table> Condition<R> {
    /// The condition in an engine's SQL. What it asks the clock is added to `asked`.
    ///
    /// # Errors
    /// The engine would fail over it.
    pub fn sql(&self, dialect: Dialect, asked: &Cell<Clock>) -> Result<String, Unsayable> {
        stacker::grow(super::STACK_BYTES, || Writing { dialect, asked }.boolean(&self.root))
    }
}

/// A column's name as every engine takes it: `at` is a word of DuckDB's own.
pub fn column_name(name: &str) -> String {
    match name {
        "at" => "\"at\"".to_owned(),
        name => name.to_owned(),
    }
}

/// A text as a literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// How the numbers of a comparison are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    /// As they stand: columns and small constants.
    Plain,
    /// As numbers that hold what 128 bits do.
    Wide,
    /// As numbers that hold more, which is then made NULL.
    Wider,
}

impl Dialect {
    /// A timestamp's microseconds since 1970.
    pub fn micros(self, timestamp: &str) -> String {
        match self {
            Dialect::DataFusion => format!("CAST({timestamp} AS BIGINT)"),
            Dialect::DuckDb => format!("epoch_us({timestamp})"),
        }
    }

    /// The type of numbers that sums are made in.
    pub fn wide(self) -> &'static str {
        match self {
            Dialect::DataFusion => "DECIMAL(38, 0)",
            Dialect::DuckDb => "HUGEINT",
        }
    }

    /// A moment as a literal; `None` where the engine's literals do not reach.
    pub fn moment(self, micros: i64) -> Option<String> {
        let at = jiff::Timestamp::from_microsecond(micros).ok()?;
        let year = jiff::tz::Offset::UTC.to_datetime(at).year();
        // DataFusion reads a literal in nanoseconds of 64 bits.
        (1700..2200).contains(&year).then(|| format!("TIMESTAMPTZ '{at}'"))
    }
}

struct Writing<'c> {
    dialect: Dialect,
    asked: &'c Cell<Clock>,
}

impl Writing<'_> {
    /// Notes that the clock is asked, and for what.
    fn asks(&self, name: &str, note: fn(&mut Clock)) -> String {
        let mut clock = self.asked.get();
        note(&mut clock);
        self.asked.set(clock);
        format!("\"{name}\"")
    }

    fn boolean<R: Table>(&self, boolean: &Boolean<R>) -> Result<String, Unsayable> {
        Ok(match boolean {
            Boolean::Constant(Tri::True) => "TRUE".to_owned(),
            Boolean::Constant(Tri::False) => "FALSE".to_owned(),
            Boolean::Constant(Tri::Unknown) => "CAST(NULL AS BOOLEAN)".to_owned(),
            Boolean::Holiday => self.asks("holiday", |clock| clock.holiday = true),
            Boolean::All(parts) => self.chain(parts, " AND ")?,
            Boolean::Any(parts) => self.chain(parts, " OR ")?,
            Boolean::Not(inner) => self.negated(inner)?,
            Boolean::Is(inner, Tri::True) => format!("({}) IS TRUE", self.boolean(inner)?),
            Boolean::Is(inner, Tri::False) => format!("({}) IS FALSE", self.boolean(inner)?),
            Boolean::Is(inner, Tri::Unknown) => format!("({}) IS NULL", self.boolean(inner)?),
            Boolean::Same(left, right) => format!("({}) = ({})", self.boolean(left)?, self.boolean(right)?),
            Boolean::ColumnIsNull(column) => format!("{} IS NULL", column_name(column.name)),
            Boolean::NumberIsNull(number) => {
                format!("({}) IS NULL", self.number(number, width(&[number], Width::Wide))?)
            }
            Boolean::TextIsNull(text) => format!("{} IS NULL", self.text(text)),
            Boolean::ColumnToConstant(comparison, column, constant) => {
                format!("{} {} {constant}", column_name(column.name), sign(*comparison))
            }
            Boolean::Numbers(comparison, left, right) => {
                let width = width(&[left, right], Width::Plain);
                format!("{} {} {}", self.number(left, width)?, sign(*comparison), self.number(right, width)?)
            }
            Boolean::Texts(comparison, left, right) => {
                format!("{} {} {}", self.text(left), sign(*comparison), self.text(right))
            }
            Boolean::Times(comparison, left, right) => self.times(*comparison, left, right),
            Boolean::NumberIn(number, set) => {
                let mut items: Vec<i128> = set.iter().copied().collect();
                items.sort_unstable();
                let least = if items.iter().all(|item| i64::try_from(*item).is_ok_and(|item| item >= 0)) {
                    Width::Plain
                } else {
                    Width::Wide
                };
                let width = width(&[number], least);
                let items = items.into_iter().map(|item| self.constant(item, width)).collect::<Vec<_>>();
                format!("{} IN ({})", self.number(number, width)?, items.join(", "))
            }
            Boolean::TextIn(text, set) => self.one_of(&self.text(text), set.iter()),
            Boolean::Like(text, like) => {
                let text = if like.folds() { self.lower(&self.text(text)) } else { self.text(text) };
                self.like(&text, &like.pattern())
            }
            Boolean::InList(text, list) => self.listed(&self.text(text), list),
            Boolean::Has(column, text) => {
                let function = if self.dialect == Dialect::DuckDb { "list_contains" } else { "array_has" };
                format!("{function}({}, {})", column_name(column.name), self.text(text))
            }
        })
    }

    fn chain<R: Table>(&self, parts: &[Boolean<R>], join: &str) -> Result<String, Unsayable> {
        let parts = parts.iter().map(|part| {
            let sql = self.boolean(part)?;
            Ok(if matches!(part, Boolean::All(_) | Boolean::Any(_)) { format!("({sql})") } else { sql })
        });
        Ok(parts.collect::<Result<Vec<_>, _>>()?.join(join))
    }

    fn negated<R: Table>(&self, inner: &Boolean<R>) -> Result<String, Unsayable> {
        Ok(match inner {
            Boolean::ColumnIsNull(column) => format!("{} IS NOT NULL", column_name(column.name)),
            Boolean::Is(inner, Tri::True) => format!("({}) IS NOT TRUE", self.boolean(inner)?),
            Boolean::Is(inner, Tri::False) => format!("({}) IS NOT FALSE", self.boolean(inner)?),
            Boolean::Is(inner, Tri::Unknown) => format!("({}) IS NOT NULL", self.boolean(inner)?),
            other => format!("NOT ({})", self.boolean(other)?),
        })
    }

    fn times<R: Table>(&self, comparison: Comparison, left: &Time<R>, right: &Time<R>) -> String {
        let moment = |time: &Time<R>| match time {
            Time::Constant(micros) => self.dialect.moment(*micros),
            Time::Column(column) => Some(column_name(column.name)),
        };
        let sign = sign(comparison);
        if let (Some(left), Some(right)) = (moment(left), moment(right)) {
            return format!("{left} {sign} {right}");
        }
        let micros = |time: &Time<R>| match time {
            Time::Constant(micros) => micros.to_string(),
            Time::Column(column) => self.dialect.micros(&column_name(column.name)),
        };
        format!("{} {sign} {}", micros(left), micros(right))
    }

    fn one_of<'a>(&self, text: &str, items: impl Iterator<Item = &'a String>) -> String {
        let mut items: Vec<String> = items.map(|item| literal(item)).collect();
        items.sort_unstable();
        format!("{text} IN ({})", items.join(", "))
    }

    fn listed(&self, text: &str, list: &List) -> String {
        let mut parts = Vec::new();
        let (mut exact, patterns) = list.entries();
        if exact.peek().is_some() {
            parts.push(self.one_of(text, exact));
        }
        for pattern in patterns {
            parts.push(self.like(text, &like_pattern(pattern)));
        }
        match parts.len() {
            // Nothing is in an empty list, except that of NULL nobody knows.
            0 => format!("CASE WHEN {text} IS NOT NULL THEN FALSE END"),
            1 => parts.concat(),
            _ => format!("({})", parts.join(" OR ")),
        }
    }

    fn like(&self, text: &str, pattern: &str) -> String {
        let escape = if self.dialect == Dialect::DuckDb && pattern.contains('\\') { " ESCAPE '\\'" } else { "" };
        format!("{text} LIKE {}{escape}", literal(pattern))
    }

    fn text<R: Table>(&self, text: &Text<R>) -> String {
        match text {
            Text::Constant(text) => literal(text),
            Text::Column(column) => column_name(column.name),
            Text::Lower(inner) => self.lower(&self.text(inner)),
        }
    }

    /// Letter by letter. DataFusion looks at a sigma's neighbours, and makes two characters of a dotted I.
    fn lower(&self, text: &str) -> String {
        match self.dialect {
            Dialect::DataFusion => format!("lower(replace(replace({text}, 'İ', 'i'), 'Σ', 'σ'))"),
            Dialect::DuckDb => format!("lower({text})"),
        }
    }

    fn constant(&self, number: i128, width: Width) -> String {
        match (self.dialect, width) {
            (_, Width::Plain) | (Dialect::DuckDb, _) => number.to_string(),
            (Dialect::DataFusion, _) => format!("CAST('{number}' AS {})", decimal(width)),
        }
    }

    fn number<R: Table>(&self, number: &Number<R>, width: Width) -> Result<String, Unsayable> {
        let widened = |sql: String| match (self.dialect, width) {
            (_, Width::Plain) => sql,
            (Dialect::DuckDb, _) => format!("CAST({sql} AS HUGEINT)"),
            (Dialect::DataFusion, _) => format!("CAST({sql} AS {})", decimal(width)),
        };
        let both = |left: &Number<R>, operator: &str, right: &Number<R>| {
            let sql = format!("({} {operator} {})", self.number(left, width)?, self.number(right, width)?);
            self.within_128_bits(number, sql)
        };
        Ok(match number {
            Number::Constant(constant) => self.constant(*constant, width),
            Number::Column(column) => widened(column_name(column.name)),
            Number::Hour => widened(self.asks("hour", |clock| clock.hour = true)),
            Number::Weekday => widened(self.asks("weekday", |clock| clock.weekday = true)),
            Number::Length(text) => widened(format!("length({})", self.text(text))),
            Number::Cardinality(column) => widened(match self.dialect {
                Dialect::DataFusion => format!("cardinality({})", column_name(column.name)),
                Dialect::DuckDb => format!("len({})", column_name(column.name)),
            }),
            Number::Negative(inner) => format!("(-{})", self.number(inner, width)?),
            Number::Sum(left, right) => both(left, "+", right)?,
            Number::Difference(left, right) => both(left, "-", right)?,
            Number::Product(left, right) => both(left, "*", right)?,
        })
    }

    /// What may leave 128 bits is NULL where it does.
    fn within_128_bits<R: Table>(&self, number: &Number<R>, sql: String) -> Result<String, Unsayable> {
        let most = most(number);
        match self.dialect {
            _ if most < NEAR_WIDE_MAX => Ok(sql),
            Dialect::DuckDb => Ok(format!("TRY({sql})")),
            Dialect::DataFusion if most < DECIMAL_76 => {
                let end = format!("CAST('{WIDE_MAX}' AS {})", decimal(Width::Wider));
                Ok(format!("(CASE WHEN {sql} BETWEEN -{end} AND {end} THEN {sql} END)"))
            }
            Dialect::DataFusion => {
                Err(Unsayable("a product of more than three columns leaves what DataFusion can count".to_owned()))
            }
        }
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn decimal(width: Width) -> &'static str {
    if width == Width::Wider { "DECIMAL(76, 0)" } else { "DECIMAL(38, 0)" }
}

/// The width that all of these numbers can be written in.
fn width<R: Table>(numbers: &[&Number<R>], least: Width) -> Width {
    if numbers.iter().any(|number| greatest_part(number) >= DECIMAL_38) {
        return Width::Wider;
    }
    let plain = |number: &&Number<R>| match number {
        // What DataFusion reads as a whole number, and compares with one without a sign.
        Number::Constant(constant) => (i128::from(i64::MIN) + 1..=i128::from(u64::MAX)).contains(constant),
        Number::Column(_) | Number::Hour | Number::Weekday | Number::Length(_) | Number::Cardinality(_) => true,
        _ => false,
    };
    if numbers.iter().all(plain) { least } else { Width::Wide }
}

/// The most that a number can be, whatever its sign.
fn most<R: Table>(number: &Number<R>) -> f64 {
    match number {
        Number::Constant(constant) => constant.unsigned_abs() as f64,
        Number::Column(_) => u64::MAX as f64,
        Number::Hour | Number::Weekday => 24.0,
        Number::Length(_) | Number::Cardinality(_) => f64::from(u32::MAX),
        Number::Negative(inner) => most(inner),
        // A part that left 128 bits is NULL, and so is what is made of it.
        Number::Sum(left, right) | Number::Difference(left, right) => held(left) + held(right),
        Number::Product(left, right) => held(left) * held(right),
    }
}

/// The most that a part can be that is not NULL.
fn held<R: Table>(number: &Number<R>) -> f64 {
    most(number).min(WIDE_MAX as f64)
}

/// The most that any part of it can be.
fn greatest_part<R: Table>(number: &Number<R>) -> f64 {
    let own = most(number);
    match number {
        Number::Negative(inner) => own.max(greatest_part(inner)),
        Number::Sum(left, right) | Number::Difference(left, right) | Number::Product(left, right) => {
            own.max(greatest_part(left)).max(greatest_part(right))
        }
        _ => own,
    }
}

/// A pattern in which `*` stands for any run of characters, as LIKE has it.
pub fn like_pattern(stars: &str) -> String {
    stars.split('*').map(escaped).collect::<Vec<_>>().join("%")
}

/// A text as a part of a LIKE pattern.
pub(super) fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// The columns of a list, for a `PARTITION BY`.
pub fn column_names<R>(columns: &[&'static Column<R>]) -> Vec<String> {
    columns.iter().map(|column| column_name(column.name)).collect()
}
