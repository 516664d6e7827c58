//! Packed modules: `.ko.gz`, `.ko.xz`, `.ko.zst`, recognized by their first
//! bytes as in the kernel and kmod.
//!
//! The decoders are written in Rust, as lpwatch is linked statically. All are
//! read as streams up to a limit, and those that ask for memory up front are
//! given a bound of it.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::error::{Packing, Problem};

/// The most memory a decoder may ask for: the kernel's own decoders take up to
/// 128 MiB of window for zstd, and 64 MiB is the dictionary of `xz -9`.
const WINDOW_MAX: u64 = 128 << 20;

/// How many more bytes than its output a packed file may have. Millions of
/// empty streams, one after the other, would keep a decoder busy for minutes.
const OVERHEAD_MAX: u64 = 1 << 20;

const CHUNK: usize = 64 << 10;

/// The bytes of a module, unpacked up to `limit` bytes where they are packed.
pub(super) fn unpack(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, Problem> {
    let Some(packing) = Packing::of(bytes) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let given = Cell::new(0);
    let input = PackedInput {
        rest: bytes,
        taken: 0,
        given: &given,
    };
    let mut output = UnpackedOutput {
        bytes: Vec::new(),
        chunk: vec![0; CHUNK],
        room: limit.saturating_add(1),
        given: &given,
    };
    let done = match packing {
        Packing::Gzip => output.drain(MultiGzDecoder::new(input)),
        Packing::Xz => {
            let kibibytes = u32::try_from(WINDOW_MAX >> 10).unwrap_or(u32::MAX);
            output.drain(XzReader::new_mem_limit(input, true, kibibytes))
        }
        Packing::Zstd => output.drain_zstd(input),
    };
    done.map_err(|source| Problem::Unpack { packing, source })?;
    if given.get() > limit {
        return Err(Problem::UnpacksTooLarge { packing, limit });
    }
    Ok(Cow::Owned(output.bytes))
}

/// The unpacked bytes, up to a limit.
struct UnpackedOutput<'given> {
    bytes: Vec<u8>,
    chunk: Vec<u8>,
    room: u64,
    /// The number of these bytes; the input is compared with it.
    given: &'given Cell<u64>,
}

impl UnpackedOutput<'_> {
    /// Reads to the end, or until the room is full.
    fn drain(&mut self, mut reader: impl Read) -> io::Result<()> {
        while self.given.get() < self.room {
            let count = match reader.read(&mut self.chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.bytes.extend_from_slice(&self.chunk[..count]);
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            self.given.set(self.given.get().saturating_add(count));
        }
        Ok(())
    }

    /// A zstd file may have several frames, each a stream of its own.
    fn drain_zstd(&mut self, mut input: PackedInput<'_, '_>) -> io::Result<()> {
        while !input.rest.is_empty() && self.given.get() < self.room {
            let reader = StreamingDecoder::new_with_max_window_size(&mut input, WINDOW_MAX)
                .map_err(io::Error::other)?;
            self.drain(reader)?;
        }
        Ok(())
    }
}

/// The packed bytes. They end in an error once they are many more than their
/// output.
struct PackedInput<'bytes, 'output> {
    rest: &'bytes [u8],
    taken: u64,
    given: &'output Cell<u64>,
}

impl Read for PackedInput<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let given = self.given.get();
        if self.taken > (given + given / 8).saturating_add(OVERHEAD_MAX) {
            return Err(io::Error::other("it has far more bytes than it unpacks to"));
        }
        let count = self.rest.read(buffer)?;
        self.taken = self
            .taken
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        Ok(count)
    }
}

impl Packing {
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }
}
