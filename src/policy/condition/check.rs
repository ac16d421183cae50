//! `sqlparser`'s expression → typed tree: every name known, every type right, or every mistake told.

use std::collections::HashSet;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Spanned, UnaryOperator,
    Value as Literal, ValueWithSpan,
};

use super::like::Like;
use super::parse::offset;
use super::tree::{Boolean, Comparison, Number, Text, Time, Tri};
use super::{DEPTH_MAX, FUNCTIONS, Mistake, VIRTUAL_COLUMNS};
use crate::policy::list::Lists;
use crate::record::{Column, FieldKind, Table};
use crate::yaml::spelling;

/// The typed tree of a condition.
pub fn check<R: Table>(expression: &Expr, text: &str, lists: &Lists) -> Result<Boolean<R>, Vec<Mistake>> {
    let mut checker = Checker { text, lists, mistakes: Vec::new(), depth: 0 };
    let root = checker.boolean(expression);
    match root {
        Some(root) if checker.mistakes.is_empty() => Ok(root),
        _ => Err(checker.mistakes),
    }
}

/// A value of some type.
enum Typed<R: Table> {
    Boolean(Boolean<R>),
    Number(Number<R>),
    Text(Text<R>),
    Time(Time<R>),
    List(&'static Column<R>),
}

impl<R: Table> Typed<R> {
    fn called(&self) -> &'static str {
        match self {
            Typed::Boolean(_) => "a truth value",
            Typed::Number(_) => "a number",
            Typed::Text(_) => "a text",
            Typed::Time(_) => "a time",
            Typed::List(_) => "a list",
        }
    }
}

struct Checker<'a> {
    text: &'a str,
    lists: &'a Lists,
    mistakes: Vec<Mistake>,
    depth: usize,
}

