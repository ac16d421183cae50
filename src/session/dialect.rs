//! How the server reads a text: the client's encoding, and what a backslash in a plain string is.
//!
//! In: what ParameterStatus said of `client_encoding` and `standard_conforming_strings`, and a statement as it was sent. Out: the same statement in
//! UTF-8, its plain strings written so that a backslash in them is an escape where the session has it so (`E'…'`). Everything behind this
//! module reads texts in this one form. Where an encoding is not known here, its bytes beyond ASCII become U+FFFD each: the text is
//! still cut where the server cuts it, but for JOHAB's, whose second bytes may be ASCII: they go with the first.

use std::borrow::Cow;

use encoding_rs::Encoding;

/// Words of a statement that may change the dialect for what is sent behind it …
const CHANGE: [&str; 3] = ["client_encoding", "standard_conforming_strings", "set_config"];
/// … two of them, one behind the other …
const CHANGE_TOGETHER: [(&str, &str); 5] =
    [("set", "names"), ("session", "names"), ("local", "names"), ("reset", "all"), ("discard", "all")];
/// … and those that undo a change.
const UNDO: [&str; 4] = ["rollback", "abort", "commit", "end"];

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    charset: Charset,
    /// `standard_conforming_strings` is off.
    escapes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charset {
    /// UTF-8, and whatever the server takes unlooked at.
    Utf8,
    Latin1,
    Known(&'static Encoding),
    /// ASCII's bytes are ASCII's.
    Unknown,
    /// A byte beyond ASCII takes the next one with it.
    Pairs,
}

impl Default for Dialect {
    fn default() -> Dialect {
        Dialect { charset: Charset::Utf8, escapes: false }
    }
}

impl Dialect {
    /// ParameterStatus `client_encoding`.
    pub fn set_encoding(&mut self, name: &[u8]) {
        self.charset = charset(&String::from_utf8_lossy(name).to_ascii_uppercase());
    }

    /// ParameterStatus `standard_conforming_strings`.
    pub fn set_standard_strings(&mut self, value: &[u8]) {
        self.escapes = value == b"off";
    }

    /// A statement as the server reads it.
    pub fn read<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        if *self == Dialect::default() {
            return Cow::Borrowed(text);
        }
        let decoded = self.decoded(text);
        if !self.escapes || !decoded.contains('\\') {
            return match decoded {
                Cow::Borrowed(_) => Cow::Borrowed(text),
                Cow::Owned(decoded) => Cow::Owned(decoded.into_bytes()),
            };
        }
        Cow::Owned(with_escapes(&decoded).into_bytes())
    }

    fn decoded<'t>(&self, text: &'t [u8]) -> Cow<'t, str> {
        if text.is_ascii() {
            return String::from_utf8_lossy(text);
        }
        match self.charset {
            Charset::Utf8 => String::from_utf8_lossy(text),
            Charset::Latin1 => Cow::Owned(text.iter().map(|byte| char::from(*byte)).collect()),
            Charset::Known(encoding) => encoding.decode_without_bom_handling(text).0,
            Charset::Unknown => Cow::Owned(text.iter().map(|byte| ascii(*byte)).collect()),
            Charset::Pairs => {
                let mut bytes = text.iter();
                let mut decoded = String::with_capacity(text.len());
                while let Some(byte) = bytes.next() {
                    decoded.push(ascii(*byte));
                    if !byte.is_ascii() {
                        bytes.next();
                    }
                }
                Cow::Owned(decoded)
            }
        }
    }
}

/// Whether a statement may change how the next ones are read, before the server has told. `moved`: the session has changed it before.
pub(super) fn may_change(text: &[u8], moved: bool) -> bool {
    let mut before: &[u8] = b"";
    for word in text.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty()) {
        let is = |other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        let together = |(first, second): &(&str, &str)| before.eq_ignore_ascii_case(first.as_bytes()) && is(second);
        if CHANGE.iter().any(|other| is(other))
            || CHANGE_TOGETHER.iter().any(together)
            || (moved && UNDO.iter().any(|other| is(other)))
        {
            return true;
        }
        before = word;
    }
    false
}

/// Bytes of a text that are looked at together.
const PIECE_BYTES: usize = 64;

