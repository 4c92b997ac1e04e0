//! Copying one file: shared blocks where the file system can, else inside the kernel, else by hand; holes stay holes.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
};

use rustix::{
    fs::{copy_file_range, ioctl_ficlone, seek},
    io::Errno,
};

use crate::{FsError, safe::SafePath};

/// The stop signal is looked at after each of these.
const CHUNK: u64 = 16 * 1024 * 1024;
const BUFFER: usize = 1024 * 1024;

/// One file on its way.
pub(crate) struct FileCopy<'a> {
    pub(crate) from: &'a SafePath,
    pub(crate) to: &'a SafePath,
    pub(crate) source: File,
    pub(crate) target: File,
    pub(crate) size: u64,
    /// Whether the kernel may copy between the two; once refused, never asked again.
    pub(crate) in_kernel: bool,
}

impl FileCopy<'_> {
    /// Shares the source's blocks. Returns whether the file system did.
    pub(crate) fn reflink(&self) -> bool {
        ioctl_ficlone(&self.target, &self.source).is_ok()
    }

    /// Copies from `offset` to the end. `after` is called with the offset up to which the file is written, after each
    /// chunk and at the end, and may stop the copy.
    pub(crate) fn run(
        &mut self,
        mut offset: u64,
        mut after: impl FnMut(&File, u64) -> Result<(), FsError>,
    ) -> Result<(), FsError> {
        while offset < self.size {
            let Some((start, end)) = self.next_data(offset)? else { break };
            offset = start;
            while offset < end {
                let length = self.chunk(offset, (end - offset).min(CHUNK))?;
                if length == 0 {
                    return Err(FsError::unavailable(format!(
                        "{} became shorter while it was copied; it is copied again later",
                        self.from.path().display()
                    )));
                }
                offset += length;
                after(&self.target, offset)?;
            }
        }
        // The holes at the end.
        self.target.set_len(self.size).map_err(self.to.failed("set the length of"))?;
        after(&self.target, self.size)
    }

    /// The next range that holds data, within the file's size.
    fn next_data(&self, offset: u64) -> Result<Option<(u64, u64)>, FsError> {
        let start = match seek(&self.source, rustix::fs::SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // No idea of holes: all of it is data.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((offset, self.size))),
            Err(error) => return Err(self.from.failed("read")(error)),
        };
        let end = seek(&self.source, rustix::fs::SeekFrom::Hole(start)).map_err(self.from.failed("read"))?;
        Ok((start < self.size).then(|| (start, end.min(self.size))))
    }

    fn chunk(&mut self, offset: u64, length: u64) -> Result<u64, FsError> {
        if self.in_kernel {
            let (mut from, mut to) = (offset, offset);
            let wanted = usize::try_from(length).unwrap_or(BUFFER);
            match copy_file_range(&self.source, Some(&mut from), &self.target, Some(&mut to), wanted) {
                Ok(copied) if copied > 0 => return Ok(copied as u64),
                // Some file systems answer 0 for what they cannot do: reading tells the end from that.
                Ok(_) | Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    self.in_kernel = false;
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(error) => return Err(self.to.failed("write")(error)),
            }
        }
        self.chunk_by_hand(offset, length)
    }

    fn chunk_by_hand(&mut self, offset: u64, length: u64) -> Result<u64, FsError> {
        self.source.seek(SeekFrom::Start(offset)).map_err(self.from.failed("read"))?;
        self.target.seek(SeekFrom::Start(offset)).map_err(self.to.failed("write"))?;
        let mut buffer = vec![0; usize::try_from(length).map_or(BUFFER, |length| length.min(BUFFER))];
        let mut done = 0;
        while done < length {
            let wanted = usize::try_from(length - done).map_or(BUFFER, |left| left.min(BUFFER));
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            let read = self.source.read(part).map_err(self.from.failed("read"))?;
            if read == 0 {
                break;
            }
            self.target.write_all(&part[..read]).map_err(self.to.failed("write"))?;
            done += read as u64;
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use super::*;
    use crate::safe::{RelativePath, SafeRoot};

    fn copied(in_kernel: bool, write: impl FnOnce(&mut File)) -> (Vec<u8>, Vec<u8>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let mut source = File::create(dir.path().join("from")).unwrap();
        write(&mut source);
        let root = SafeRoot::open(dir.path()).unwrap();
        let (from, to) =
            (root.at(RelativePath::new("from").unwrap()), root.at(RelativePath::new("to").unwrap()));
        let mut copy = FileCopy {
            from: &from,
            to: &to,
            source: from.open_file().unwrap(),
            target: to.create_new(0o644).unwrap(),
            size: from.metadata().unwrap().size,
            in_kernel,
        };
        copy.run(0, |_, _| Ok(())).unwrap();
        let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
        (read("from"), read("to"), fs::metadata(dir.path().join("to")).unwrap().blocks() * 512)
    }

    #[test]
    fn bytes_arrive_in_the_kernel_and_by_hand() {
        for in_kernel in [true, false] {
            let (from, to, _) = copied(in_kernel, |file| {
                let bytes: Vec<u8> =
                    (0..20_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
                file.write_all(&bytes).unwrap();
            });
            assert!(from == to, "in_kernel {in_kernel}");
            let (from, to, _) = copied(in_kernel, |_| {});
            assert!(from.is_empty() && to.is_empty());
        }
    }

    #[test]
    fn holes_stay_holes() {
        for in_kernel in [true, false] {
            let (from, to, on_disk) = copied(in_kernel, |file| {
                file.seek(SeekFrom::Start(30_000_000)).unwrap();
                file.write_all(b"in the middle").unwrap();
                file.set_len(64_000_000).unwrap();
            });
            assert!(from == to);
            assert!(on_disk < 1_000_000, "{on_disk} bytes on disk");
        }
    }
}
