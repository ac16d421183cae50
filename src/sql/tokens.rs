//! A statement's tokens, as PostgreSQL's own scanner cuts them, and its text with the literals out.
//!
//! In: a text. Out: [`Tokens`], comments apart. A text the scanner refuses has none.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use pg_query::protobuf::{KeywordKind, Token};

use super::plain;
use crate::record::Text;

/// Aggregates that make one value of many rows, with each row's whole value in it.
pub const COLLECTING: [&str; 13] = [
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_agg_strict",
    "jsonb_agg_strict",
    "json_object_agg",
    "jsonb_object_agg",
    "json_object_agg_strict",
    "jsonb_object_agg_strict",
    "json_arrayagg",
    "json_objectagg",
    "xmlagg",
];

/// One token: what it is, and its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexeme<'t> {
    pub(super) token: Token,
    pub(super) keyword: bool,
    /// A keyword that, unquoted, is no column's or table's name.
    pub(super) fixed: bool,
    pub(super) text: &'t str,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// All the tokens of a text but its comments.
#[derive(Debug)]
pub(super) struct Tokens<'t> {
    pub(super) text: &'t str,
    pub(super) all: Vec<Lexeme<'t>>,
    pub(super) comments: Vec<&'t str>,
}

impl<'t> Tokens<'t> {
    /// Scans; `None` where PostgreSQL's scanner refuses.
    pub(super) fn scan(text: &'t str) -> Option<Tokens<'t>> {
        match plain::tokens(text) {
            Some(all) => Some(Tokens { text, all, comments: Vec::new() }),
            None => Tokens::scanned(text),
        }
    }

    /// The same by the scanner alone.
    pub(super) fn scanned(text: &'t str) -> Option<Tokens<'t>> {
        let mut all = Vec::new();
        let mut comments = Vec::new();
        // The library hands a null pointer on where there is no token at all.
        if text.bytes().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)) {
            return Some(Tokens { text, all, comments });
        }
        for found in pg_query::scan_tokens(text).ok()? {
            let (start, end) = (usize::try_from(found.start).ok()?, usize::try_from(found.end).ok()?);
            let token = Token::try_from(found.token).ok()?;
            let slice = text.get(start..end)?;
            if matches!(token, Token::SqlComment | Token::CComment) {
                comments.push(slice);
                continue;
            }
            let keyword = found.keyword_kind != KeywordKind::NoKeyword as i32;
            let fixed = keyword && found.keyword_kind != KeywordKind::UnreservedKeyword as i32;
            all.push(Lexeme { token, keyword, fixed, text: slice, start, end });
        }
        Some(Tokens { text, all, comments })
    }

    /// The token at `index`, in lower case unless it is quoted; empty past the end.
    pub(super) fn word(&self, index: usize) -> String {
        self.all.get(index).map_or_else(String::new, Lexeme::name)
    }

