//! `sqlparser`'s expression → typed tree: every name known, every type right, or every mistake told.

mod call;

use sqlparser::ast::{BinaryOperator, Expr, Spanned, UnaryOperator, Value as Literal, ValueWithSpan};

use super::like::Like;
use super::parse::offset;
use super::tree::{Boolean, Comparison, Number, Text, Time, Tri};
use super::{DEPTH_MAX, Mistake, VIRTUAL_COLUMNS};
use crate::policy::list::Lists;
use crate::record::{Column, FieldKind, Table};
use crate::yaml::spelling;

/// The typed tree of a condition.
pub fn check<R: Table>(expression: &Expr, text: &str, lists: &Lists) -> Result<Boolean<R>, Vec<Mistake>> {
    let mut checker = Checker { text, lists, mistakes: Vec::new(), depth: 0 };
    let root = checker.boolean(expression);
    match root {
        Some(root) if checker.mistakes.is_empty() => Ok(root),
        _ => {
            // BETWEEN is two comparisons, which may be wrong for the same reason.
            let mut mistakes = checker.mistakes;
            mistakes.sort_by_key(|mistake| mistake.offset);
            mistakes.dedup();
            Err(mistakes)
        }
    }
}

/// A value of some type.
#[derive(Clone)]
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
            other => {
                let what = format!("{role} needs a number, this is {}", other.called());
                self.wrong(expression, what, "`length(text)` and `cardinality(list)` are numbers")
            }
        }
    }

    fn string<R: Table>(&mut self, expression: &Expr, role: &str) -> Option<Text<R>> {
        match self.typed(expression)? {
            Typed::Text(text) => Some(text),
            other => {
                let what = format!("{role} needs a text, this is {}", other.called());
                self.wrong(expression, what, "write a text as 'text', in single quotes")
            }
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
                // Typed once: twice at every level would take twice the time with each.
                let (value, l, h) = (self.typed::<R>(expr), self.typed(low), self.typed(high));
                let (value, l, h) = (value?, l?, h?);
                let low = self.compared(expression, (expr, value.clone()), Comparison::GreaterOrEqual, (low, l));
                let high = self.compared(expression, (expr, value), Comparison::LessOrEqual, (high, h));
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
                let mend = "a `window` counts over many, a list holds what to look up";
                return self.wrong(expression, "a condition sees one record; it has no queries inside", mend);
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
                None => format!("`mitsuke query \"describe {}\"` lists the columns", R::NAME),
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
            _ => {
                let what = format!("the operator `{op}` is not known to conditions");
                return self.wrong(right, what, "policies/README.md lists what is");
            }
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
        self.compared(at, (left, l?), op, (right, r?))
    }

    fn compared<R: Table>(
        &mut self,
        at: &Expr,
        (left, l): (&Expr, Typed<R>),
        op: Comparison,
        (right, r): (&Expr, Typed<R>),
    ) -> Option<Boolean<R>> {
        match (l, r) {
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
                _ => self.wrong(at, "truth values have no order", "compare them with `=` or `<>`"),
            },
            (Typed::List(column), _) | (_, Typed::List(column)) => {
                let mend = format!("write has({}, 'x')", column.name);
                self.wrong(at, format!("`{}` is a list and cannot be compared", column.name), mend)
            }
            (l, r) => {
                let what = format!("{} cannot be compared with {}", l.called(), r.called());
                let quoted =
                    matches!((&l, &r), (Typed::Number(_), Typed::Text(_)) | (Typed::Text(_), Typed::Number(_)));
                self.wrong(at, what, if quoted { "a number has no quotes, a text has single ones" } else { "" })
            }
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
                let items: Vec<Option<i128>> = list.iter().map(|item| self.number_literal::<R>(item)).collect();
                Some(Boolean::NumberIn(number, items.into_iter().collect::<Option<_>>()?))
            }
            Typed::Text(text) => {
                let items: Vec<Option<String>> = list.iter().map(|item| self.text_literal::<R>(item)).collect();
                Some(Boolean::TextIn(text, items.into_iter().collect::<Option<_>>()?))
            }
            Typed::List(column) => {
                let mend = format!("write has({}, 'x')", column.name);
                self.wrong(expr, format!("`{}` is a list", column.name), mend)
            }
            other => {
                let what = format!("IN takes numbers or texts, this is {}", other.called());
                self.wrong(expr, what, "compare it with `=`")
            }
        }
    }

    fn number_literal<R: Table>(&mut self, item: &Expr) -> Option<i128> {
        match constant(&self.number::<R>(item, "this IN")?) {
            Some(number) => Some(number),
            None => self.wrong(item, "IN takes literals", "write column = column"),
        }
    }

    fn text_literal<R: Table>(&mut self, item: &Expr) -> Option<String> {
        match self.string::<R>(item, "this IN")? {
            Text::Constant(text) => Some(text),
            _ => self.wrong(item, "IN takes literals", "write column = column"),
        }
    }

    fn like<R: Table>(&mut self, expr: &Expr, pattern: &Expr, fold: bool) -> Option<Boolean<R>> {
        let text = self.string(expr, "LIKE");
        match self.string::<R>(pattern, "LIKE")? {
            Text::Constant(pattern) => Some(Boolean::Like(text?, Like::new(&pattern, fold))),
            _ => self.wrong(pattern, "the pattern of LIKE is a literal", "write it as '%text%', in single quotes"),
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
