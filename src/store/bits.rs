//! Writes and reads numbers of any bit length, and lengths as variable-size integers.

/// A growing string of bits, most significant first.
#[derive(Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, right-aligned.
    pending: u64,
    /// How many of them, always below 8.
    count: u32,
}

impl BitWriter {
    /// Continues a byte string.
    pub fn after(bytes: Vec<u8>) -> Self {
        Self { bytes, pending: 0, count: 0 }
    }

    /// Appends the lowest `width` bits of a value.
    pub fn put(&mut self, value: u64, width: u32) {
        if width > 32 {
            self.put(value >> 32, width - 32);
            return self.put(value, 32);
        }
        let value = value & ((1 << width) - 1);
        self.pending = (self.pending << width) | value;
        self.count += width;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count) as u8);
        }
        self.pending &= (1 << self.count) - 1;
    }

    /// The bytes, the last one filled with zeros.
    pub fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push((self.pending << (8 - self.count)) as u8);
        }
        self.bytes
    }
}

/// Reads what [`BitWriter`] wrote; beyond the end it reads zeros and remembers that.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// In bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next 57 bits or more, left-aligned.
    #[inline]
    fn window(&self) -> u64 {
        let byte = self.at / 8;
        let word = match self.bytes.get(byte..byte + 8) {
            Some(eight) => {
                let mut buffer = [0; 8];
                buffer.copy_from_slice(eight);
                u64::from_be_bytes(buffer)
            }
            None => {
                let rest = self.bytes.get(byte..).unwrap_or_default();
                let word = rest.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
                if rest.is_empty() { 0 } else { word << (64 - 8 * rest.len()) }
            }
        };
        word << (self.at % 8)
    }

    /// The next `width` bits.
    #[inline]
    pub fn get(&mut self, width: u32) -> u64 {
        if width == 0 {
            return 0;
        }
        if width > 56 {
            let high = self.get(width - 32);
            return (high << 32) | self.get(32);
        }
        let value = self.window() >> (64 - width);
        self.at += width as usize;
        value
    }

    /// How many ones come before the next zero, at most `most`; reads them and, below `most`, the zero.
    #[inline]
    pub fn ones(&mut self, most: u32) -> u32 {
        let ones = self.window().leading_ones().min(most);
        self.at += (ones + u32::from(ones < most)) as usize;
        ones
    }

    /// Whether more was read than there was.
    pub fn is_overrun(&self) -> bool {
        self.at > self.bytes.len() * 8
    }
}

/// Appends an integer, seven bits a byte.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes an integer off the front of a byte string.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes a fixed number of bytes off the front.
pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    if bytes.len() < count {
        return None;
    }
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    Some(taken)
}

/// Takes eight bytes off the front, as a number.
pub(super) fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let taken = take_bytes(bytes, 8)?;
    Some(u64::from_le_bytes(taken.try_into().ok()?))
}

/// Small numbers of either sign as small numbers without sign.
#[inline]
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The reverse of [`zigzag`].
#[inline]
pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(values in prop::collection::vec((any::<u64>(), 1_u32..=64), 0..200)) {
            let mut writer = BitWriter::default();
            for (value, width) in &values {
                writer.put(*value, *width);
            }
            let bytes = writer.finish();
            let mut reader = BitReader::new(&bytes);
            for (value, width) in &values {
                let mask = if *width == 64 { u64::MAX } else { (1 << width) - 1 };
                prop_assert_eq!(reader.get(*width), value & mask);
            }
            prop_assert!(!reader.is_overrun());
        }

        #[test]
        fn integers_survive_both_codings(value: u64, signed: i64) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            prop_assert_eq!(take_varint(&mut bytes.as_slice()), Some(value));
            prop_assert_eq!(unzigzag(zigzag(signed)), signed);
        }
    }
}