impl Checker<'_> {
    /// Notes a mistake at the beginning of `at`. Always `None`, so that callers can end with it.
    fn wrong<T>(&mut self, at: &impl Spanned, what: impl Into<String>, mend: impl Into<String>) -> Option<T> {
        let offset = offset(self.text, at.span().start);
        self.mistakes.push(Mistake { offset, what: what.into(), mend: mend.into() });
        None
    }

    fn boolean<R: Table>(&mut self, expression: &Expr) -> Option<Boolean<R>> {
        match self.typed(expression)? {
            Typed::Boolean(boolean) => Some(boolean),
            other => self.wrong(
                expression,
                format!("{} stands where a condition is needed", other.called()),
                "compare it with something",
            ),
        }
    }

    fn number<R: Table>(&mut self, expression: &Expr, role: &str) -> Option<Number<R>> {
        match self.typed(expression)? {
            Typed::Number(number) => Some(number),
            other => self.wrong(expression, format!("{role} needs a number, this is {}", other.called()), ""),
        }
    }

    fn string<R: Table>(&mut self, expression: &Expr, role: &str) -> Option<Text<R>> {
        match self.typed(expression)? {
            Typed::Text(text) => Some(text),
            other => self.wrong(expression, format!("{role} needs a text, this is {}", other.called()), ""),
        }
    }

    fn typed<R: Table>(&mut self, expression: &Expr) -> Option<Typed<R>> {
        self.depth += 1;
        let typed = match self.depth > DEPTH_MAX {
            true => self.wrong(expression, format!("nested deeper than {DEPTH_MAX} levels"), "use a list"),
            false => self.typed_here(expression),
        };
        self.depth -= 1;
        typed
    }

    fn typed_here<R: Table>(&mut self, expression: &Expr) -> Option<Typed<R>> {
        let boolean = match expression {
            Expr::Nested(inner) => return self.typed(inner),
            Expr::Identifier(name) => return self.column(expression, &name.value),
            Expr::Value(value) => return self.literal(value),
            Expr::UnaryOp { op: UnaryOperator::Not, expr } => Boolean::Not(Box::new(self.boolean(expr)?)),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr } => {
                return Some(Typed::Number(Number::Negative(Box::new(self.number(expr, "`-`")?))));
            }
            Expr::UnaryOp { op: UnaryOperator::Plus, expr } => return self.number(expr, "`+`").map(Typed::Number),
            Expr::BinaryOp { left, op, right } => return self.binary(expression, left, op, right),
            Expr::IsNull(inner) => self.is_null(inner)?,
            Expr::IsNotNull(inner) => Boolean::Not(Box::new(self.is_null(inner)?)),
            Expr::IsTrue(inner) => self.is(inner, Tri::True)?,
            Expr::IsNotTrue(inner) => Boolean::Not(Box::new(self.is(inner, Tri::True)?)),
            Expr::IsFalse(inner) => self.is(inner, Tri::False)?,
            Expr::IsNotFalse(inner) => Boolean::Not(Box::new(self.is(inner, Tri::False)?)),
            Expr::IsUnknown(inner) => self.is(inner, Tri::Unknown)?,
            Expr::IsNotUnknown(inner) => Boolean::Not(Box::new(self.is(inner, Tri::Unknown)?)),
            Expr::InList { expr, list, negated } => negate(self.is_in(expr, list)?, *negated),
            Expr::Between { expr, negated, low, high } => {
                let low = self.compare(expression, expr, Comparison::GreaterOrEqual, low);
                let high = self.compare(expression, expr, Comparison::LessOrEqual, high);
                negate(Boolean::All(vec![low?, high?]), *negated)
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char: None } => {
                negate(self.like(expr, pattern, false)?, *negated)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char: None } => {
                negate(self.like(expr, pattern, true)?, *negated)
            }
            Expr::Function(function) => return self.function(expression, function),
            Expr::CompoundIdentifier(_) => {
                return self.wrong(expression, "a column is named without its table", "write the column's name alone");
            }
            Expr::InSubquery { .. } | Expr::Exists { .. } | Expr::Subquery(_) => {
                return self.wrong(expression, "a condition sees one record; it has no queries inside", "");
            }
            _ => {
                let what = "this kind of expression is not known to conditions";
                return self.wrong(expression, what, "policies/README.md lists what is");
            }
        };
        Some(Typed::Boolean(boolean))
    }

    fn column<R: Table>(&mut self, at: &Expr, name: &str) -> Option<Typed<R>> {
        let name = name.to_lowercase();
        match name.as_str() {
            "hour" => return Some(Typed::Number(Number::Hour)),
            "weekday" => return Some(Typed::Number(Number::Weekday)),
            "holiday" => return Some(Typed::Boolean(Boolean::Holiday)),
            _ => {}
        }
        let Some(column) = R::column(&name) else {
            let known = R::columns().iter().map(|column| column.name).chain(VIRTUAL_COLUMNS);
            let mend = match spelling::nearest(&name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`mitsuke query` shows the columns: select * from … limit 1".to_owned(),
            };
            return self.wrong(at, format!("`{}` has no column `{name}`", R::NAME), mend);
        };
        Some(match column.kind {
            FieldKind::U64 => Typed::Number(Number::Column(column)),
            FieldKind::Text => Typed::Text(Text::Column(column)),
            FieldKind::Timestamp => Typed::Time(Time::Column(column)),
            FieldKind::Texts | FieldKind::U64s => Typed::List(column),
        })
    }

    fn literal<R: Table>(&mut self, value: &ValueWithSpan) -> Option<Typed<R>> {
        match &value.value {
            Literal::Number(digits, _) => match digits.parse() {
                Ok(number) => Some(Typed::Number(Number::Constant(number))),
                Err(_) => self.wrong(
                    value,
                    format!("`{digits}` is not a whole number of at most 38 digits"),
                    "multiply both sides until all numbers are whole",
                ),
            },
            Literal::SingleQuotedString(text) => Some(Typed::Text(Text::Constant(text.clone()))),
            Literal::Boolean(flag) => Some(Typed::Boolean(Boolean::Constant((*flag).into()))),
            Literal::Null => self.wrong(value, "nothing is ever equal to NULL", "write IS NULL or IS NOT NULL"),
            _ => {
                self.wrong(value, "this kind of literal is not known to conditions", "write 'text', 123, TRUE or FALSE")
            }
        }
    }

    fn binary<R: Table>(&mut self, at: &Expr, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Typed<R>> {
        let comparison = match op {
            BinaryOperator::And | BinaryOperator::Or => return self.chain(at, op),
            BinaryOperator::Plus | BinaryOperator::Minus | BinaryOperator::Multiply => {
                let role = format!("`{op}`");
                let (l, r) = (self.number(left, &role), self.number(right, &role));
                let (l, r) = (Box::new(l?), Box::new(r?));
                return Some(Typed::Number(match op {
                    BinaryOperator::Plus => Number::Sum(l, r),
                    BinaryOperator::Minus => Number::Difference(l, r),
                    _ => Number::Product(l, r),
                }));
            }
            BinaryOperator::Eq => Comparison::Equal,
            BinaryOperator::NotEq => Comparison::NotEqual,
            BinaryOperator::Lt => Comparison::Less,
            BinaryOperator::LtEq => Comparison::LessOrEqual,
            BinaryOperator::Gt => Comparison::Greater,
            BinaryOperator::GtEq => Comparison::GreaterOrEqual,
            BinaryOperator::Divide | BinaryOperator::Modulo => {
                let what = format!("`{op}` can fail while a record is judged");
                return self.wrong(right, what, "multiply the other side instead");
            }
            _ => return self.wrong(right, format!("the operator `{op}` is not known to conditions"), ""),
        };
        self.compare(at, left, comparison, right).map(Typed::Boolean)
    }

    /// `a AND b AND c` as one node: a chain of any length is one level deep.
    fn chain<R: Table>(&mut self, at: &Expr, op: &BinaryOperator) -> Option<Typed<R>> {
        let mut links = Vec::new();
        let mut rest = at;
        while let Expr::BinaryOp { left, op: here, right } = rest
            && here == op
        {
            links.push(&**right);
            rest = left;
        }
        links.push(rest);
        // All links are checked before the first mistake counts, so that every mistake is told.
        let parts: Vec<Option<Boolean<R>>> = links.into_iter().rev().map(|link| self.boolean(link)).collect();
        let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Typed::Boolean(match op {
            BinaryOperator::And => Boolean::All(parts),
            _ => Boolean::Any(parts),
        }))
    }

    fn compare<R: Table>(&mut self, at: &Expr, left: &Expr, op: Comparison, right: &Expr) -> Option<Boolean<R>> {
        let (l, r) = (self.typed(left), self.typed(right));
        match (l?, r?) {
            (Typed::Number(Number::Column(column)), Typed::Number(Number::Constant(constant)))
                if u64::try_from(constant).is_ok() =>
            {
                Some(Boolean::ColumnToConstant(op, column, u64::try_from(constant).unwrap_or(u64::MAX)))
            }
            (Typed::Number(Number::Constant(constant)), Typed::Number(Number::Column(column)))
                if u64::try_from(constant).is_ok() =>
            {
                Some(Boolean::ColumnToConstant(op.mirrored(), column, u64::try_from(constant).unwrap_or(u64::MAX)))
            }
            (Typed::Number(l), Typed::Number(r)) => Some(Boolean::Numbers(op, l, r)),
            (Typed::Text(l), Typed::Text(r)) => Some(Boolean::Texts(op, l, r)),
            (Typed::Time(l), Typed::Time(r)) => Some(Boolean::Times(op, l, r)),
            (Typed::Time(l), Typed::Text(Text::Constant(text))) => {
                Some(Boolean::Times(op, l, self.time(right, &text)?))
            }
            (Typed::Text(Text::Constant(text)), Typed::Time(r)) => Some(Boolean::Times(op, self.time(left, &text)?, r)),
            (Typed::Boolean(l), Typed::Boolean(r)) => match op {
                Comparison::Equal => Some(Boolean::Same(Box::new(l), Box::new(r))),
                Comparison::NotEqual => Some(negate(Boolean::Same(Box::new(l), Box::new(r)), true)),
                _ => self.wrong(at, "truth values have no order", ""),
            },
            (Typed::List(column), _) | (_, Typed::List(column)) => {
                let mend = format!("write has({}, 'x')", column.name);
                self.wrong(at, format!("`{}` is a list and cannot be compared", column.name), mend)
            }
            (l, r) => self.wrong(at, format!("{} cannot be compared with {}", l.called(), r.called()), ""),
        }
    }

    fn time<R: Table>(&mut self, at: &Expr, text: &str) -> Option<Time<R>> {
        match text.parse::<jiff::Timestamp>() {
            Ok(at) => Some(Time::Constant(at.as_microsecond())),
            Err(_) => self.wrong(at, "this text is not a time", "write '2026-11-23T18:00:00+09:00'"),
        }
    }

    fn is<R: Table>(&mut self, inner: &Expr, wanted: Tri) -> Option<Boolean<R>> {
        Some(Boolean::Is(Box::new(self.boolean(inner)?), wanted))
    }

    fn is_null<R: Table>(&mut self, inner: &Expr) -> Option<Boolean<R>> {
        Some(match self.typed(inner)? {
            Typed::Boolean(boolean) => Boolean::Is(Box::new(boolean), Tri::Unknown),
            Typed::Number(Number::Column(column))
            | Typed::Text(Text::Column(column))
            | Typed::Time(Time::Column(column))
            | Typed::List(column) => Boolean::ColumnIsNull(column),
            Typed::Number(number) => Boolean::NumberIsNull(number),
            Typed::Text(text) => Boolean::TextIsNull(text),
            Typed::Time(Time::Constant(_)) => Boolean::Constant(Tri::False),
        })
    }

    fn is_in<R: Table>(&mut self, expr: &Expr, list: &[Expr]) -> Option<Boolean<R>> {
        match self.typed(expr)? {
            Typed::Number(number) => {
                let mut set = HashSet::new();
                for item in list {
                    match self.number::<R>(item, "this IN").and_then(|number| constant(&number)) {
                        Some(number) => drop(set.insert(number)),
                        None => self.wrong(item, "IN takes literals", "")?,
                    }
                }
                Some(Boolean::NumberIn(number, set))
            }
            Typed::Text(text) => {
                let mut set = HashSet::new();
                for item in list {
                    match self.string::<R>(item, "this IN")? {
                        Text::Constant(text) => drop(set.insert(text)),
                        _ => self.wrong(item, "IN takes literals", "write column = column")?,
                    }
                }
                Some(Boolean::TextIn(text, set))
            }
            Typed::List(column) => {
                let mend = format!("write has({}, 'x')", column.name);
                self.wrong(expr, format!("`{}` is a list", column.name), mend)
            }
            other => self.wrong(expr, format!("IN takes numbers or texts, this is {}", other.called()), ""),
        }
    }

    fn like<R: Table>(&mut self, expr: &Expr, pattern: &Expr, fold: bool) -> Option<Boolean<R>> {
        let text = self.string(expr, "LIKE");
        match self.string::<R>(pattern, "LIKE")? {
            Text::Constant(pattern) => Some(Boolean::Like(text?, Like::new(&pattern, fold))),
            _ => self.wrong(pattern, "the pattern of LIKE is a literal", ""),
        }
    }

    fn function<R: Table>(&mut self, at: &Expr, function: &Function) -> Option<Typed<R>> {
        let name = function.name.to_string().to_lowercase();
        let Some(arguments) = plain_arguments(function) else {
            return self.wrong(at, format!("`{name}` is called with more than plain arguments"), "");
        };
        match (name.as_str(), arguments.as_slice()) {
            ("lower", [text]) => Some(Typed::Text(Text::Lower(Box::new(self.string(text, "lower")?)))),
            ("length", [text]) => Some(Typed::Number(Number::Length(Box::new(self.string(text, "length")?)))),
            ("cardinality", [list]) => Some(Typed::Number(Number::Cardinality(self.list(list, "cardinality")?))),
            ("has", [list, text]) => {
                let (column, text) = (self.list(list, "has"), self.string(text, "has"));
                let column = column?;
                match column.kind {
                    FieldKind::Texts => Some(Typed::Boolean(Boolean::Has(column, text?))),
                    _ => self.wrong(*list, format!("has needs a list of texts, `{}` is none", column.name), ""),
                }
            }
            ("in_list", [text, list]) => {
                let text = self.string(text, "in_list");
                let Text::Constant(list_name) = self.string::<R>(list, "in_list")? else {
                    return self.wrong(*list, "the list's name is a literal", "in_list(application_name, 'tools')");
                };
                match self.lists.get(&list_name) {
                    Some(found) => Some(Typed::Boolean(Boolean::InList(text?, found.clone()))),
                    None => {
                        let mend = match spelling::nearest(&list_name, self.lists.names()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => "add it to lists.yaml".to_owned(),
                        };
                        self.wrong(*list, format!("there is no list `{list_name}`"), mend)
                    }
                }
            }
            (known, found) if FUNCTIONS.contains(&known) => {
                let needed = if matches!(known, "has" | "in_list") { 2 } else { 1 };
                self.wrong(at, format!("`{known}` takes {needed} argument(s), here are {}", found.len()), "")
            }
            _ => {
                let mend = match spelling::nearest(&name, FUNCTIONS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known are {}", FUNCTIONS.join(", ")),
                };
                self.wrong(at, format!("there is no function `{name}`"), mend)
            }
        }
    }

    fn list<R: Table>(&mut self, expression: &Expr, role: &str) -> Option<&'static Column<R>> {
        match self.typed(expression)? {
            Typed::List(column) => Some(column),
            other => self.wrong(expression, format!("{role} needs a list, this is {}", other.called()), ""),
        }
    }
}

fn negate<R: Table>(boolean: Boolean<R>, negated: bool) -> Boolean<R> {
    if negated { Boolean::Not(Box::new(boolean)) } else { boolean }
}

fn constant<R: Table>(number: &Number<R>) -> Option<i128> {
    match number {
        Number::Constant(number) => Some(*number),
        Number::Negative(inner) => constant(inner)?.checked_neg(),
        _ => None,
    }
}

/// The arguments of a call that is nothing but a call.
fn plain_arguments(function: &Function) -> Option<Vec<&Expr>> {
    let plain = function.filter.is_none()
        && function.over.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && matches!(function.parameters, FunctionArguments::None);
    let FunctionArguments::List(list) = &function.args else { return None };
    if !plain || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
        return None;
    }
    let argument = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expression)) => Some(expression),
        _ => None,
    };
    list.args.iter().map(argument).collect()
}
