//! Cores that `systemd-coredump` has compressed: unpacked into a file without a name, with holes where memory was zero.
//!
//! Formats are told by their first bytes: Zstandard (RFC 8878) and the LZ4 frame format; both may have several frames.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Error, ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

/// What a compressed core may grow to: twice what `systemd-coredump` stores of a process (`ProcessSizeMax`, 32 GB).
const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// How much of it may be other than zero, so many times the size of the compressed file. Nearly empty pages of 4 KiB are
/// packed to some 30 bytes each.
const GROWTH_MAX: u64 = 200;
/// What a small file may grow to in any case.
const STORED_BYTES_FLOOR: u64 = 1 << 30;
/// What is looked at at once, whether it is zero.
const BLOCK: usize = 64 << 10;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Zstd,
    Lz4,
    /// Known, and not unpacked here.
    Xz,
}

/// How a file that begins so is packed.
pub(crate) fn packing(start: &[u8]) -> Option<Packing> {
    let known: [(&[u8], Packing); 3] =
        [(b"\x28\xb5\x2f\xfd", Packing::Zstd), (b"\x04\x22\x4d\x18", Packing::Lz4), (b"\xfd7zXZ", Packing::Xz)];
    known.into_iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, packing)| packing)
}

/// Unpacks a file into one that is gone when it is closed; and why it isn't there to its end: what was had before it
/// turned out to be damaged is kept, but for the last few megabytes (the decoder of Zstandard holds its window back).
///
/// # Errors
/// It can't be read or written, grows beyond all bounds, or is damaged from the start.
pub(crate) fn unpack(path: &Path, packing: Packing) -> Result<(File, Option<String>), String> {
    let failed = |error: Error| error.to_string();
    let packed = File::open(path).map_err(failed)?;
    let size = packed.metadata().map_err(failed)?.len();
    let folder = folder();
    let file = tempfile::tempfile_in(&folder).map_err(|error| format!("no file in {}: {error}", folder.display()))?;
    let stored_max = size.saturating_mul(GROWTH_MAX).max(STORED_BYTES_FLOOR);
    let mut sink = Sink { file: &file, len: 0, stored: 0, len_max: UNPACKED_BYTES_MAX, stored_max };
    let end = sink.frames(&mut BufReader::with_capacity(BLOCK, packed), packing);
    let cut = match end {
        Ok(()) => None,
        Err(End::Damaged(why)) if sink.len > 0 => Some(why),
        Err(End::Damaged(why)) => return Err(format!("it is compressed, and damaged: {why}")),
        Err(End::TooLarge(limit)) => {
            return Err(format!(
                "it is compressed, and grows beyond {} MB, more than any core of its size; unpack it yourself if it is one",
                limit >> 20
            ));
        }
        Err(End::Unwritable(error)) if error.kind() == ErrorKind::StorageFull => {
            return Err(format!("no room in {} to unpack it; TMPDIR can name another folder", folder.display()));
        }
        Err(End::Unwritable(error)) => return Err(format!("cannot unpack it in {}: {error}", folder.display())),
        Err(End::Unknown) => return Err("it is compressed by xz, which isn't read; `xz -dk` unpacks it".to_owned()),
    };
    file.set_len(sink.len).map_err(failed)?;
    Ok((file, cut))
}

/// Where large files may lie: what is below `/tmp` often takes memory.
fn folder() -> PathBuf {
    let (folder, large) = (std::env::temp_dir(), Path::new("/var/tmp"));
    if folder == Path::new("/tmp") && large.is_dir() { large.to_owned() } else { folder }
}

/// Why unpacking ended early.
enum End {
    Damaged(String),
    /// The limit.
    TooLarge(u64),
    Unwritable(Error),
    Unknown,
}

/// What is unpacked, as far as it has come.
struct Sink<'a> {
    file: &'a File,
    len: u64,
    /// Bytes of blocks that aren't zero.
    stored: u64,
    len_max: u64,
    stored_max: u64,
}

