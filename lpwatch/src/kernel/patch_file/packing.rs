//! Packed modules: `.ko.gz`, `.ko.xz`, `.ko.zst`, told by their first bytes as
//! the kernel and kmod do.
//!
//! The decoders are written in Rust, as lpwatch is linked statically. All are
//! read as streams up to a limit, and those that ask for memory up front are
//! given a bound of it.

use std::borrow::Cow;
use std::io::{self, Read};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::StreamingDecoder;

use super::error::{Packing, Problem};

/// The most memory a decoder may ask for: the kernel's own decoders take up to
/// 128 MiB of window for zstd, and 64 MiB is the dictionary of `xz -9`.
const WINDOW_MAX: u64 = 128 << 20;

/// The bytes of a module, unpacked up to `limit` bytes where they are packed.
pub(super) fn unpack(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, Problem> {
    let Some(packing) = Packing::of(bytes) else {
        return Ok(Cow::Borrowed(bytes));
    };
    let mut unpacked = Vec::new();
    let room = limit.saturating_add(1);
    let done = match packing {
        Packing::Gzip => drain(MultiGzDecoder::new(bytes), room, &mut unpacked),
        Packing::Xz => {
            let kibibytes = u32::try_from(WINDOW_MAX >> 10).unwrap_or(u32::MAX);
            let reader = XzReader::new_mem_limit(bytes, true, kibibytes);
            drain(reader, room, &mut unpacked)
        }
        Packing::Zstd => unpack_zstd(bytes, room, &mut unpacked),
    };
    done.map_err(|source| Problem::Unpack { packing, source })?;
    if u64::try_from(unpacked.len()).unwrap_or(u64::MAX) > limit {
        return Err(Problem::UnpacksTooLarge { packing, limit });
    }
    Ok(Cow::Owned(unpacked))
}

fn drain(reader: impl Read, room: u64, into: &mut Vec<u8>) -> io::Result<()> {
    reader.take(room).read_to_end(into).map(drop)
}

/// A zstd file may have several frames, each a stream of its own.
fn unpack_zstd(mut bytes: &[u8], room: u64, into: &mut Vec<u8>) -> io::Result<()> {
    while !bytes.is_empty() {
        let had = u64::try_from(into.len()).unwrap_or(u64::MAX);
        let Some(left) = room.checked_sub(had).filter(|left| *left > 0) else {
            break;
        };
        let reader = StreamingDecoder::new_with_max_window_size(&mut bytes, WINDOW_MAX)
            .map_err(io::Error::other)?;
        drain(reader, left, into)?;
    }
    Ok(())
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
