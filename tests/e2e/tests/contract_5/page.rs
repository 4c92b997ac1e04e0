//! The list in `docs/contract-tests.md`: what it names exists, and what is here is on it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The names of the functions below a test attribute.
fn tests_of(source: &str) -> impl Iterator<Item = &str> {
    let is_attribute = |line: &&str| {
        let line = line.trim();
        line.starts_with("#[") && (line.ends_with("test]") || line.contains("test("))
    };
    let lines = source.lines().zip(source.lines().skip(1));
    let named = lines.filter(move |(line, _)| is_attribute(line)).map(|(_, next)| next);
    named.filter_map(|next| Some(next.split_once("fn ")?.1.split_once('(')?.0))
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, names)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_of(&fs::read_to_string(&path)?).map(ToOwned::to_owned));
        }
    }
    Ok(())
}

#[test]
fn the_page_names_tests_that_exist_and_every_test_of_this_folder() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let root = tests.join("../../..");
    let page = fs::read_to_string(root.join("docs/contract-tests.md"))?;
    let (mut here, mut all) = (BTreeSet::new(), BTreeSet::new());
    collect(&tests.join("contract_5"), &mut here)?;
    collect(&root.join("crates"), &mut all)?;
    collect(&tests, &mut all)?;
    // The second column, name by name.
    let column = page.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let quoted = column.flat_map(|(_, column)| column.split('`').skip(1).step_by(2));
    // Shorter ones are settings, files and binaries.
    let named: BTreeSet<&str> = quoted.filter(|name| name.matches('_').count() >= 3).collect();
    assert!(named.len() > 40, "{named:?}");
    let unknown: Vec<_> = named.iter().filter(|name| !all.contains(**name)).collect();
    assert!(unknown.is_empty(), "no such tests: {unknown:?}");
    let own = "the_page_names_tests_that_exist_and_every_test_of_this_folder";
    let unlisted: Vec<_> =
        here.iter().filter(|name| *name != own && !named.contains(name.as_str())).collect();
    assert!(unlisted.is_empty(), "not on the page: {unlisted:?}");
    Ok(())
}
