//! What selections come to, case by case.

use super::{FilePriority, MAX_GLOBS, SelectionError, SelectionRules};
use crate::{Bytes, ContentFile};
use FilePriority::{High, Low, Normal, Skip};

fn file(path: &str, size: u64) -> ContentFile {
    ContentFile {
        path: path.to_owned(),
        size: Bytes(size),
        offset: Bytes::ZERO,
        is_padding: false,
        is_symlink: false,
    }
}

fn files(paths: &[&str]) -> Vec<ContentFile> {
    paths.iter().map(|path| file(path, 100)).collect()
}

fn owned(globs: &[&str]) -> Vec<String> {
    globs.iter().map(ToString::to_string).collect()
}

fn include(globs: &[&str]) -> SelectionRules {
    SelectionRules { include: owned(globs), ..SelectionRules::default() }
}

fn exclude(globs: &[&str]) -> SelectionRules {
    SelectionRules { exclude: owned(globs), ..SelectionRules::default() }
}

/// Which of `paths`, beneath a root folder, match `glob`; a file that matches nothing stands beside them.
fn matching<'a>(glob: &str, paths: &[&'a str]) -> Vec<&'a str> {
    let mut all: Vec<ContentFile> = paths.iter().map(|path| file(&format!("Root/{path}"), 1)).collect();
    all.push(file("Root/~~~", 1));
    let priorities = exclude(&[glob]).apply(&all).unwrap();
    paths.iter().zip(priorities).filter(|(_, priority)| *priority == Skip).map(|(path, _)| *path).collect()
}

/// Which of `all` are left when fluff is skipped.
fn left<'a>(all: &[(&'a str, u64)]) -> Vec<&'a str> {
    let content: Vec<ContentFile> = all.iter().map(|(path, size)| file(path, *size)).collect();
    let rules = SelectionRules { skip_fluff: true, ..SelectionRules::default() };
    let priorities = rules.apply(&content).unwrap();
    all.iter().zip(priorities).filter(|(_, priority)| *priority != Skip).map(|((path, _), _)| *path).collect()
}

#[test]
fn without_rules_everything_is_wanted() {
    assert_eq!(SelectionRules::default().apply(&files(&["r/a", "r/b"])), Ok(vec![Normal; 2]));
    assert_eq!(SelectionRules::default().apply(&[]), Err(SelectionError::NothingLeft));
}

#[test]
fn globs_match_without_the_root_folder_and_without_regard_to_case() {
    let paths = ["a.MKV", "Season 1/b.mkv", "Season 1/x/c.mkv", "d.srt"];
    assert_eq!(matching("*.mkv", &paths), ["a.MKV", "Season 1/b.mkv", "Season 1/x/c.mkv"]);
    assert_eq!(matching("/*.mkv", &paths), ["a.MKV"]);
    assert_eq!(matching("SEASON 1/*", &paths), ["Season 1/b.mkv"]);
    assert_eq!(matching("season ?/**", &paths), ["Season 1/b.mkv", "Season 1/x/c.mkv"]);
    assert_eq!(matching("**/x/*", &paths), ["Season 1/x/c.mkv"]);
    assert_eq!(matching("{a,b}.mkv", &paths), ["a.MKV", "Season 1/b.mkv"]);
    assert!(matching("root/**", &paths).is_empty());
    assert!(matching("season 1", &paths).is_empty());
}

#[test]
fn only_a_double_star_passes_a_separator() {
    let paths = ["a/b/c", "a/c", "axc"];
    assert_eq!(matching("a/*", &paths), ["a/c"]);
    assert_eq!(matching("a?c", &paths), ["axc"]);
    assert_eq!(matching("a[!b]c", &paths), ["axc"]);
    assert_eq!(matching("a/**/c", &paths), ["a/b/c", "a/c"]);
    assert_eq!(matching("a/b[!x]c", &paths), Vec::<&str>::new());
}

#[test]
fn negated_classes_keep_their_meaning() {
    let paths = ["x/a", "x/-", "x/]", "x/b"];
    assert_eq!(matching("x/[!a]", &paths), ["x/-", "x/]", "x/b"]);
    assert_eq!(matching("x/[^a-]", &paths), ["x/]", "x/b"]);
    assert_eq!(matching("x/[!-a]", &paths), ["x/]", "x/b"]);
    assert_eq!(matching("x/[!]a]", &paths), ["x/-", "x/b"]);
    assert_eq!(matching("x/[!a-b]", &paths), ["x/-", "x/]"]);
    assert_eq!(matching(r"x/\[a", &["x/[a", "x/a"]), ["x/[a"]);
}

