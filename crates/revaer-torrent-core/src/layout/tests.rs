//! Progress by pieces, against a count of single bytes.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};

use super::{Layout, PieceSet};
use crate::{Bytes, ContentFile, FilePriority, InfoHashes, Metainfo};

fn metainfo(piece_length: u64, sizes: &[(u64, bool)]) -> Metainfo {
    let mut end = 0;
    let files: Vec<ContentFile> = sizes
        .iter()
        .map(|&(size, is_padding)| {
            let offset = end;
            end += size;
            let path = format!("root/{offset}");
            ContentFile { path, size: Bytes(size), offset: Bytes(offset), is_padding, is_symlink: false }
        })
        .collect();
    Metainfo {
        info_hashes: InfoHashes::default(),
        name: "root".to_owned(),
        is_directory: true,
        files,
        piece_length: Bytes(piece_length),
        piece_count: u32::try_from(end.div_ceil(piece_length.max(1))).unwrap(),
        private: false,
        trackers: Vec::new(),
    }
}

fn set(pieces: &[bool]) -> PieceSet {
    let mut bits = vec![0_u8; pieces.len().div_ceil(8)];
    for (index, _) in pieces.iter().enumerate().filter(|(_, has)| **has) {
        bits[index / 8] |= 0x80 >> (index % 8);
    }
    PieceSet::Some(Arc::from(bits))
}

fn sizes(files: &[u64]) -> Vec<(u64, bool)> {
    files.iter().map(|size| (*size, false)).collect()
}

#[test]
fn a_piece_counts_for_every_file_that_it_touches() {
    // Pieces of four bytes: aaab bbbb bbc
    let layout = Layout::new(&metainfo(4, &sizes(&[3, 7, 1])));
    assert_eq!(layout.file_progress(&set(&[true, false, false])), [Bytes(3), Bytes(1), Bytes(0)]);
    assert_eq!(layout.file_progress(&set(&[false, true, false])), [Bytes(0), Bytes(4), Bytes(0)]);
    assert_eq!(layout.file_progress(&set(&[false, false, true])), [Bytes(0), Bytes(2), Bytes(1)]);
}

#[test]
fn only_wanted_files_count() {
    let layout = Layout::new(&metainfo(4, &[(4, false), (4, true), (4, false), (0, false)]));
    let wanted = [FilePriority::Skip, FilePriority::High];
    let progress = layout.progress(&set(&[true, true, false]), &wanted);
    assert_eq!((progress.wanted, progress.done, progress.is_complete()), (Bytes(4), Bytes(0), false));
    let progress = layout.progress(&set(&[false, false, true]), &wanted);
    assert!(progress.is_complete());
    let progress = layout.progress(&PieceSet::All, &[]);
    assert_eq!((progress.wanted, progress.done), (Bytes(8), Bytes(8)));
}

#[test]
fn a_bitfield_that_is_too_short_means_missing() {
    assert!(!PieceSet::Some(Arc::from([0xff])).contains(8));
    assert!(PieceSet::Some(Arc::from([0x01])).contains(7));
    let layout = Layout::new(&metainfo(1, &sizes(&[20])));
    assert_eq!(layout.file_progress(&PieceSet::Some(Arc::from([0xff]))), [Bytes(8)]);
}

#[test]
fn sizes_at_the_edge_do_not_overflow() {
    let mut metainfo = metainfo(1 << 40, &sizes(&[1]));
    metainfo.files[0].size = Bytes(u64::MAX);
    metainfo.files[0].offset = Bytes((1 << 40) - 1);
    let done = Layout::new(&metainfo).file_progress(&set(&[true, true, false]));
    assert_eq!(done, [Bytes((1 << 40) + 1)]);
}

prop_compose! {
    fn content()(
        piece_length in 1_u64..9,
        sizes in vec((0_u64..20, prop::bool::weighted(0.2)), 0..8),
        pieces in vec(any::<bool>(), 160),
    ) -> (Metainfo, Vec<bool>) {
        let metainfo = metainfo(piece_length, &sizes);
        let count = metainfo.piece_count as usize;
        (metainfo, pieces[..count].to_vec())
    }
}

proptest! {
    #[test]
    fn progress_is_the_count_of_verified_bytes((metainfo, pieces) in content()) {
        let verified = |offset: u64| pieces[usize::try_from(offset / metainfo.piece_length.0).unwrap()];
        let counted: Vec<Bytes> = metainfo
            .files
            .iter()
            .map(|file| (file.offset.0..file.offset.0 + file.size.0).filter(|offset| verified(*offset)).count())
            .map(|bytes| Bytes(bytes as u64))
            .collect();
        prop_assert_eq!(Layout::new(&metainfo).file_progress(&set(&pieces)), counted);
    }

    #[test]
    fn all_pieces_are_all_bytes((metainfo, pieces) in content()) {
        let layout = Layout::new(&metainfo);
        let sizes: Vec<Bytes> = metainfo.files.iter().map(|file| file.size).collect();
        prop_assert_eq!(layout.file_progress(&PieceSet::All), sizes.clone());
        prop_assert_eq!(layout.file_progress(&set(&vec![true; pieces.len()])), sizes);
        prop_assert_eq!(layout.file_progress(&PieceSet::None).into_iter().sum::<Bytes>(), Bytes::ZERO);
        let progress = layout.progress(&PieceSet::All, &[]);
        prop_assert_eq!(progress.wanted, metainfo.wanted_size(&[]));
        prop_assert!(progress.is_complete());
    }

    #[test]
    fn another_piece_never_takes_away((metainfo, mut pieces) in content(), at in any::<prop::sample::Index>()) {
        let layout = Layout::new(&metainfo);
        let before = layout.file_progress(&set(&pieces));
        let at = at.index(pieces.len().max(1));
        pieces.iter_mut().skip(at).take(1).for_each(|piece| *piece = true);
        let after = layout.file_progress(&set(&pieces));
        prop_assert!(before.iter().zip(&after).all(|(before, after)| before <= after));
    }
}