    /// Whether the tokens from `index` on are these words.
    pub(super) fn are(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| {
            self.all.get(index + offset).is_some_and(|lexeme| lexeme.text.eq_ignore_ascii_case(word))
        })
    }

    /// What stands in the parenthesis or bracket that opens at `open`, itself first: where, and how deep.
    pub(super) fn within(&self, open: usize) -> impl Iterator<Item = (usize, usize, &Lexeme<'t>)> {
        self.all.iter().enumerate().skip(open).scan(0_usize, |depth, (at, lexeme)| {
            match lexeme.text {
                "(" | "[" => *depth += 1,
                ")" | "]" => *depth = depth.saturating_sub(1),
                _ => {}
            }
            (*depth > 0).then_some((at, *depth, lexeme))
        })
    }

    /// Where `word` first stands outside any parentheses, from `from` on.
    pub(super) fn find(&self, from: usize, word: &str) -> Option<usize> {
        self.find_where(from, |lexeme| lexeme.text.eq_ignore_ascii_case(word))
    }

    /// Where what is looked for first stands outside any parentheses, from `from` on.
    pub(super) fn find_where(&self, from: usize, is_it: impl Fn(&Lexeme<'_>) -> bool) -> Option<usize> {
        let mut depth = 0_usize;
        for (index, lexeme) in self.all.iter().enumerate().skip(from) {
            match lexeme.token {
                // ( and )
                Token::Ascii40 => depth += 1,
                Token::Ascii41 => depth = depth.saturating_sub(1),
                _ if depth == 0 && is_it(lexeme) => return Some(index),
                _ => {}
            }
        }
        None
    }

    /// The text from the token at `index` to the end.
    pub(super) fn rest(&self, index: usize) -> &'t str {
        self.all.get(index).and_then(|lexeme| self.text.get(lexeme.start..)).unwrap_or("")
    }

    /// The text inside the parentheses that open at `index`, and the index behind them.
    pub(super) fn parenthesised(&self, index: usize) -> Option<(&'t str, usize)> {
        let open = self.all.get(index).filter(|lexeme| lexeme.text == "(")?;
        let mut depth = 0_usize;
        for (at, lexeme) in self.all.iter().enumerate().skip(index) {
            match lexeme.text {
                "(" => depth += 1,
                ")" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some((self.text.get(open.end..lexeme.start)?, at + 1));
            }
        }
        None
    }

    /// The names in the list that opens at `from`, before `to`.
    pub(super) fn names_between(&self, from: usize, to: usize) -> Vec<Text> {
        let listed = self.all.iter().take(to).skip(from + 1).take_while(|lexeme| lexeme.text != ")");
        listed.filter(|lexeme| lexeme.text != ",").map(|lexeme| lexeme.name().into()).collect()
    }

    /// How deep parentheses and brackets nest.
    pub(super) fn depth(&self) -> usize {
        let (mut depth, mut deepest) = (0_usize, 0);
        for lexeme in &self.all {
            match lexeme.token {
                // ( and [
                Token::Ascii40 | Token::Ascii91 => depth += 1,
                Token::Ascii41 | Token::Ascii93 => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    /// Tokens that make a parser's tree one level deeper, though nothing nests: operators, and words between operands.
    pub(super) fn links(&self) -> usize {
        self.all.iter().filter(|lexeme| lexeme.is_link()).count()
    }

    /// Whether something in it makes one value of many rows.
    pub(super) fn collect_rows(&self) -> bool {
        const ALSO: [&str; 3] = ["range_agg", "array_concat_agg", "tsvector_agg"];
        // As all of their names have it: most texts have it nowhere.
        const IN_EACH: [u8; 3] = *b"agg";
        const LARGE: u8 = b'a' ^ b'A';
        // Without a branch, so that it is told of many letters at once.
        let from = |start: usize| self.text.as_bytes().get(start..).unwrap_or_default().iter().map(|byte| byte | LARGE);
        let parts = from(0).zip(from(1)).zip(from(2));
        let holds = || parts.fold(false, |found, ((one, two), three)| found | ([one, two, three] == IN_EACH));
        self.all.iter().enumerate().any(|(at, lexeme)| match lexeme.token {
            Token::Array | Token::JsonArray => self.opens_query(at + 1),
            _ => false,
        }) || holds()
            && self
                .all
                .iter()
                .any(|lexeme| !lexeme.is_constant() && COLLECTING.iter().chain(&ALSO).any(|word| lexeme.is_named(word)))
    }

    /// Whether something is cast that is no collection of rows: `json_agg(c::text)`, not `json_agg(c)::text`.
    pub(super) fn casts_within(&self) -> bool {
        let mut open = Vec::new();
        // Whether what a parenthesis that has just been closed held was collected.
        let mut is_collected = false;
        for (at, lexeme) in self.all.iter().enumerate() {
            match lexeme.token {
                Token::Cast => return true,
                Token::Typecast if !is_collected => return true,
                Token::Ascii40 => open.push(at),
                _ => {}
            }
            is_collected = lexeme.token == Token::Ascii41
                && open
                    .pop()
                    .and_then(|at: usize| self.all.get(at.checked_sub(1)?))
                    .is_some_and(|name| COLLECTING.iter().any(|word| name.is_named(word)));
        }
        false
    }

    /// Whether something in it is one of several values.
    pub(super) fn choose(&self) -> bool {
        use Token::{Case, Coalesce, Greatest, Least, Nullif};
        self.all.iter().any(|lexeme| matches!(lexeme.token, Case | Coalesce | Greatest | Least | Nullif))
    }

    /// Whether a query in it may read itself.
    pub(super) fn may_recur(&self) -> bool {
        self.all.iter().any(|lexeme| lexeme.token == Token::Recursive)
    }

    /// Operators, and types that something is cast to, as `::name` behind them; distinct.
    pub(super) fn operators(&self) -> Vec<Text> {
        let mut operators: BTreeSet<&str> = BTreeSet::new();
        let mut types: BTreeSet<Text> = BTreeSet::new();
        // Of each parenthesis that is open, whether it is a CAST's.
        let mut casts = Vec::new();
        let mut before = None;
        for (at, lexeme) in self.all.iter().enumerate() {
            match lexeme.token {
                Token::Ascii40 => casts.push(before == Some(Token::Cast)),
                Token::Ascii41 => drop(casts.pop()),
                Token::Typecast => types.extend(self.type_named(at + 1)),
                Token::As if casts.last() == Some(&true) => types.extend(self.type_named(at + 1)),
                Token::NotEquals => drop(operators.insert("<>")),
                // Of all columns, or of all rows.
                Token::Ascii42
                    if matches!(
                        before,
                        Some(Token::Select | Token::Ascii44 | Token::Ascii46 | Token::Ascii40 | Token::Distinct)
                    ) => {}
                _ if lexeme.is_operator() => drop(operators.insert(lexeme.text)),
                _ => {}
            }
            before = Some(lexeme.token);
        }
        operators.into_iter().map(Text::from).chain(types).collect()
    }

    /// The type that is named at `index`, where it may be anybody's.
    fn type_named(&self, index: usize) -> Option<Text> {
        let named = |at: usize| self.all.get(at).filter(|lexeme| lexeme.is_name()).map(Lexeme::name);
        let first = self.all.get(index).filter(|lexeme| lexeme.is_name())?;
        let name = match self.word(index + 1) == "." {
            true if first.name() == "pg_catalog" => return None,
            true => named(index + 2)?,
            false if matches!(first.token, Token::Ident | Token::Uident) => first.name(),
            false => return None,
        };
        Some(format!("::{name}").into())
    }

    /// Whether a parenthesis opens at `index`, and a query in it.
    fn opens_query(&self, index: usize) -> bool {
        let opens = self.all.get(index).is_some_and(|lexeme| lexeme.text == "(");
        opens && ["select", "with", "values", "table", "("].iter().any(|word| self.are(index + 1, &[word]))
    }

    /// The text without this comment of it, which has to be first or last, and with `?` for each parameter; without the white space around
    /// it, and semicolons at the end.
    pub(super) fn without(&self, comment: &str) -> Option<String> {
        let start = comment.as_ptr().addr().checked_sub(self.text.as_ptr().addr())?;
        let end = start.checked_add(comment.len())?;
        let is_last = self.text.get(end..)?.chars().all(|c| c.is_whitespace() || c == ';');
        if !is_last && !self.text.get(..start)?.trim().is_empty() {
            return None;
        }
        let (from, to) = if is_last { (0, start) } else { (end, self.text.len()) };
        let mut out = String::with_capacity(self.text.len());
        let mut at = from;
        for lexeme in self.all.iter().filter(|lexeme| lexeme.token == Token::Param) {
            if (from..to).contains(&lexeme.start) {
                out.push_str(self.text.get(at..lexeme.start)?);
                out.push('?');
                at = lexeme.end;
            }
        }
        out.push_str(self.text.get(at..to)?);
        let whole = out.trim_end_matches(|c: char| c.is_whitespace() || c == ';').trim_start();
        Some(whole.to_owned())
    }

    /// Whether a comment, or what belongs to one, stands between two tokens.
    fn has_comment(&self, gap: Range<usize>) -> bool {
        !self.text.get(gap).unwrap_or_default().chars().all(char::is_whitespace)
    }

    /// The text with every constant replaced by a parameter (numbered on from those it has) and without comments.
    pub(super) fn redacted(&self) -> String {
        let mut next = self.all.iter().filter_map(Lexeme::parameter).max().unwrap_or(0).saturating_add(1);
        let mut out = String::with_capacity(self.text.len());
        // What stays as it is goes at once, from here on.
        let mut from = self.all.first().map_or(0, |lexeme| lexeme.start);
        let mut end = from;
        for lexeme in &self.all {
            // Where there is no comment, nothing but white space stands between two.
            if !self.comments.is_empty() && self.has_comment(end..lexeme.start) {
                out.push_str(self.text.get(from..end).unwrap_or_default());
                out.push(' ');
                from = lexeme.start;
            }
            end = lexeme.end;
            if lexeme.is_constant() {
                out.push_str(self.text.get(from..lexeme.start).unwrap_or_default());
                from = end;
                out.push('$');
                match u8::try_from(next) {
                    Ok(digit @ 0..=9) => out.push(char::from(b'0' + digit)),
                    // Writing to a String does not fail.
                    _ => drop(write!(out, "{next}")),
                }
                next = next.saturating_add(1);
            }
        }
        out.push_str(self.text.get(from..end).unwrap_or_default());
        out.trim_end_matches([';', ' ', '\n', '\t', '\r']).to_owned()
    }
}

impl Lexeme<'_> {
    /// Whether it is a constant: a string, number or bit string, however it is quoted.
    pub(super) fn is_constant(&self) -> bool {
        matches!(
            self.token,
            Token::Sconst | Token::Usconst | Token::Fconst | Token::Iconst | Token::Bconst | Token::Xconst
        )
    }

    /// Whether it is an operator that somebody may have made another of; those of one letter, too.
    fn is_operator(&self) -> bool {
        matches!(
            self.token,
            Token::Op
                | Token::LessEquals
                | Token::GreaterEquals
                // % * + - / < = > ^
                | Token::Ascii37
                | Token::Ascii42
                | Token::Ascii43
                | Token::Ascii45
                | Token::Ascii47
                | Token::Ascii60
                | Token::Ascii61
                | Token::Ascii62
                | Token::Ascii94
        )
    }

    /// See [`Tokens::links`].
    fn is_link(&self) -> bool {
        matches!(
            self.token,
            Token::And
                | Token::Or
                | Token::Not
                | Token::NotLa
                | Token::Is
                | Token::Isnull
                | Token::Notnull
                | Token::Collate
                | Token::At
                | Token::Union
                | Token::Intersect
                | Token::Except
                | Token::Case
                | Token::Like
                | Token::Ilike
                | Token::Similar
                | Token::Between
                | Token::InP
                | Token::Overlaps
                | Token::Typecast
                | Token::NotEquals
                | Token::EqualsGreater
        ) || self.is_operator()
    }

    /// Whether it may be the name of something: an identifier, or a word that is not reserved.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.token, Token::Ident | Token::Uident) || self.keyword
    }

    /// What stands in a string; `None` for one with escapes of its own.
    pub(super) fn content(&self) -> Option<String> {
        if let Some(rest) = self.text.strip_prefix('$') {
            let tag = rest.split_once('$')?.0.len() + 2;
            return self.text.get(tag..self.text.len().checked_sub(tag)?).map(str::to_owned);
        }
        self.text.starts_with('\'').then(|| self.value())
    }

    /// What a constant stands for, its quotes and escapes taken away.
    pub(super) fn decoded(&self) -> String {
        let (prefix, quoted) = self.text.split_once('\'').unwrap_or((self.text, ""));
        let Some(inside) = quoted.strip_suffix('\'') else {
            return self.content().unwrap_or_else(|| self.text.to_owned());
        };
        let inside = inside.replace("''", "'");
        match prefix.trim_end_matches('&').to_ascii_lowercase().as_str() {
            "e" => unescaped(&inside, false),
            "u" => unescaped(&inside, true),
            _ => inside,
        }
    }

    fn parameter(&self) -> Option<u32> {
        (self.token == Token::Param).then(|| self.text.get(1..)?.parse().ok()).flatten()
    }

    /// Whether [`Lexeme::name`] is this name, in lower case and without quotation marks.
    fn is_named(&self, name: &str) -> bool {
        match self.text.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"') == Some(name),
            None => self.text.eq_ignore_ascii_case(name),
        }
    }

    /// Puts what [`Lexeme::name`] is behind `out`.
    pub(super) fn push_name(&self, out: &mut String) {
        if !self.text.is_ascii() || self.text.starts_with('"') {
            return out.push_str(&self.name());
        }
        let start = out.len();
        out.push_str(self.text);
        out.get_mut(start..).into_iter().for_each(str::make_ascii_lowercase);
    }

    /// As a name: lower case, or what stands between double quotes.
    pub(super) fn name(&self) -> String {
        match self.text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(quoted) => quoted.replace("\"\"", "\""),
            None if self.text.is_ascii() => self.text.to_ascii_lowercase(),
            None => self.text.to_lowercase(),
        }
    }

    /// As a value: a string's content, anything else as a name.
    pub(super) fn value(&self) -> String {
        match self.text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            Some(quoted) => quoted.replace("''", "'"),
            None => self.name(),
        }
    }
}