#[test]
fn characters_beyond_ascii_are_characters() {
    let paths = ["第一話.mkv", "第12話.mkv", "Ärger.mkv", "ärger é.mkv"];
    assert_eq!(matching("第?話*", &paths), ["第一話.mkv"]);
    assert_eq!(matching("第*話*", &paths), ["第一話.mkv", "第12話.mkv"]);
    assert_eq!(matching("ÄRGER*", &paths), ["Ärger.mkv", "ärger é.mkv"]);
    assert_eq!(matching("[äö]rger.mkv", &paths), ["Ärger.mkv"]);
    assert_eq!(matching("??ger.mkv", &paths), ["Ärger.mkv"]);
    assert_eq!(matching("*[!a-z].mkv", &paths), ["第一話.mkv", "第12話.mkv", "ärger é.mkv"]);
}

#[test]
fn the_root_folder_is_what_all_files_share() {
    assert_eq!(exclude(&["a.txt"]).apply(&files(&["a.txt"])), Err(SelectionError::NothingLeft));
    assert_eq!(include(&["x/*"]).apply(&files(&["r/x/a", "r/b"])), Ok(vec![Normal, Skip]));
    // No common folder: the paths are taken as they are.
    assert_eq!(include(&["r/*"]).apply(&files(&["r/a", "b"])), Ok(vec![Normal, Skip]));
    assert_eq!(include(&["r/*"]).apply(&files(&["r/a", "rr/b"])), Ok(vec![Normal, Skip]));
    // One file in a folder.
    assert_eq!(include(&["r/*"]).apply(&files(&["r/a"])), Err(SelectionError::NothingLeft));
    assert_eq!(include(&["/a"]).apply(&files(&["r/a"])), Ok(vec![Normal]));
}

#[test]
fn one_include_suffices_and_no_exclude_may_match() {
    let rules = SelectionRules { exclude: owned(&["b*", "q"]), ..include(&["*.mkv", "*.srt"]) };
    assert_eq!(
        rules.apply(&files(&["r/a.mkv", "r/b.mkv", "r/a.srt", "r/c"])),
        Ok(vec![Normal, Skip, Normal, Skip])
    );
}

#[test]
fn an_explicit_priority_wins() {
    let rules = SelectionRules {
        priorities: vec![(0, High), (1, Skip), (2, Low), (2, High)],
        skip_fluff: true,
        ..exclude(&["a"])
    };
    assert_eq!(rules.apply(&files(&["r/a", "r/b", "r/c.nfo", "r/d"])), Ok(vec![High, Skip, High, Normal]));
    let beyond = SelectionRules { priorities: vec![(4, Skip)], ..SelectionRules::default() };
    assert_eq!(beyond.apply(&files(&["r/a", "r/b"])), Err(SelectionError::NoSuchFile { index: 4, count: 2 }));
}

#[test]
fn only_the_named_files_are_left() {
    assert_eq!(
        SelectionRules::only(&[1]).apply(&files(&["r/a", "r/x/b", "r/x/c"])),
        Ok(vec![Skip, Normal, Skip])
    );
    assert!(SelectionRules::only(&[7]).apply(&files(&["r/a"])).is_err());
}

#[test]
fn padding_and_links_do_not_count() {
    let pad = ContentFile { is_padding: true, ..file(".pad/1", 1 << 40) };
    let link = ContentFile { is_symlink: true, ..file("r/link", 0) };
    let content = [file("r/a", 5), pad, link, file("r/b.nfo", 4)];
    let everything = SelectionRules { priorities: vec![(1, High)], ..SelectionRules::default() };
    assert_eq!(everything.apply(&content), Ok(vec![Normal, Skip, Normal, Normal]));
    // The root folder and the largest file are judged without the padding.
    let rules = SelectionRules { skip_fluff: true, ..include(&["/a", "/b.nfo"]) };
    assert_eq!(rules.apply(&content), Ok(vec![Normal, Skip, Skip, Skip]));
    assert_eq!(exclude(&["a", "b.nfo"]).apply(&content), Err(SelectionError::NothingLeft));
}

#[test]
fn samples_are_fluff_when_small() {
    let movie = ("r/movie.mkv", 1000);
    for sample in
        ["r/Sample/m.mkv", "r/x/sample/m.mkv", "r/movie-sample.mkv", "r/Movie.SAMPLE.mkv", "r/sample_1.avi"]
    {
        assert_eq!(left(&[movie, (sample, 99)]), ["r/movie.mkv"], "{sample}");
        assert_eq!(left(&[movie, (sample, 100)]).len(), 2, "{sample}");
    }
    for other in ["r/sampler.mkv", "r/Samples/m.mkv", "r/resample.mkv", "r/sample1.mkv"] {
        assert_eq!(left(&[movie, (other, 1)]).len(), 2, "{other}");
    }
    assert_eq!(left(&[("Sample/movie.mkv", 1000), ("Sample/b.mkv", 1)]).len(), 2);
}