/// Whether a text is the same in every dialect.
pub(super) fn is_plain(text: &[u8]) -> bool {
    // All bytes of a piece at once: a branch each would cost more than to look at too many.
    text.chunks(PIECE_BYTES)
        .all(|piece| !piece.iter().fold(false, |found, byte| found | (!byte.is_ascii()) | (*byte == b'\\')))
}

fn ascii(byte: u8) -> char {
    if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER }
}

/// PostgreSQL's names (PostgreSQL manual, "Character Set Support").
fn charset(name: &str) -> Charset {
    let name = name.replace(['-', '_'], "");
    let label = match name.as_str() {
        // What is sent under SQL_ASCII is not converted: it is what the server's own encoding makes of it.
        "UTF8" | "UNICODE" | "SQLASCII" => return Charset::Utf8,
        "LATIN1" | "ISO88591" => return Charset::Latin1,
        "JOHAB" => return Charset::Pairs,
        "SJIS" | "MSKANJI" | "SHIFTJIS" | "WIN932" | "WINDOWS932" | "SHIFTJIS2004" => "shift_jis",
        "EUCJP" | "EUCJIS2004" => "euc-jp",
        "BIG5" | "WIN950" | "WINDOWS950" => "big5",
        "GBK" | "WIN936" | "WINDOWS936" | "GB18030" | "EUCCN" => "gb18030",
        "EUCKR" | "UHC" | "WIN949" | "WINDOWS949" => "euc-kr",
        "KOI8R" | "KOI8" => "koi8-r",
        "KOI8U" => "koi8-u",
        "WIN866" | "ALT" => "ibm866",
        "WIN874" => "windows-874",
        "LATIN2" => "iso-8859-2",
        "LATIN3" => "iso-8859-3",
        "LATIN4" => "iso-8859-4",
        "LATIN6" => "iso-8859-10",
        "LATIN7" => "iso-8859-13",
        "LATIN8" => "iso-8859-14",
        "LATIN9" => "iso-8859-15",
        "LATIN10" => "iso-8859-16",
        other => match (other.strip_prefix("WIN"), other.strip_prefix("ISO8859")) {
            (Some(page), _) => return label_of(&format!("windows-{page}")),
            (_, Some(part)) => return label_of(&format!("iso-8859-{part}")),
            _ => return Charset::Unknown,
        },
    };
    label_of(label)
}

fn label_of(label: &str) -> Charset {
    Encoding::for_label(label.as_bytes()).map_or(Charset::Unknown, Charset::Known)
}

