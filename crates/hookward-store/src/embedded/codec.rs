//! Numbers and texts as bytes: little-endian, bounded, and never a panic on what a disk gives back.

use hookward_core::Timestamp;

/// Takes values off the front of bytes; each method is `None` when they do not hold one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn time(&mut self) -> Option<Timestamp> {
        self.u64().map(Timestamp::from_micros)
    }

    /// A number in groups of seven bits, lowest first, the high bit set on all but the last.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn varint_u32(&mut self) -> Option<u32> {
        self.varint()?.try_into().ok()
    }

    /// Bytes behind their length.
    pub(crate) fn sized(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.bytes(len)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.sized()?).ok()
    }

    /// A time behind another one, or before it.
    pub(crate) fn time_from(&mut self, base: Timestamp) -> Option<Timestamp> {
        let coded = self.varint()?;
        let distance = coded >> 1;
        let micros = if coded & 1 == 0 {
            base.as_micros().checked_add(distance)?
        } else {
            base.as_micros().checked_sub(distance)?
        };
        Some(Timestamp::from_micros(micros))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A length within a segment or a file of ours, none of which reaches 4 GiB.
pub(crate) fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The other way: values onto the end of bytes.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_time(&mut self, at: Timestamp) {
        self.put_u64(at.as_micros());
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.put_u8((value & 0x7f) as u8);
    }

    fn put_sized(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.put(bytes);
    }

    /// Twice the distance to `base`, plus one when it lies before. A distance of 2^63 and more is cut.
    fn put_time_from(&mut self, base: Timestamp, at: Timestamp) {
        let (base, at) = (base.as_micros(), at.as_micros());
        let before = at < base;
        self.put_varint((base.abs_diff(at).min(u64::MAX >> 1) << 1) | u64::from(before));
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_put_is_read(a: u64, b: u64, c: u16, text in ".{0,200}") {
            let (from, at) = (Timestamp::from_micros(a >> 1), Timestamp::from_micros(b >> 1));
            let mut bytes = Vec::new();
            bytes.put_varint(a);
            bytes.put_time_from(from, at);
            bytes.put_u16(c);
            bytes.put_sized(text.as_bytes());
            bytes.put_u64(b);
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.varint(), Some(a));
            prop_assert_eq!(reader.time_from(from), Some(at));
            prop_assert_eq!(reader.u16(), Some(c));
            prop_assert_eq!(reader.text(), Some(text.as_str()));
            prop_assert_eq!(reader.u64(), Some(b));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.text().is_some() || reader.varint().is_some() || reader.u32().is_some() {}
        }
    }
}
