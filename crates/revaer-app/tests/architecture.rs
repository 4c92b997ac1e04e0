//! Holds the code to ARCHITECTURE.md: which crate may use which, and what stands in one place only.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Members of the workspace and what they are built from, tests left out.
fn arrows_of_cargo() -> Arrows {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uses = |package: &Value| {
        let of_ours = |one: &&Value| one["path"].is_string() && one["kind"] != "dev";
        package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(of_ours)
            .map(|one| text(&one["name"]))
            .collect()
    };
    metadata["packages"].as_array().unwrap().iter().map(|one| (text(&one["name"]), uses(one))).collect()
}

/// The rows of the code map: ``| `crate` | what for | uses |``.
fn arrows_of_the_map() -> Arrows {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?.to_owned();
        let uses = cells.last()?.to_owned();
        Some((name.replace("tests/e2e", "revaer-e2e"), uses))
    });
    let rows: BTreeMap<String, String> = rows.take_while(|(name, _)| name.starts_with("revaer-")).collect();
    let crate_of = |short: &str| match short {
        "core" => "revaer-torrent-core".to_owned(),
        "models" => "revaer-api-models".to_owned(),
        other => format!("revaer-{other}"),
    };
    let expand = |uses: &str| -> BTreeSet<String> {
        match uses.strip_prefix("all but ") {
            None if uses == "–" || uses == "none of them" => BTreeSet::new(),
            None => uses.split(", ").map(crate_of).collect(),
            Some(but) => {
                let mut left_out: BTreeSet<String> = but.split(" and ").map(crate_of).collect();
                left_out.extend(["revaer-app", "revaer-e2e", "revaer-bench"].map(str::to_owned));
                rows.keys().filter(|name| !left_out.contains(*name)).cloned().collect()
            }
        }
    };
    rows.iter().map(|(name, uses)| (name.clone(), expand(uses))).collect()
}

/// Every Rust file of the products, with its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("tests/e2e")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 100, "only {} files found", found.len());
    found
}

/// The files that another one declares as modules of its tests.
fn test_modules() -> BTreeSet<String> {
    let declared = |(name, text): (String, String)| {
        let folder = Path::new(&name).with_extension("");
        let parts = text.split("#[cfg(test)]\nmod ").skip(1);
        let modules: Vec<&str> = parts.filter_map(|rest| rest.lines().next()?.strip_suffix(';')).collect();
        let path = |module: &&str| folder.join(module).with_extension("rs").to_string_lossy().into_owned();
        modules.iter().map(path).collect::<Vec<String>>()
    };
    sources().into_iter().flat_map(declared).collect()
}

/// The files of the products, tests left out, in which a line that is no comment holds one of the words.
fn holders(words: &[&str]) -> Vec<String> {
    let tests = test_modules();
    let product = |name: &str| name.starts_with("crates/") && name.contains("/src/") && !tests.contains(name);
    let says = |text: &str| {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.into_iter().any(|line| words.iter().any(|word| line.contains(word)))
    };
    let mut found: Vec<String> = sources()
        .into_iter()
        .filter(|(name, text)| product(name) && says(text))
        .map(|(name, _)| name)
        .collect();
    found.sort();
    found
}

#[test]
fn crates_use_what_the_code_map_says_and_nothing_else() {
    let (map, cargo) = (arrows_of_the_map(), arrows_of_cargo());
    assert!(map.len() > 10, "the code map was not found: {map:?}");
    assert_eq!(map, cargo);
    let arrows: usize = cargo.values().map(BTreeSet::len).sum();
    assert!(arrows <= 32, "{arrows} arrows between crates: is a seam in the wrong place?");
}

#[test]
fn unsafe_code_stands_in_two_files() {
    let expected = ["crates/revaer-app/src/child/start.rs", "crates/revaer-torrent-libt/src/ffi.rs"];
    assert_eq!(holders(&["unsafe {", "unsafe extern", "unsafe impl", "unsafe fn"]), expected);
}

#[test]
fn the_environment_is_read_in_one_file_of_each_binary() {
    let expected = ["crates/revaer-app/src/options.rs", "crates/revaer-cli/src/environment.rs"];
    assert_eq!(holders(&["env::var"]), expected);
}

#[test]
fn processes_are_started_in_one_place() {
    // The client only becomes itself again, with its secrets out of sight.
    let expected = ["crates/revaer-app/src/child/start.rs", "crates/revaer-cli/src/main.rs"];
    assert_eq!(holders(&["Command::new("]), expected);
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let bare: Vec<String> =
        sources().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(name, _)| name).collect();
    assert!(bare.is_empty(), "{bare:?}");
}