/// Plain strings with a backslash in them as strings with escapes; the rest as it stands.
fn with_escapes(text: &str) -> String {
    let mut scan = Scan { text, at: 0, out: String::with_capacity(text.len().saturating_add(16)), copied: 0 };
    let is_code = text
        .trim_start()
        .get(..3)
        .is_some_and(|word| word.eq_ignore_ascii_case("do ") || word.eq_ignore_ascii_case("do$"));
    while let Some(byte) = scan.peek(0) {
        match byte {
            b'-' if scan.peek(1) == Some(b'-') => scan.skip_line(),
            b'/' if scan.peek(1) == Some(b'*') => scan.skip_comment(),
            b'"' => {
                scan.skip_quoted(b'"', false);
            }
            b'\'' => scan.string(),
            b'$' => scan.dollar(is_code),
            byte if is_word(byte) => scan.word(),
            _ => scan.at = scan.at.saturating_add(1),
        }
    }
    scan.copy_to(text.len());
    scan.out
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

/// As PostgreSQL's scanner goes through a text (`scan.l`).
struct Scan<'t> {
    text: &'t str,
    at: usize,
    out: String,
    /// So much of the text is in `out`.
    copied: usize,
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at.saturating_add(ahead)).copied()
    }

    fn copy_to(&mut self, end: usize) {
        self.out.push_str(self.text.get(self.copied..end).unwrap_or_default());
        self.copied = end;
    }

    fn skip_line(&mut self) {
        while self.peek(0).is_some_and(|byte| !matches!(byte, b'\n' | b'\r')) {
            self.at = self.at.saturating_add(1);
        }
    }

    fn skip_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.peek(0) {
            let step = match (byte, self.peek(1)) {
                (b'/', Some(b'*')) => {
                    depth = depth.saturating_add(1);
                    2
                }
                (b'*', Some(b'/')) => {
                    depth = depth.saturating_sub(1);
                    2
                }
                _ => 1,
            };
            self.at = self.at.saturating_add(step);
            if depth == 0 {
                return;
            }
        }
    }

    /// To behind the closing mark. True where there was a backslash.
    fn skip_quoted(&mut self, mark: u8, escapes: bool) -> bool {
        let mut found = false;
        self.at = self.at.saturating_add(1);
        while let Some(byte) = self.peek(0) {
            let step = match byte {
                b'\\' => {
                    found = true;
                    if escapes { 2 } else { 1 }
                }
                byte if byte == mark && self.peek(1) == Some(mark) => 2,
                byte if byte == mark => {
                    self.at = self.at.saturating_add(1);
                    return found;
                }
                _ => 1,
            };
            self.at = self.at.saturating_add(step);
        }
        found
    }

    /// A string that a session without standard strings reads with escapes, with all the pieces that go on behind line breaks.
    fn string(&mut self) {
        let start = self.at;
        let mut found = self.skip_quoted(b'\'', true);
        while let Some(next) = self.goes_on() {
            self.at = next;
            found |= self.skip_quoted(b'\'', true);
        }
        if found {
            self.copy_to(start);
            self.out.push_str(" E");
        }
    }

    /// Where the next piece of a string begins: behind blanks and comments with a line break among them.
    fn goes_on(&self) -> Option<usize> {
        let mut ahead = Scan { text: self.text, at: self.at, out: String::new(), copied: 0 };
        let mut broke = false;
        loop {
            match ahead.peek(0)? {
                b'\n' | b'\r' => {
                    broke = true;
                    ahead.at = ahead.at.saturating_add(1);
                }
                b' ' | b'\t' | 0x0b | 0x0c => ahead.at = ahead.at.saturating_add(1),
                b'-' if ahead.peek(1) == Some(b'-') => ahead.skip_line(),
                b'\'' if broke => return Some(ahead.at),
                _ => return None,
            }
        }
    }

    /// `$tag$…$tag$`; `$1`. Inside a block of code, its own strings are read so, too.
    fn dollar(&mut self, is_code: bool) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let tag = rest.get(1..).and_then(|rest| rest.split_once('$')).map(|(tag, _)| tag);
        let is_tag = |tag: &&str| {
            !tag.starts_with(|c: char| c.is_ascii_digit()) && tag.bytes().all(|byte| is_word(byte) && byte != b'$')
        };
        let Some(tag) = tag.filter(is_tag) else {
            self.at = self.at.saturating_add(1);
            return;
        };
        let mark = format!("${tag}$");
        let start = self.at.saturating_add(mark.len());
        let length = self.text.get(start..).and_then(|inside| inside.find(&mark));
        let Some(length) = length else {
            self.at = self.text.len();
            return;
        };
        let end = start.saturating_add(length);
        if is_code {
            self.copy_to(start);
            self.out.push_str(&with_escapes(self.text.get(start..end).unwrap_or_default()));
            self.copied = end;
        }
        self.at = end.saturating_add(mark.len());
    }

    /// A word, or what stands before a string that is of a kind of its own.
    fn word(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(is_word) {
            self.at = self.at.saturating_add(1);
        }
        let word = self.text.get(start..self.at).unwrap_or_default().to_ascii_lowercase();
        match (word.as_str(), self.peek(0)) {
            ("e", Some(b'\'')) => {
                self.skip_quoted(b'\'', true);
                while let Some(next) = self.goes_on() {
                    self.at = next;
                    self.skip_quoted(b'\'', true);
                }
            }
            ("b" | "x", Some(b'\'')) => {
                self.skip_quoted(b'\'', false);
            }
            ("n", Some(b'\'')) => {
                // `N'…'` is a string behind a word, and `N E'…'` is not.
                self.copy_to(start);
                self.out.push_str("nchar ");
                self.copied = self.at;
            }
            // The server refuses it in such a session.
            ("u", Some(b'&')) if matches!(self.peek(1), Some(b'\'')) => {
                self.at = self.at.saturating_add(1);
                self.skip_quoted(b'\'', false);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(encoding: &str, strings: &str) -> Dialect {
        let mut dialect = Dialect::default();
        dialect.set_encoding(encoding.as_bytes());
        dialect.set_standard_strings(strings.as_bytes());
        dialect
    }

    fn read(dialect: &Dialect, text: &[u8]) -> String {
        String::from_utf8(dialect.read(text).into_owned()).expect("UTF-8")
    }

    #[test]
    fn a_backslash_is_an_escape_where_the_session_has_it_so() {
        let off = dialect("UTF8", "off");
        for (sent, meant) in [
            (r"select '\' || a from t --'", r"select  E'\' || a from t --'"),
            (r"select 'a', '\'', b", r"select 'a',  E'\'', b"),
            (r#"select "a\", '\\'"#, r#"select "a\",  E'\\'"#),
            (r"select 'it''s \n'", r"select  E'it''s \n'"),
            (r"select E'\'', e'a' , x'0f', b'01'", r"select E'\'', e'a' , x'0f', b'01'"),
            (r"select n'\''", r"select nchar  E'\''"),
            (r"select $$ '\' $$, '\''", r"select $$ '\' $$,  E'\''"),
            (r"select $a$ $b$ '\' $a$, $1", r"select $a$ $b$ '\' $a$, $1"),
            (r"select a$1 /* ' /* ' */ */ -- '\", r"select a$1 /* ' /* ' */ */ -- '\"),
            (r"do $$ begin perform '\''; end $$", r"do $$ begin perform  E'\''; end $$"),
            ("select 'a' -- x\n '\\''", "select  E'a' -- x\n '\\''"),
            ("select 'a' '\\''", "select 'a'  E'\\''"),
        ] {
            assert_eq!(read(&off, sent.as_bytes()), meant);
            assert_eq!(read(&dialect("UTF8", "on"), sent.as_bytes()), sent);
        }
    }

    #[test]
    fn second_bytes_are_no_backslashes() {
        // 表 is 0x95 0x5C in SJIS, 功 0xA5 0x5C in BIG5.
        let sent = [&b"select '"[..], &[0x95, 0x5c], b"' || email from t"].concat();
        assert_eq!(read(&dialect("SJIS", "off"), &sent), "select '表' || email from t");
        let sent = [&b"select E'"[..], &[0xa5, 0x5c], b"', \"", &[0xa5, 0x5c], b"\""].concat();
        assert_eq!(read(&dialect("BIG5", "on"), &sent), "select E'功', \"功\"");
        assert_eq!(read(&dialect("EUC_JP", "on"), &[b'"', 0xc9, 0xbd, b'"']), "\"表\"");
        assert_eq!(read(&dialect("LATIN1", "on"), b"\xe9"), "é");
        assert_eq!(read(&dialect("win1252", "on"), b"\x80"), "€");
        assert_eq!(read(&dialect("JOHAB", "on"), b"'\x88\x5c' x"), "'\u{fffd}' x");
        assert_eq!(read(&dialect("EUC_TW", "on"), b"'\xa1\xa1' x"), "'\u{fffd}\u{fffd}' x");
    }

    #[test]
    fn what_may_change_the_dialect_is_known_by_its_words() {
        for text in
            ["SET NAMES 'SJIS'", "set local\tnames 'x'", "select SET_CONFIG('a', 'b', true)", "reset all; select 1"]
        {
            assert!(may_change(text.as_bytes(), false), "{text}");
        }
        for text in ["select names from usernames", "rollback", "update t set a = 1"] {
            assert!(!may_change(text.as_bytes(), false), "{text}");
        }
        assert!(may_change(b"rollback to s", true));
    }

    #[test]
    fn any_bytes_are_read_in_any_dialect() {
        let bytes: Vec<u8> = (0..=255).chain(*b"'\\'$a$\"/*--'").chain((0..=255).rev()).collect();
        for encoding in ["UTF8", "SJIS", "JOHAB", "BIG5", "EUC_TW", "GB18030", "nonsense"] {
            for strings in ["on", "off"] {
                for start in 0..bytes.len() {
                    dialect(encoding, strings).read(&bytes[start..]);
                }
            }
        }
    }
}
