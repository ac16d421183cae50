//! Reads inside one message.
//!
//! In: a body, or the captured beginning of one. Out: integers, strings, slices of it. Nothing read here can lie
//! beyond the slice, whatever a length inside the body says.

/// The body ended before the value did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message ends before its content does")]
pub struct Truncated;

/// A place in a body.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the beginning of `body`.
    pub fn new(body: &'a [u8]) -> Reader<'a> {
        Reader { rest: body }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Truncated> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Truncated> {
        self.array::<1>().map(u8::from_be_bytes)
    }

    /// Two bytes, network order.
    pub fn i16(&mut self) -> Result<i16, Truncated> {
        self.array().map(i16::from_be_bytes)
    }

    /// Two bytes, network order: a count. PostgreSQL reads counts unsigned.
    pub fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four bytes, network order.
    pub fn i32(&mut self) -> Result<i32, Truncated> {
        self.array().map(i32::from_be_bytes)
    }

    /// Four bytes, network order: an OID or a code.
    pub fn u32(&mut self) -> Result<u32, Truncated> {
        self.array().map(u32::from_be_bytes)
    }

    /// A string that a NUL ends, without it.
    pub fn c_string(&mut self) -> Result<&'a [u8], Truncated> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(Truncated)?;
        let text = self.bytes(end)?;
        self.bytes(1)?;
        Ok(text)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut reader = Reader::new(b"ab\0\x00\x05\xff\xff\xff\xffrest");
        assert_eq!(reader.c_string(), Ok(b"ab".as_slice()));
        assert_eq!(reader.i16(), Ok(5));
        assert_eq!(reader.i32(), Ok(-1));
        assert_eq!(reader.c_string(), Err(Truncated));
        assert_eq!(reader.bytes(5), Err(Truncated));
        assert_eq!(reader.bytes(4), Ok(b"rest".as_slice()));
        assert_eq!(reader.u8(), Err(Truncated));
        assert_eq!(reader.u16(), Err(Truncated));
        assert_eq!(reader.u32(), Err(Truncated));
    }
}
