//! Bind, read as it streams by.
//!
//! In: the pieces of one Bind's body. Out: the portal, the statement, the formats that the result is to have, and the first short
//! values of its parameters, see [`Parameters`]. Longer ones, up to a gigabyte of them, are stepped over and never kept. Source: PostgreSQL manual, "Message
//! Formats", Bind.

use std::sync::Arc;

use super::frontend::{NAME_BYTES_MAX, Name};

/// The most columns that a result can have (`MaxTupleAttributeNumber`); format codes beyond are an error of the
/// client's that the server reports.
pub const COLUMNS_MAX: usize = 1_664;

/// Parameters of a Bind whose values are kept.
pub const PARAMETERS_KEPT_MAX: usize = 100;
/// The longest value that is kept, bytes.
pub const PARAMETER_BYTES_MAX: u8 = 255;
/// All of them together, bytes.
const PARAMETERS_BYTES_MAX: usize = 4_096;

/// Values of parameters: of each its format, its length, and its bytes. Raw: nothing that is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters(pub Option<Arc<[u8]>>);

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parameters")
    }
}

impl Parameters {
    /// Each value, and whether it is in binary.
    pub fn iter(&self) -> impl Iterator<Item = (bool, &[u8])> {
        let mut rest = self.0.as_deref().unwrap_or_default();
        std::iter::from_fn(move || {
            let [binary, length, after @ ..] = rest else { return None };
            let (value, after) = after.split_at_checked(usize::from(*length))?;
            rest = after;
            Some((*binary == 1, value))
        })
    }
}

/// The formats that a Bind asks the result's columns to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Formats {
    /// No codes, or a single 0.
    #[default]
    Text,
    /// A single 1.
    Binary,
    /// A code a column.
    Each(Box<[bool]>),
}

impl Formats {
    /// Whether the column of that number, from 0, comes in binary.
    pub fn is_binary(&self, column: usize) -> bool {
        match self {
            Formats::Text => false,
            Formats::Binary => true,
            Formats::Each(binary) => binary.get(column).copied().unwrap_or(false),
        }
    }
}

/// A Bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The portal it makes.
    pub portal: Name,
    /// The statement it makes it of.
    pub statement: Name,
    /// The result's formats.
    pub formats: Formats,
    /// The first short values of its parameters.
    pub parameters: Parameters,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Portal,
    Statement,
    FormatCount,
    ParameterFormat,
    ParameterCount,
    ParameterLength,
    ResultCount,
    ResultFormat,
    Done,
}

/// Reads one Bind.
#[derive(Clone, Debug, Default)]
pub struct BindReader {
    step: Step,
    /// Bytes to step over before `step` goes on.
    skip: u64,
    /// Numbers that `step` has still to read.
    remaining: u16,
    number: u32,
    number_bytes: u8,
    portal: Vec<u8>,
    statement: Vec<u8>,
    binary: Vec<bool>,
    /// Formats of the parameters, the first ones.
    parameter_formats: Vec<bool>,
    /// The parameter under way, from 0.
    parameter: usize,
    /// What is stepped over is kept.
    keeps: bool,
    kept: Vec<u8>,
}

impl BindReader {
    /// Takes a piece of the body.
    pub fn push(&mut self, mut piece: &[u8]) {
        loop {
            if self.skip > 0 {
                let wanted = usize::try_from(self.skip).unwrap_or(usize::MAX);
                let (stepped, rest) = piece.split_at_checked(wanted).unwrap_or((piece, &[]));
                self.skip = self.skip.saturating_sub(u64::try_from(stepped.len()).unwrap_or(u64::MAX));
                if self.keeps {
                    self.kept.extend_from_slice(stepped);
                }
                piece = rest;
            }
            piece = self.name(piece);
            let Some((byte, rest)) = piece.split_first() else { return };
            piece = rest;
            self.byte(*byte);
        }
    }

