//! What holds of every selection.

use proptest::{collection::vec, prelude::*};

use super::{FilePriority, SelectionError, SelectionRules};
use crate::{Bytes, ContentFile};

prop_compose! {
    fn content_file()(
        path in r"(Root/|r/)?((sample|extras|x)/)?[a-cÄ話]{1,3}\.(mkv|nfo|jpg|txt)",
        size in 0_u64..1000,
        kind in 0_u8..12,
    ) -> ContentFile {
        ContentFile { path, size: Bytes(size), offset: Bytes::ZERO, is_padding: kind == 0, is_symlink: kind == 1 }
    }
}

fn priority() -> impl Strategy<Value = FilePriority> {
    use FilePriority::{High, Low, Normal, Skip};
    prop::sample::select(vec![Skip, Low, Normal, High])
}

prop_compose! {
    fn rules()(
        include in vec(r"(\*\*/)?[a-c*?Ä話]{1,3}(\.(mkv|\*))?", 0..3),
        exclude in vec(r"(x/)?[a-c?\[\]!-]{1,4}\*?", 0..3),
        skip_fluff in any::<bool>(),
        priorities in vec((0_u32..8, priority()), 0..4),
    ) -> SelectionRules {
        SelectionRules { include, exclude, skip_fluff, priorities }
    }
}

proptest! {
    #[test]
    fn an_answer_fits_the_files_and_leaves_something(rules in rules(), files in vec(content_file(), 0..8)) {
        match rules.apply(&files) {
            Ok(priorities) => {
                prop_assert_eq!(priorities.len(), files.len());
                prop_assert!(priorities.iter().any(|priority| *priority != FilePriority::Skip));
                for (index, file) in files.iter().enumerate() {
                    let asked = rules.priorities.iter().rfind(|(at, _)| *at as usize == index);
                    if file.is_padding {
                        prop_assert_eq!(priorities[index], FilePriority::Skip);
                    } else if let Some((_, asked)) = asked {
                        prop_assert_eq!(priorities[index], *asked);
                    }
                }
            }
            Err(SelectionError::NoSuchFile { index, count }) => prop_assert!(index as usize >= count),
            Err(SelectionError::NothingLeft) => {}
            Err(error) => prop_assert_eq!(rules.validate(), Err(error)),
        }
    }

    #[test]
    fn what_is_valid_never_fails_by_its_globs(globs in vec(any::<String>(), 0..4), files in vec(content_file(), 1..4)) {
        let rules = SelectionRules { include: globs.clone(), exclude: globs, ..SelectionRules::default() };
        let verdict = rules.apply(&files);
        if rules.validate().is_ok() {
            prop_assert!(matches!(verdict, Ok(_) | Err(SelectionError::NothingLeft)), "{verdict:?}");
        }
    }

    #[test]
    fn a_literal_matches_itself_in_any_case(name in r"[a-zA-Z0-9 äÖ話é._]{1,12}") {
        // No file is called that, and libtorrent takes such components out of paths.
        prop_assume!(name != "..");
        let file = |path: String| ContentFile {
            path, size: Bytes(1), offset: Bytes::ZERO, is_padding: false, is_symlink: false,
        };
        let files = [file(format!("Root/in/{name}")), file("Root/~".to_owned())];
        for glob in [name.clone(), format!("IN/{name}"), "?".repeat(name.chars().count() + 1)] {
            let rules = SelectionRules { exclude: vec![glob.to_ascii_uppercase()], ..SelectionRules::default() };
            let skipped = rules.apply(&files).unwrap()[0] == FilePriority::Skip;
            prop_assert_eq!(skipped, !glob.starts_with('?'));
        }
    }

    #[test]
    fn fluff_never_takes_the_largest_file(files in vec(content_file(), 1..8)) {
        let rules = SelectionRules { skip_fluff: true, ..SelectionRules::default() };
        let payload = |file: &&ContentFile| !file.is_padding && !file.is_symlink;
        let largest = files.iter().filter(payload).map(|file| file.size).max();
        if let (Ok(priorities), Some(largest)) = (rules.apply(&files), largest) {
            for (file, priority) in files.iter().zip(priorities) {
                prop_assert!(!payload(&file) || file.size != largest || priority == FilePriority::Normal);
            }
        }
    }
}
