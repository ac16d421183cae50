//! DataRow, read as it streams by.
//!
//! In: the pieces of one DataRow's body. Out: the values, column by column, in the pieces in which they came. Holds a
//! number's bytes at most, so that a row of any size is read in constant memory.
//! Source: PostgreSQL manual, "Message Formats", DataRow.

/// Part of a column's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// It is NULL.
    Null,
    /// Bytes of it that came together; the rest follows unless they are the last. A value in one piece, an empty one
    /// too, is one part.
    Bytes {
        /// The bytes.
        bytes: &'a [u8],
        /// Whether the value ends with them.
        last: bool,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Count,
    Length,
    Value,
    Done,
}

/// Reads one DataRow. Made anew for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowReader {
    step: Step,
    columns: u16,
    column: u16,
    number: u32,
    number_bytes: u8,
    left: u32,
}

impl RowReader {
    /// Takes a piece of the body and gives its parts, each with its column's number from 0, to `each`.
    pub fn push(&mut self, mut piece: &[u8], mut each: impl FnMut(u16, Part<'_>)) {
        loop {
            match self.step {
                Step::Count => {
                    let Some(count) = self.number(&mut piece, 2) else { return };
                    self.columns = u16::try_from(count).unwrap_or(u16::MAX);
                    self.step = if count == 0 { Step::Done } else { Step::Length };
                }
                Step::Length => {
                    let Some(length) = self.number(&mut piece, 4) else { return };
                    match i32::try_from(length).ok() {
                        None => {
                            each(self.column, Part::Null);
                            self.next_column();
                        }
                        Some(0) => {
                            each(self.column, Part::Bytes { bytes: &[], last: true });
                            self.next_column();
                        }
                        Some(_) => {
                            self.left = length;
                            self.step = Step::Value;
                        }
                    }
                }
                Step::Value => {
                    if piece.is_empty() {
                        return;
                    }
                    let wanted = usize::try_from(self.left).unwrap_or(usize::MAX);
                    let (bytes, rest) = piece.split_at_checked(wanted).unwrap_or((piece, &[]));
                    piece = rest;
                    self.left = self.left.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                    each(self.column, Part::Bytes { bytes, last: self.left == 0 });
                    if self.left == 0 {
                        self.next_column();
                    }
                }
                Step::Done => return,
            }
        }
    }

    fn next_column(&mut self) {
        self.column = self.column.saturating_add(1);
        self.step = if self.column >= self.columns { Step::Done } else { Step::Length };
    }

    fn number(&mut self, piece: &mut &[u8], width: u8) -> Option<u32> {
        while self.number_bytes < width {
            let (byte, rest) = piece.split_first()?;
            *piece = rest;
            self.number = (self.number << 8) | u32::from(*byte);
            self.number_bytes = self.number_bytes.saturating_add(1);
        }
        self.number_bytes = 0;
        Some(std::mem::take(&mut self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(body: &[u8], step: usize) -> Vec<(u16, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        let mut open = Vec::new();
        let mut reader = RowReader::default();
        for piece in body.chunks(step) {
            reader.push(piece, |column, part| match part {
                Part::Null => found.push((column, None)),
                Part::Bytes { bytes, last } => {
                    open.extend_from_slice(bytes);
                    if last {
                        found.push((column, Some(std::mem::take(&mut open))));
                    }
                }
            });
        }
        found
    }

    #[test]
    fn values_are_the_same_however_the_row_is_cut() {
        let body = b"\0\x04\0\0\0\x04anna\xff\xff\xff\xff\0\0\0\0\0\0\0\x02hi";
        let expected = vec![(0, Some(b"anna".to_vec())), (1, None), (2, Some(b"".to_vec())), (3, Some(b"hi".to_vec()))];
        for step in 1..=body.len() {
            assert_eq!(values(body, step), expected, "{step}");
        }
    }

    #[test]
    fn a_length_that_lies_ends_with_the_frame() {
        assert_eq!(values(b"\0\x02\x7f\xff\xff\xffx", 3), vec![]);
        assert_eq!(values(b"\xff\xff", 1), vec![]);
        assert_eq!(values(b"\0\x01\0\0\0\x01xyz", 4), vec![(0, Some(b"x".to_vec()))]);
    }
}
