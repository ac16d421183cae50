//! Calls: `lower`, `length`, `cardinality`, `has`, `in_list`, their number and types of arguments, and nothing else.

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments};

use super::super::FUNCTIONS;
use super::super::tree::{Boolean, Number, Text};
use super::{Checker, Typed};
use crate::record::{Column, FieldKind, Table};
use crate::yaml::spelling;

impl Checker<'_> {
    pub(super) fn function<R: Table>(&mut self, at: &Expr, function: &Function) -> Option<Typed<R>> {
        let name = function.name.to_string().to_lowercase();
        let Some(arguments) = plain_arguments(function) else {
            let what = format!("`{name}` is called with more than plain arguments");
            return self.wrong(at, what, "write has(relations, 'shop.customers')");
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
                    _ => {
                        let what = format!("has needs a list of texts, `{}` is none", column.name);
                        self.wrong(*list, what, "has(relations, 'shop.customers')")
                    }
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
                let (plural, is) = (if needed == 1 { "" } else { "s" }, if found.len() == 1 { "is" } else { "are" });
                let what = format!("`{known}` takes {needed} argument{plural}, here {is} {}", found.len());
                self.wrong(at, what, "has(relations, 'x'), in_list(db_user, 'x'), lower(query)")
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
            other => {
                let lists = R::columns().iter().filter(|column| column.kind == FieldKind::Texts);
                let names: Vec<&str> = lists.map(|column| column.name).collect();
                let mend = format!("lists are {}", names.join(", "));
                self.wrong(expression, format!("{role} needs a list, this is {}", other.called()), mend)
            }
        }
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