#[test]
fn fluff_folders_and_notes_are_left_out() {
    let mut all = vec![("r/movie.mkv", 1000), ("r/proof.mkv", 900), ("r/a.srt", 1), ("r/txt", 1)];
    let kept: Vec<&str> = all.iter().map(|(path, _)| *path).collect();
    all.extend(
        ["Trailers/a.mkv", "x/FEATURETTES/b.mkv", "extras/c", "Proof/d", "screens/x/e"]
            .map(|path| (path, 999)),
    );
    all.extend(["a.NFO", "a.sfv", "a.url", "x/a.txt", "a.diz", "a.lnk", ".txt"].map(|path| (path, 5)));
    let all: Vec<(String, u64)> = all
        .into_iter()
        .map(|(path, size)| {
            (if path.starts_with("r/") { path.to_owned() } else { format!("r/{path}") }, size)
        })
        .collect();
    let all: Vec<(&str, u64)> = all.iter().map(|(path, size)| (path.as_str(), *size)).collect();
    assert_eq!(left(&all), kept);
}

#[test]
fn artwork_is_fluff_unless_there_is_nothing_else() {
    assert_eq!(left(&[("r/a.flac", 9), ("r/cover.jpg", 3), ("r/b.PNG", 2), ("r/c.jpeg", 1)]), ["r/a.flac"]);
    assert_eq!(left(&[("r/1.jpg", 3), ("r/2.png", 2), ("r/3.jpeg", 1)]).len(), 3);
    assert_eq!(
        left(&[("r/1.jpg", 30), ("r/2.png", 20), ("r/3.webp", 10), ("r/a.nfo", 1)]),
        ["r/1.jpg", "r/2.png", "r/3.webp"]
    );
}

#[test]
fn the_largest_file_is_never_fluff() {
    assert_eq!(left(&[("r/book.txt", 10), ("r/a.nfo", 1)]), ["r/book.txt"]);
    assert_eq!(left(&[("r/extras/a.mkv", 10), ("r/extras/b.mkv", 10), ("r/extras/c.mkv", 9)]).len(), 2);
    assert_eq!(left(&[("only.nfo", 0)]), ["only.nfo"]);
}

#[test]
fn a_pattern_that_cannot_be_used_is_named_with_its_reason() {
    let deep = format!("{}a{}", "{".repeat(255), "}".repeat(255));
    for (glob, reason) in [
        ("", "it is empty"),
        ("extras/", "it names a folder; write `extras/**` for what is in it"),
        ("a\0", "it holds a control character"),
        ("[a", "unclosed character class; missing ']'"),
        ("{a", "unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"),
        ("[z-a]", "invalid range; 'z' > 'a'"),
        ("a\\", "dangling '\\'"),
        ("[а-я]", "a range in `[…]` can only be of ASCII characters; name the others one by one"),
        ("a[+-9]", "`[…]` stands for one character of a name, which is never a `/`"),
        (&deep, "it is nested too deeply, or too large"),
    ] {
        let expected = SelectionError::Glob { pattern: glob.to_owned(), reason: reason.to_owned() };
        assert_eq!(include(&[glob]).validate(), Err(expected.clone()));
        assert_eq!(exclude(&["fine", glob]).apply(&files(&["a"])), Err(expected));
    }
}

#[test]
fn lists_and_patterns_have_limits() {
    let full = include(&vec!["*"; MAX_GLOBS]);
    assert_eq!(full.validate(), Ok(()));
    let over = SelectionRules { exclude: vec!["*".to_owned(); MAX_GLOBS + 1], ..full };
    let error = over.validate().unwrap_err();
    assert_eq!(error.to_string(), "`exclude` holds 65 patterns; at most 64 are taken");
    assert_eq!(include(&[&"é".repeat(256)]).validate(), Ok(()));
    let error = include(&[&"a".repeat(513)]).validate().unwrap_err().to_string();
    assert!(error.ends_with("it is 513 bytes long; at most 512 are taken") && error.len() < 200, "{error}");
}

#[test]
fn the_hardest_patterns_that_are_taken_compile() {
    for hard in
        ["*a".repeat(256), "{a,b}".repeat(102), "?".repeat(512), "**/".repeat(170) + "a", "話".repeat(170)]
    {
        let lists = SelectionRules {
            exclude: vec![hard.clone(); MAX_GLOBS],
            ..include(&vec![hard.as_str(); MAX_GLOBS])
        };
        assert_eq!(lists.validate(), Ok(()), "{hard}");
    }
}