/// Backslashes of `E'…'`, or of `U&'…'` (PostgreSQL manual, "String Constants with C-Style Escapes", "with Unicode Escapes").
fn unescaped(text: &str, unicode: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let code = |skip: usize, digits: usize, radix: u32| {
            let found =
                after.get(skip..)?.bytes().take(digits).take_while(|byte| char::from(*byte).is_digit(radix)).count();
            let number = u32::from_str_radix(after.get(skip..skip + found)?, radix).ok()?;
            Some((number, skip + found))
        };
        let first = after.chars().next();
        let escape = match first {
            Some('+') if unicode => code(1, 6, 16),
            Some(_) if unicode => code(0, 4, 16),
            Some('u') => code(1, 4, 16),
            Some('U') => code(1, 8, 16),
            _ => None,
        };
        let byte = match first {
            Some('x') if !unicode => code(1, 2, 16),
            Some('0'..='7') if !unicode => code(0, 3, 8),
            _ => None,
        };
        let mut taken = first.map_or(0, char::len_utf8);
        if let Some((c, length)) = escape.and_then(|(number, length)| Some((char::from_u32(number)?, length))) {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            taken = length;
        } else if let Some((byte, length)) =
            byte.and_then(|(number, length)| Some((u8::try_from(number).ok()?, length)))
        {
            bytes.push(byte);
            taken = length;
        } else {
            let plain = match first {
                Some('n') if !unicode => Some('\n'),
                Some('t') if !unicode => Some('\t'),
                Some('r') if !unicode => Some('\r'),
                Some('b') if !unicode => Some('\u{8}'),
                Some('f') if !unicode => Some('\u{c}'),
                other => other,
            };
            bytes.extend(plain.iter().flat_map(|c| c.to_string().into_bytes()));
        }
        rest = after.get(taken..).unwrap_or("");
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `key='value'` pairs of the comments, percent-decoded (sqlcommenter specification).
pub(super) fn comment_tags(comments: &[&str]) -> Vec<(Text, Text)> {
    /// Pairs that are read.
    const PAIRS_MAX: usize = 32;
    let mut pairs = Vec::new();
    for comment in comments {
        let inside = comment.trim_start_matches("/*").trim_end_matches("*/").trim_start_matches("--");
        for pair in inside.split(',') {
            let Some((key, value)) = pair.trim().split_once('=') else { continue };
            let Some(value) = value.trim().strip_prefix('\'').and_then(|value| value.strip_suffix('\'')) else {
                continue;
            };
            if pairs.len() < PAIRS_MAX {
                let value = percent_decoded(&value.replace("\\'", "'"));
                pairs.push((percent_decoded(key.trim()).into(), value.into()));
            }
        }
    }
    pairs
}

/// The longest name of a ticket, bytes.
const TICKET_BYTES_MAX: usize = 64;

/// The ticket that a comment names, `-- ticket: OPS-1234` or, in sqlcommenter's form, `ticket='OPS-1234'`: the first.
pub(super) fn ticket(comments: &[&str]) -> Option<Text> {
    comments.iter().find_map(|comment| {
        let lower = comment.to_ascii_lowercase();
        let (at, word) = lower.match_indices("ticket").find(|(at, _)| {
            // A word of its own: neither `no-ticket:` nor `ticketing:`.
            let before = lower.get(..*at).and_then(|before| before.chars().next_back());
            before.is_none_or(|c| c.is_whitespace() || matches!(c, '*' | ',' | ';'))
                || lower.get(..*at).is_some_and(|before| before.trim_start() == "--")
        })?;
        let rest = comment.get(at + word.len()..)?.trim_start_matches([' ', '\t']);
        let rest = rest.strip_prefix(':').or_else(|| rest.strip_prefix("='"))?.trim_start_matches([' ', '\t']);
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '#');
        let name = rest.split(|c| !is_of_name(c)).next()?;
        (!name.is_empty() && name.len() <= TICKET_BYTES_MAX).then(|| name.into())
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let decoded = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
