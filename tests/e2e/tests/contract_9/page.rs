//! Every test of this folder is on the list in `docs/contract-tests.md`.

use std::fs;
use std::path::Path;

use anyhow::Result;

#[test]
fn the_page_names_every_test_of_this_folder() -> Result<()> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let page = fs::read_to_string(tests.join("../../../docs/contract-tests.md"))?;
    for entry in fs::read_dir(tests.join("contract_9"))? {
        let source = fs::read_to_string(entry?.path())?;
        for rest in source.split("test]\n").skip(1) {
            let name = rest.split("fn ").nth(1).and_then(|rest| rest.split('(').next()).unwrap_or_default();
            assert!(
                name == "the_page_names_every_test_of_this_folder" || page.contains(&format!("`{name}`")),
                "{name}"
            );
        }
    }
    Ok(())
}
