//! A webhook's body of one's own: a text with `{{name}}` where a column of the finding belongs.
//!
//! In: the text, checked once; then findings. Out: the text with the places filled. In a text that is JSON, what is filled in is escaped as the
//! inside of a JSON string: no name breaks out of it. Refuses a place that is not known, and a text that would be JSON but for a fault.

use serde_json::Value;

use super::{Finding, columns};

/// A text and its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    is_json: bool,
}

/// What stands for the sentence.
const SENTENCE: &str = "sentence";

impl Template {
    /// Checks a text.
    ///
    /// # Errors
    /// What is wrong with it, and how to mend it.
    pub fn parse(text: &str) -> Result<Template, String> {
        let known = columns(&Finding::default(), 0);
        let names: Vec<&String> = known.as_object().into_iter().flat_map(|columns| columns.keys()).collect();
        for name in places(text) {
            if name != SENTENCE && !names.iter().any(|known| known.as_str() == name) {
                let all: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                return Err(format!("it has a place `{{{{{name}}}}}`; known are {SENTENCE}, {}", all.join(", ")));
            }
        }
        let start = text.trim_start();
        let is_json = start.starts_with('[') || (start.starts_with('{') && !start.starts_with("{{"));
        let template = Template { text: text.trim().to_owned(), is_json };
        let filled = template.fill("a \" quotation", &known);
        match serde_json::from_str::<Value>(&filled) {
            Err(error) if is_json => {
                Err(format!("filled, it is no JSON: {error}; write \"{{{{policy}}}}\" within quotation marks"))
            }
            _ => Ok(template),
        }
    }

    pub(super) fn media_type(&self) -> &'static str {
        if self.is_json { "application/json" } else { "text/plain; charset=utf-8" }
    }

    /// With the places filled; what is not known is empty.
    pub(super) fn fill(&self, said: &str, columns: &Value) -> String {
        let mut out = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        while let Some((before, name, after)) = next_place(rest) {
            out.push_str(before);
            let value = match (name, &columns[name]) {
                (SENTENCE, _) => said.to_owned(),
                (_, Value::Null) => String::new(),
                (_, Value::String(text)) => text.clone(),
                (_, Value::Array(items)) => items.iter().map(as_text).collect::<Vec<_>>().join(", "),
                (_, other) => other.to_string(),
            };
            match self.is_json {
                true => {
                    let quoted = Value::String(value).to_string();
                    out.push_str(
                        quoted.strip_prefix('"').and_then(|inside| inside.strip_suffix('"')).unwrap_or_default(),
                    );
                }
                false => out.push_str(&value),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The text before the first place, the place's name, and the text behind it.
fn next_place(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name.trim(), after))
}

fn places(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, name, after) = next_place(rest)?;
        rest = after;
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_nothing_breaks_out_of_json() {
        let template = Template::parse(
            r#"{"text": "{{sentence}}", "who": "{{ db_user }}", "n": "{{observed}}", "none": "{{role}}", "tags": "{{tags}}"}"#,
        );
        let finding = Finding {
            db_user: Some("a\"b\\{{policy}}".into()),
            observed: Some(7),
            tags: Some(["x".into(), "y".into()].into()),
            ..Finding::default()
        };
        let filled = template.expect("a template").fill("said \n", &columns(&finding, 0));
        let value: Value = serde_json::from_str(&filled).expect("JSON");
        assert_eq!(value["who"].as_str(), Some("a\"b\\{{policy}}"), "what was filled in is not filled again");
        assert_eq!(
            (value["text"].as_str(), value["n"].as_str(), value["none"].as_str()),
            (Some("said \n"), Some("7"), Some(""))
        );
        assert_eq!(value["tags"].as_str(), Some("x, y"));
        let plain = Template::parse("{{severity}} by {{db_user}}\n").expect("a template");
        assert_eq!(plain.fill("", &columns(&finding, 0)), "low by a\"b\\{{policy}}");
    }

    #[test]
    fn what_is_unknown_or_no_json_is_told() {
        let wrong = |text| Template::parse(text).expect_err("a fault");
        assert!(wrong("{{polcy}}").contains("`{{polcy}}`; known are sentence, "), "{}", wrong("{{polcy}}"));
        assert!(wrong(r#"{"a": {{sentence}}}"#).contains("it is no JSON"));
    }
}
