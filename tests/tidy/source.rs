//! A file of the repository, and its code with comments and literals blanked out.
//!
//! In: text. Out: the same text, line for line and column for column, in which only code is left. Knows as much of Rust's
//! lexical structure as that takes: nested comments, raw strings, lifetimes.

use std::fs;
use std::path::Path;

/// One file.
#[derive(Clone, Debug)]
pub struct Source {
    /// From the repository's top.
    pub path: String,
    /// As it is.
    pub text: String,
    /// Without comments and without what stands inside of literals.
    pub code: String,
}

impl Source {
    /// A file, real or made up.
    pub fn new(path: &str, text: &str) -> Source {
        let code = if path.ends_with(".rs") { blank(text) } else { text.to_owned() };
        Source { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The code up to the file's tests: its own `mod tests` comes last in every file.
    pub fn code_without_tests(&self) -> &str {
        if self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.starts_with("tests/") {
            return "";
        }
        let end = self.code.find("#[cfg(test)]\nmod ").unwrap_or(self.code.len());
        &self.code[..end]
    }
}

/// `file:line: what; mend`.
pub fn breach(path: &str, line: usize, what: impl std::fmt::Display, mend: &str) -> String {
    format!("{path}:{line}: {what}; {mend}")
}

/// Every text file of the repository that is ours to write.
pub fn repository() -> Vec<Source> {
    let mut files = Vec::new();
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    read_folder(top, top, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Folders that are made, not written.
const MADE: [&str; 5] = [".git", "target", "mitsuke-log", "mitsuke-demo", "proptest-regressions"];

fn read_folder(top: &Path, folder: &Path, files: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a readable repository").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !MADE.iter().any(|made| name == *made) {
                read_folder(top, &path, files);
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(top).expect("inside").to_string_lossy().replace('\\', "/");
            files.push(Source::new(&path, &text));
        }
    }
}

fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    let mut previous = ' ';
    while let Some(first) = rest.chars().next() {
        let in_word = previous.is_alphanumeric() || previous == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest).filter(|_| !in_word) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_char_literal(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            previous = first;
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        previous = ' ';
        rest = &rest[length..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`: its length.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - body.len();
    Some(body.find(&end).map_or(text.len(), |at| start + at + end.len()))
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// `'a'`, `'\n'`; not the lifetime `'a`.
fn is_char_literal(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

#[test]
fn only_code_is_left() {
    let code = |text| Source::new("x.rs", text).code.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code("a /* b /* c */ d */ e // f\ng"), "a e g");
    assert_eq!(code(r##"a("\" b", r#"c " d"#, 'e', b'\'', f)"##), "a( , , , b , f)");
    assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    assert_eq!(Source::new("x.rs", "\"é\"\nx").code.lines().count(), 2);
}

#[test]
fn tests_are_told_from_the_code() {
    let text = "use a::b;\n#[cfg(test)]\nmod tests {\n use c::d;\n}\n";
    assert_eq!(Source::new("src/x.rs", text).code_without_tests(), "use a::b;\n");
    assert_eq!(Source::new("src/x/tests.rs", text).code_without_tests(), "");
}
