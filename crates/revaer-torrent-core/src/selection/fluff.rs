//! Fluff: what comes with a release and is not the release.

use super::tree::{RuleFile, Tree};

/// Folders of nothing but fluff.
const FOLDERS: &[&str] = &["trailers", "featurettes", "extras", "proof", "screens"];
/// Notes and links.
const NOTES: &[&str] = &["nfo", "sfv", "url", "txt", "diz", "lnk"];
/// Pictures that are artwork beside anything else.
const ARTWORK: &[&str] = &["jpg", "jpeg", "png"];
/// Further pictures: never artwork, and no sign that there is something else.
const OTHER_PICTURES: &[&str] = &["avif", "bmp", "gif", "heic", "jxl", "tif", "tiff", "webp"];

/// What fluff depends on beside the file itself.
pub(super) struct Fluff {
    largest: u64,
    is_images_only: bool,
}

impl Fluff {
    /// Looks at all files of a torrent.
    pub(super) fn new(tree: &Tree<'_>) -> Self {
        let largest = tree.payload().map(|file| file.size).max().unwrap_or(0);
        // Notes and proofs beside pictures do not make the pictures artwork.
        let is_images_only = tree
            .payload()
            .filter(|file| !is_note(file) && !is_in_fluff_folder(file) && !is_sample(file, largest))
            .all(|file| is_one_of(&file, ARTWORK) || is_one_of(&file, OTHER_PICTURES));
        Self { largest, is_images_only }
    }

    /// Whether `file` is fluff. The largest file never is; where several are the largest, none of them is.
    pub(super) fn has(&self, file: &RuleFile) -> bool {
        file.size != self.largest
            && (is_note(file)
                || is_in_fluff_folder(file)
                || is_sample(file, self.largest)
                || (is_one_of(file, ARTWORK) && !self.is_images_only))
    }
}

fn is_note(file: &RuleFile) -> bool {
    is_one_of(file, NOTES)
}

fn is_in_fluff_folder(file: &RuleFile) -> bool {
    file.folders().any(|folder| FOLDERS.contains(&folder))
}

/// `sample` as a folder or as a word of the name, and under a tenth of the largest file.
fn is_sample(file: &RuleFile, largest: u64) -> bool {
    let is_small = file.size.saturating_mul(10) < largest;
    is_small
        && (file.folders().any(|folder| folder == "sample")
            || file.name().split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "sample"))
}

fn is_one_of(file: &RuleFile, extensions: &[&str]) -> bool {
    file.extension().is_some_and(|extension| extensions.contains(&extension))
}