impl Sink<'_> {
    /// Unpacks frame after frame.
    fn frames(&mut self, source: &mut BufReader<impl Read>, packing: Packing) -> Result<(), End> {
        let damaged = |error: Error| End::Damaged(error.to_string());
        while !source.fill_buf().map_err(damaged)?.is_empty() {
            match packing {
                Packing::Lz4 => self.frame(&mut lz4_flex::frame::FrameDecoder::new(&mut *source))?,
                Packing::Zstd => match StreamingDecoder::new(&mut *source) {
                    Ok(mut frame) => {
                        self.frame(&mut frame)?;
                        let told = frame.decoder.get_checksum_from_data();
                        if told.is_some() && told != frame.decoder.get_calculated_checksum() {
                            return Err(End::Damaged("its checksum is wrong".to_owned()));
                        }
                    }
                    Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                        length, ..
                    })) => {
                        std::io::copy(&mut source.take(u64::from(length)), &mut std::io::sink()).map_err(damaged)?;
                    }
                    Err(error) => return Err(End::Damaged(error.to_string())),
                },
                Packing::Xz => return Err(End::Unknown),
            }
        }
        Ok(())
    }

    /// Writes a frame, leaving holes for zeros.
    fn frame(&mut self, frame: &mut dyn Read) -> Result<(), End> {
        let mut buffer = vec![0; BLOCK];
        loop {
            let mut filled = 0;
            let mut end = None;
            while filled < BLOCK && end.is_none() {
                match frame.read(&mut buffer[filled..]) {
                    Ok(0) => end = Some(Ok(())),
                    Ok(read) => filled += read,
                    Err(error) => end = Some(Err(End::Damaged(error.to_string()))),
                }
            }
            self.write(&buffer[..filled])?;
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn write(&mut self, block: &[u8]) -> Result<(), End> {
        self.len += block.len() as u64;
        if self.len > self.len_max {
            return Err(End::TooLarge(self.len_max));
        }
        if *block == ZEROS[..block.len()] {
            return self.file.seek(SeekFrom::Current(block.len() as i64)).map(|_| ()).map_err(End::Unwritable);
        }
        self.stored += block.len() as u64;
        if self.stored > self.stored_max {
            return Err(End::TooLarge(self.stored_max));
        }
        self.file.write_all(block).map_err(End::Unwritable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink(file: &File) -> Sink<'_> {
        Sink { file, len: 0, stored: 0, len_max: 1 << 20, stored_max: 200_000 }
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    fn content(file: &File, len: u64) -> Vec<u8> {
        let mut file = file;
        file.set_len(len).expect("it is writable");
        file.rewind().expect("a file");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("it is readable");
        bytes
    }

    #[test]
    fn frames_come_back_whole_and_zeros_take_no_room() {
        let mut bytes = vec![0; 300_000];
        bytes[200_000] = 7;
        bytes[299_999] = 8;
        for (packing, pack) in [(Packing::Lz4, lz4 as fn(&[u8]) -> Vec<u8>), (Packing::Zstd, zstd)] {
            let mut packed = pack(&bytes);
            packed.extend(pack(b"second"));
            assert_eq!(super::packing(&packed), Some(packing));
            let file = tempfile::tempfile().expect("a file");
            let mut sink = sink(&file);
            assert!(sink.frames(&mut BufReader::new(&packed[..]), packing).is_ok());
            // The blocks with a byte other than zero: the fourth, and the last, which is short.
            let stored = 65_536 + (300_000 - 4 * 65_536) + 6;
            assert_eq!((sink.len, sink.stored), (300_006, stored), "{packing:?}");
            assert_eq!(content(&file, sink.len), [&bytes[..], b"second"].concat());
        }
    }

    #[test]
    fn a_damaged_file_is_unpacked_as_far_as_it_goes_and_a_bomb_not_at_all() {
        let bytes: Vec<u8> = (0..90_000_u32).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        for (packing, packed) in [(Packing::Lz4, lz4(&bytes[..90_000])), (Packing::Zstd, zstd(&bytes[..90_000]))] {
            let file = tempfile::tempfile().expect("a file");
            let mut cut = sink(&file);
            let half = &packed[..packed.len() / 2];
            let end = cut.frames(&mut BufReader::new(half), packing);
            assert!(matches!(end, Err(End::Damaged(_))) && cut.len < 90_000, "{packing:?}: {}", cut.len);
        }
        for (packing, zeros, noise) in [
            (Packing::Lz4, lz4(&vec![0; 2 << 20]), lz4(&bytes)),
            (Packing::Zstd, zstd(&vec![0; 2 << 20]), zstd(&bytes)),
        ] {
            for (bomb, limit) in [(zeros, 1 << 20), (noise, 200_000)] {
                let file = tempfile::tempfile().expect("a file");
                let end = sink(&file).frames(&mut BufReader::new(&bomb[..]), packing);
                assert!(matches!(end, Err(End::TooLarge(found)) if found == limit), "{packing:?}");
                assert!(file.metadata().expect("a file").len() <= 1 << 20);
            }
        }
    }
}
