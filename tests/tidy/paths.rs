//! The paths that a piece of code names: `std::fs::read`, and each branch of `use crate::{a, b::c}`.
//!
//! In: code without comments and literals. Out: (line, segments).

/// A path, and the line that its first segment stands on, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Where.
    pub line: usize,
    /// `["std", "fs", "read"]`.
    pub segments: Vec<String>,
}

/// Every path of two segments or more.
pub fn paths(code: &str) -> Vec<Path> {
    let mut tokens = Tokens { rest: code, line: 1 };
    let mut found = Vec::new();
    while let Some(token) = tokens.next() {
        if let Token::Word(word) = token {
            follow(vec![word.to_owned()], tokens.line, &mut tokens, &mut found);
        }
    }
    found
}

/// Goes on from a first segment; `tokens` stands behind it.
fn follow(mut segments: Vec<String>, line: usize, tokens: &mut Tokens<'_>, found: &mut Vec<Path>) {
    loop {
        let behind = tokens.clone();
        if tokens.next() != Some(Token::Colons) {
            *tokens = behind;
            break;
        }
        match tokens.next() {
            Some(Token::Word(word)) => segments.push(word.to_owned()),
            Some(Token::Other('{')) => return branches(&segments, tokens, found),
            _ => break,
        }
    }
    if segments.len() > 1 {
        found.push(Path { line, segments });
    }
}

fn branches(stem: &[String], tokens: &mut Tokens<'_>, found: &mut Vec<Path>) {
    while let Some(token) = tokens.next() {
        match token {
            Token::Word("as") => {
                tokens.next();
            }
            Token::Word(word) => {
                let segments = stem.iter().cloned().chain([word.to_owned()]).collect();
                follow(segments, tokens.line, tokens, found);
            }
            Token::Other('}') => return,
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Colons,
    Other(char),
}

#[derive(Clone)]
struct Tokens<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let trimmed = self.rest.trim_start();
        self.line += self.rest[..self.rest.len() - trimmed.len()].matches('\n').count();
        let first = trimmed.chars().next()?;
        let word = trimmed.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(trimmed.len());
        let (token, length) = if word > 0 {
            (Token::Word(&trimmed[..word]), word)
        } else if trimmed.starts_with("::") {
            (Token::Colons, 2)
        } else {
            (Token::Other(first), first.len_utf8())
        };
        self.rest = &trimmed[length..];
        Some(token)
    }
}

#[test]
fn finds_plain_and_branching_paths() {
    let told =
        |code| paths(code).iter().map(|path| format!("{} {}", path.line, path.segments.join("::"))).collect::<Vec<_>>();
    assert_eq!(told("let x = std::fs::read(y);\nz"), ["1 std::fs::read"]);
    assert_eq!(told("use crate::{\n a,\n b::{c, d as e},\n};"), ["2 crate::a", "3 crate::b::c", "3 crate::b::d"]);
    assert_eq!(told("Vec::<u8>::new()"), Vec::<String>::new());
}
