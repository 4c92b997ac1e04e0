//! Payloads: the same bytes for the same name, on every machine, without a file in the repository.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One mebibyte.
pub const MIB: u64 = 1 << 20;

/// A file of a payload.
#[derive(Debug, Clone)]
struct Entry {
    path: String,
    size: u64,
}

/// What a torrent is made of: a root name and files beneath it, or one file alone.
#[derive(Debug, Clone)]
pub struct Payload {
    name: String,
    files: Vec<Entry>,
    single: bool,
}

impl Payload {
    /// A single file.
    pub fn single(name: &str, size: u64) -> Self {
        Self { name: name.to_owned(), files: vec![Entry { path: String::new(), size }], single: true }
    }

    /// An empty folder to add files to.
    pub fn folder(name: &str) -> Self {
        Self { name: name.to_owned(), files: Vec::new(), single: false }
    }

    /// Adds a file at a `/`-separated path.
    #[must_use]
    pub fn file(mut self, path: &str, size: u64) -> Self {
        self.files.push(Entry { path: path.to_owned(), size });
        self
    }

    /// Nested folders, names outside ASCII, odd sizes and an empty file: `size` bytes and a little.
    pub fn sample(name: &str, size: u64) -> Self {
        Self::folder(name)
            .file("read me.txt", 1_234)
            .file("Ünïcödé/Füße/smørrebrød – №1.bin", size / 4 + 17)
            .file("日本語/深い/フォルダ/データ.bin", size / 4)
            .file("日本語/empty.bin", 0)
            .file("disc 1/one.bin", size / 2 - 4_099)
            .file("disc 1/two.bin", 16_384)
    }

    /// The root's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Writes the payload into `folder`; answers its root.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let root = folder.join(&self.name);
        for (index, file) in self.files.iter().enumerate() {
            let path = if self.single { root.clone() } else { root.join(&file.path) };
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)
                    .with_context(|| format!("cannot make {}", parent.display()))?;
            }
            fill(&path, file.size, &format!("{}/{index}", self.name))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(root)
    }
}

/// `size` bytes of a generator seeded by `seed`; no two blocks are alike.
fn fill(path: &Path, size: u64, seed: &str) -> Result<()> {
    let mut out = File::create(path)?;
    // FNV-1a over the seed, then SplitMix64.
    let mut state = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut buffer = vec![0_u8; 1 << 20];
    let mut left = size;
    while left > 0 {
        let take = usize::try_from(left.min(1 << 20))?;
        for word in buffer[..take.next_multiple_of(8)].chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes());
        }
        out.write_all(&buffer[..take])?;
        left -= take as u64;
    }
    Ok(())
}