    /// Takes what there is of a name, its end excepted, where one is under way; gives the rest.
    fn name<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let name = match self.step {
            Step::Portal => &mut self.portal,
            Step::Statement => &mut self.statement,
            _ => return piece,
        };
        let end = piece.iter().position(|byte| *byte == 0).unwrap_or(piece.len());
        let (more, rest) = piece.split_at(end);
        let room = NAME_BYTES_MAX.saturating_sub(name.len());
        name.extend_from_slice(more.get(..room).unwrap_or(more));
        rest
    }

    /// The Bind; `None` where the body ended too early, which the server will answer with an error.
    pub fn finish(self) -> Option<Bind> {
        if self.step != Step::Done || self.skip > 0 {
            return None;
        }
        let formats = match self.binary.as_slice() {
            [] | [false] => Formats::Text,
            [true] => Formats::Binary,
            each => Formats::Each(each.into()),
        };
        let parameters = Parameters((!self.kept.is_empty()).then(|| self.kept.into()));
        Some(Bind { portal: Name::new(&self.portal), statement: Name::new(&self.statement), formats, parameters })
    }

    fn byte(&mut self, byte: u8) {
        match self.step {
            // A name's end.
            Step::Portal => self.step = Step::Statement,
            Step::Statement => self.step = Step::FormatCount,
            Step::Done => {}
            Step::ParameterLength => {
                if let Some(length) = self.number(byte, 4) {
                    self.parameter(length);
                }
            }
            Step::FormatCount
            | Step::ParameterFormat
            | Step::ParameterCount
            | Step::ResultCount
            | Step::ResultFormat => {
                if let Some(number) = self.number(byte, 2) {
                    self.short(u16::try_from(number).unwrap_or(u16::MAX));
                }
            }
        }
    }

    /// A number of `width` bytes, network order, when its last byte has come.
    fn number(&mut self, byte: u8, width: u8) -> Option<u32> {
        self.number = (self.number << 8) | u32::from(byte);
        self.number_bytes = self.number_bytes.saturating_add(1);
        (self.number_bytes >= width).then(|| {
            self.number_bytes = 0;
            std::mem::take(&mut self.number)
        })
    }

    fn short(&mut self, number: u16) {
        match self.step {
            Step::FormatCount => {
                self.remaining = number;
                self.step = if number == 0 { Step::ParameterCount } else { Step::ParameterFormat };
            }
            Step::ParameterFormat => {
                if self.parameter_formats.len() < PARAMETERS_KEPT_MAX {
                    self.parameter_formats.push(number == 1);
                }
                self.remaining = self.remaining.saturating_sub(1);
                if self.remaining == 0 {
                    self.step = Step::ParameterCount;
                }
            }
            Step::ParameterCount => {
                self.remaining = number;
                self.step = if number == 0 { Step::ResultCount } else { Step::ParameterLength };
            }
            Step::ResultCount => {
                self.remaining = number;
                self.step = if number == 0 { Step::Done } else { Step::ResultFormat };
            }
            _ => {
                if self.binary.len() < COLUMNS_MAX {
                    self.binary.push(number == 1);
                }
                self.remaining = self.remaining.saturating_sub(1);
                if self.remaining == 0 {
                    self.step = Step::Done;
                }
            }
        }
    }

    fn parameter(&mut self, length: u32) {
        // -1 is NULL; any other negative length is an error of the server's, whatever is read after it here.
        self.skip = i32::try_from(length).ok().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        self.keeps = false;
        if let (Ok(short @ 1..=PARAMETER_BYTES_MAX), 0..PARAMETERS_KEPT_MAX) = (u8::try_from(self.skip), self.parameter)
            && self.kept.len() < PARAMETERS_BYTES_MAX
        {
            // One format stands for all of them, none for text.
            let format = match self.parameter_formats.as_slice() {
                [one] => *one,
                each => each.get(self.parameter).copied().unwrap_or(false),
            };
            self.kept.extend_from_slice(&[u8::from(format), short]);
            self.keeps = true;
        }
        self.parameter = self.parameter.saturating_add(1);
        self.remaining = self.remaining.saturating_sub(1);
        if self.remaining == 0 {
            self.step = Step::ResultCount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parameters: &[Option<&[u8]>], formats: &[u16]) -> Vec<u8> {
        let mut body = b"portal\0statement\0\0\x01\0\x01".to_vec();
        body.extend(u16::try_from(parameters.len()).unwrap().to_be_bytes());
        for parameter in parameters {
            match parameter {
                Some(value) => {
                    body.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
                    body.extend(*value);
                }
                None => body.extend([0xff; 4]),
            }
        }
        body.extend(u16::try_from(formats.len()).unwrap().to_be_bytes());
        formats.iter().for_each(|format| body.extend(format.to_be_bytes()));
        body
    }

    fn read(body: &[u8], step: usize) -> Option<Bind> {
        let mut reader = BindReader::default();
        body.chunks(step).for_each(|piece| reader.push(piece));
        reader.finish()
    }

    #[test]
    fn a_bind_is_read_however_it_is_cut() {
        let big = vec![0u8; 5_000];
        let body = body(&[Some(b"4711"), None, Some(&big), Some(b"")], &[0, 1, 0]);
        for step in [1, 2, 3, 7, 100, body.len()] {
            let bind = read(&body, step).unwrap();
            assert_eq!((&bind.portal, &bind.statement), (&Name::new(b"portal"), &Name::new(b"statement")));
            // The one format is binary; NULL, nothing and what is long are not kept.
            assert_eq!(bind.parameters.iter().collect::<Vec<_>>(), [(true, &b"4711"[..])]);
            assert_eq!(format!("{:?}", bind.parameters), "Parameters");
            assert_eq!(bind.formats, Formats::Each([false, true, false].into()));
            assert!(bind.formats.is_binary(1) && !bind.formats.is_binary(2) && !bind.formats.is_binary(9));
        }
        for end in 0..body.len() {
            assert_eq!(read(&body[..end], 64), None, "{end}");
        }
    }

    #[test]
    fn what_is_kept_of_parameters_is_bounded_and_has_its_format() {
        let value = [b'x'; 200];
        let mut many = vec![Some(&value[..]); 300];
        let kept = read(&body(&many, &[]), 50).unwrap().parameters;
        assert!(kept.iter().count() < PARAMETERS_KEPT_MAX && kept.iter().all(|(_, kept)| kept == value));
        many.fill(Some(b"1"));
        assert_eq!(read(&body(&many, &[]), 50).unwrap().parameters.iter().count(), PARAMETERS_KEPT_MAX);
        // Two parameters, the second in binary.
        let each = b"\0\0\0\x02\0\0\0\x01\0\x02\0\0\0\x01a\0\0\0\x01b\0\0";
        let kept = read(each, 4).unwrap().parameters;
        assert_eq!(kept.iter().collect::<Vec<_>>(), [(false, &b"a"[..]), (true, &b"b"[..])]);
    }

    #[test]
    fn one_format_stands_for_all_columns() {
        assert_eq!(read(&body(&[], &[]), 9).unwrap().formats, Formats::Text);
        assert_eq!(read(&body(&[], &[0]), 9).unwrap().formats, Formats::Text);
        assert!(read(&body(&[], &[1]), 9).unwrap().formats.is_binary(1_000));
    }

    #[test]
    fn a_parameter_longer_than_its_frame_is_no_bind() {
        let mut lying = body(&[Some(b"4711")], &[]);
        let at = lying.len() - 10;
        lying[at..at + 4].copy_from_slice(&i32::MAX.to_be_bytes());
        assert_eq!(read(&lying, 5), None);
    }
}
