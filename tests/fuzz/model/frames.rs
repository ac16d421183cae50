//! The scanner and the readers of messages against a slow reading of the whole stream.
//!
//! In: bytes, the first of which choose the side and the sizes of the pieces. Out: the first difference.

use mitsuke::wire::backend;
use mitsuke::wire::bind::{Bind, BindReader, Formats, PARAMETERS_KEPT_MAX, Parameters};
use mitsuke::wire::frame::{Capture, Header, Scanner, Side};
use mitsuke::wire::frontend::{self, Name};
use mitsuke::wire::row::{Part, RowReader};
use mitsuke::wire::startup;

/// A message: its type, its length word, and the beginning of its body as it was captured.
type Frame = (u8, u32, Vec<u8>);

/// Checks one stream.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    let Some(([choice, step], stream)) = bytes.split_first_chunk::<2>() else { return Ok(()) };
    let side = if choice % 2 == 0 { Side::Frontend } else { Side::Backend };
    let capture = usize::from(choice >> 1);
    let step = usize::from(*step).max(1);
    let quick = scan(side, stream, step, capture);
    let slow = slow_scan(side, stream, capture);
    if quick != slow {
        return Err(format!("frames {quick:?}, slowly {slow:?}"));
    }
    binds(stream, step)?;
    rows(stream, step)?;
    // These have no twin here: what they promise is not to look beyond what they are given, and not to panic.
    let _ = (startup::read(stream), backend::ErrorFields::read(stream), backend::row_description(stream));
    let _ = (backend::authentication(stream), backend::parameter_status(stream), backend::command_tag(stream));
    let _ = (frontend::parse(stream, u32::MAX), frontend::target(stream), frontend::execute(stream));
    Ok(())
}

fn scan(side: Side, stream: &[u8], step: usize, captured: usize) -> (Vec<Frame>, bool) {
    let mut scanner = Scanner::new(side);
    let (mut capture, mut header, mut frames) = (Capture::default(), Header::default(), Vec::new());
    for mut input in stream.chunks(step) {
        while !input.is_empty() {
            if !scanner.is_inside() {
                match scanner.header(&mut input) {
                    Ok(Some(next)) => header = next,
                    Ok(None) => break,
                    Err(_) => return (frames, false),
                }
            }
            let (piece, last) = scanner.body(&mut input);
            if let Some(body) = capture.take(piece, last, captured) {
                frames.push((header.kind, header.length, body.to_vec()));
                capture.clear();
            }
        }
    }
    (frames, true)
}

/// The frames of a whole stream; false where a length is refused.
fn slow_scan(side: Side, stream: &[u8], captured: usize) -> (Vec<Frame>, bool) {
    let mut frames = Vec::new();
    let mut at = 0;
    while let Some(head) = stream.get(at..at + 5) {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let longest = match (side, head[0]) {
            (Side::Backend, _) => 0x4000_0003,
            (Side::Frontend, b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f') => 10_000,
            (Side::Frontend, b'p') => 65_535,
            (Side::Frontend, b'B' | b'F' | b'P' | b'Q' | b'd') => 0x3fff_fffe,
            (Side::Frontend, _) => u32::MAX,
        };
        if !(4..=longest).contains(&length) {
            return (frames, false);
        }
        let Some(body) = stream.get(at + 5..at + 1 + length as usize) else { break };
        frames.push((head[0], length, body[..body.len().min(captured)].to_vec()));
        at += 1 + length as usize;
    }
    (frames, true)
}

fn binds(body: &[u8], step: usize) -> Result<(), String> {
    let mut reader = BindReader::default();
    body.chunks(step).for_each(|piece| reader.push(piece));
    let (quick, slow) = (reader.finish(), slow_bind(body));
    if quick == slow { Ok(()) } else { Err(format!("bind {quick:?}, slowly {slow:?}")) }
}

/// Beyond so many bytes no further value is kept.
const PARAMETERS_BYTES_MAX: usize = 4_096;

fn slow_bind(body: &[u8]) -> Option<Bind> {
    let mut rest = body;
    let portal = text(&mut rest)?;
    let statement = text(&mut rest)?;
    let mut codes = Vec::new();
    for _ in 0..number(&mut rest, 2)? {
        codes.push(number(&mut rest, 2)? == 1);
    }
    let mut kept: Vec<u8> = Vec::new();
    for place in 0..number(&mut rest, 2)? {
        let length = number(&mut rest, 4)?;
        let value = take(&mut rest, if length > i32::MAX as usize { 0 } else { length })?;
        let short = u8::try_from(value.len()).ok().filter(|short| *short > 0);
        if let Some(short) = short.filter(|_| place < PARAMETERS_KEPT_MAX && kept.len() < PARAMETERS_BYTES_MAX) {
            let of_all = codes.len() == 1;
            let binary = codes.get(if of_all { 0 } else { place }).copied().unwrap_or(false);
            kept.extend([u8::from(binary), short]);
            kept.extend(value);
        }
    }
    let mut binary = Vec::new();
    for _ in 0..number(&mut rest, 2)? {
        binary.push(number(&mut rest, 2)? == 1);
    }
    binary.truncate(mitsuke::wire::bind::COLUMNS_MAX);
    let formats = match binary.as_slice() {
        [] | [false] => Formats::Text,
        [true] => Formats::Binary,
        each => Formats::Each(each.into()),
    };
    let parameters = Parameters((!kept.is_empty()).then(|| kept.into()));
    Some(Bind { portal: Name::new(portal), statement: Name::new(statement), formats, parameters })
}

/// The values of a DataRow that are whole: (column, bytes), `None` for NULL.
type Values = Vec<(u16, Option<Vec<u8>>)>;

fn rows(body: &[u8], step: usize) -> Result<(), String> {
    let mut reader = RowReader::default();
    let (mut quick, mut open): (Values, Vec<u8>) = (Vec::new(), Vec::new());
    for piece in body.chunks(step) {
        reader.push(piece, |column, part| match part {
            Part::Null => quick.push((column, None)),
            Part::Bytes { bytes, last } => {
                open.extend(bytes);
                if last {
                    quick.push((column, Some(std::mem::take(&mut open))));
                }
            }
        });
    }
    let slow = slow_row(body);
    if quick == slow { Ok(()) } else { Err(format!("row {quick:?}, slowly {slow:?}")) }
}

fn slow_row(body: &[u8]) -> Values {
    let mut rest = body;
    let mut values = Vec::new();
    let columns = number(&mut rest, 2).unwrap_or(0);
    for column in 0..columns {
        let Some(length) = number(&mut rest, 4) else { break };
        let column = u16::try_from(column).expect("a count has two bytes");
        if length > i32::MAX as usize {
            values.push((column, None));
            continue;
        }
        let Some(value) = take(&mut rest, length) else { break };
        values.push((column, Some(value.to_vec())));
    }
    values
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == 0)?;
    let text = take(rest, end)?;
    take(rest, 1)?;
    Some(text)
}

fn number(rest: &mut &[u8], width: usize) -> Option<usize> {
    Some(take(rest, width)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}
