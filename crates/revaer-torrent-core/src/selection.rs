//! Which files of a torrent are wanted: what the operator said, judged against the files.
//!
//! Invariants: an explicit priority wins over every rule; padding files are never wanted; a selection that leaves
//! nothing is an error, never an empty download. Judging costs one pass over the files.

use crate::ContentFile;

mod alphabet;
mod class;
mod fluff;
mod globs;
mod tree;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use globs::{MAX_GLOB_BYTES, MAX_GLOBS};

/// How much a file is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FilePriority {
    /// Not downloaded.
    Skip,
    /// After the others.
    Low,
    /// Like most.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// A selection that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A list holds more globs than are taken.
    #[error("`{list}` holds {count} patterns; at most {MAX_GLOBS} are taken")]
    TooManyGlobs {
        /// `include` or `exclude`.
        list: &'static str,
        /// How many it holds.
        count: usize,
    },
    /// A glob does not parse.
    #[error("the pattern {pattern:?} is not a glob: {reason}")]
    Glob {
        /// The pattern.
        pattern: String,
        /// The parser's words.
        reason: String,
    },
    /// A priority names a file that the torrent does not have.
    #[error("file {index} does not exist: the torrent has {count} files")]
    NoSuchFile {
        /// The index that was named.
        index: u32,
        /// How many files there are.
        count: usize,
    },
    /// Nothing would be downloaded.
    #[error("the selection leaves no file to download")]
    NothingLeft,
}

/// What an operator said about the files of a torrent; kept until metadata is known, then judged.
///
/// Globs match the path inside the torrent, without its root folder, `/`-separated and without regard to case.
/// `*` and `?` stop at a `/`, `**` does not. A pattern without `/` matches the name of a file in any folder; one
/// that begins with `/` matches from the top.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectionRules {
    /// Globs of which one must match, unless there are none.
    pub include: Vec<String>,
    /// Globs of which none may match.
    pub exclude: Vec<String>,
    /// Samples, proofs, artwork and notes are left out.
    pub skip_fluff: bool,
    /// File indexes with a priority that wins over everything else; of two for one file, the later one.
    pub priorities: Vec<(u32, FilePriority)>,
}

impl SelectionRules {
    /// Nothing but the files of these indexes, as a magnet's `so` asks for.
    pub fn only(indexes: &[u32]) -> Self {
        Self {
            exclude: vec!["*".to_owned()],
            priorities: indexes.iter().map(|index| (*index, FilePriority::Normal)).collect(),
            ..Self::default()
        }
    }

    /// Whether everything is wanted.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the globs alone, as far as can be done without metadata.
    pub fn validate(&self) -> Result<(), SelectionError> {
        globs::Globs::compile(self).map(|_| ())
    }

    /// The priority of each file, in the torrent's order.
    ///
    /// The root folder is seen from the files: the folder that all of them share. A file that lies in no folder
    /// shows that there is none, as in a torrent of a single file.
    pub fn apply(&self, files: &[ContentFile]) -> Result<Vec<FilePriority>, SelectionError> {
        let globs = globs::Globs::compile(self)?;
        let tree = tree::Tree::new(files);
        let fluff = self.skip_fluff.then(|| fluff::Fluff::new(&tree));
        let mut priorities: Vec<FilePriority> = tree
            .files()
            .map(|file| {
                let wanted = globs.want(&file.path) && !fluff.as_ref().is_some_and(|fluff| fluff.has(&file));
                if wanted { FilePriority::Normal } else { FilePriority::Skip }
            })
            .collect();
        for &(index, priority) in &self.priorities {
            let slot = priorities
                .get_mut(index as usize)
                .ok_or(SelectionError::NoSuchFile { index, count: files.len() })?;
            *slot = priority;
        }
        let mut is_anything_left = false;
        for (file, priority) in files.iter().zip(&mut priorities) {
            if file.is_padding {
                *priority = FilePriority::Skip;
            }
            // A link takes no payload: alone it leaves nothing to download.
            is_anything_left |= *priority != FilePriority::Skip && !file.is_symlink;
        }
        if is_anything_left { Ok(priorities) } else { Err(SelectionError::NothingLeft) }
    }
}
