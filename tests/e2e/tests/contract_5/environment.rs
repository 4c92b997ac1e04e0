//! What the machine has to be able to do, and where content may be.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use revaer_e2e::stage::{Server, is_degraded};
use rustix::fs::rename;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{LIMIT, active, change, pointers, stored_revision};

fn root(member: &str, path: &Path) -> Value {
    let section = if member == "library_root" { "fs_policy" } else { "engine_profile" };
    json!({ section: { member: path } })
}

#[tokio::test]
async fn environment_is_refused_on_patch() -> Result<()> {
    let (_database, server) = active().await?;
    let before = server.settings().await?;
    let folder = TempDir::new()?;
    let file = folder.path().join("file");
    fs::write(&file, "")?;
    // A directory that cannot be made and written.
    for (member, pointer) in [
        ("library_root", "/fs_policy/library_root"),
        ("download_root", "/engine_profile/download_root"),
        ("resume_dir", "/engine_profile/resume_dir"),
    ] {
        for path in [&file, &file.join("below"), Path::new("/proc/revaer")] {
            assert_eq!(pointers(&server, root(member, path)).await?, [pointer], "{}", path.display());
        }
    }
    // A user and a group that do not exist.
    let accounts = json!({ "fs_policy": { "owner": "no-such-user", "group": "no-such-group" } });
    assert_eq!(pointers(&server, accounts).await?, ["/fs_policy/group", "/fs_policy/owner"]);
    // What a refused change made on the way is gone again.
    let mut both = root("library_root", &folder.path().join("made/on/the/way"));
    both["fs_policy"]["owner"] = json!("no-such-user");
    assert_eq!(pointers(&server, both).await?, ["/fs_policy/owner"]);
    assert!(!folder.path().join("made").exists());
    assert_eq!(server.settings().await?, before);
    assert_eq!(stored_revision(&server.app).await?, before["revision"].as_i64().unwrap_or_default());
    Ok(())
}

#[tokio::test]
async fn allow_paths_that_no_longer_cover_a_root_are_refused_unless_the_changeset_moves_it() -> Result<()> {
    let (_database, server) = active().await?;
    let elsewhere = TempDir::new()?;
    let only = json!({ "fs_policy": { "allow_paths": [elsewhere.path()] } });
    // One fault for each root that is left out.
    assert_eq!(pointers(&server, only).await?, ["/fs_policy/allow_paths"; 2]);
    let library = elsewhere.path().join("library");
    let half = json!({ "fs_policy": { "allow_paths": [elsewhere.path()], "library_root": library } });
    assert_eq!(pointers(&server, half.clone()).await?, ["/fs_policy/allow_paths"]);
    let mut whole = half;
    whole["engine_profile"] = json!({ "download_root": elsewhere.path().join("downloads") });
    change(&server, whole).await?;
    Ok(())
}

#[tokio::test]
async fn environment_that_turns_false_later_only_degrades_disk() -> Result<()> {
    let (_database, mut server) = active().await?;
    let folder = TempDir::new()?;
    let library = folder.path().join("library");
    let before = change(&server, root("library_root", &library)).await?;
    let degraded = async |server: &Server, wanted: bool| {
        server
            .wait_health("word of the library's disk", LIMIT, |health| is_degraded(health, "disk") == wanted)
            .await
    };
    let until_watched = async |server: &Server| {
        revaer_e2e::wait::until("the library to be watched", LIMIT, || async {
            let known = server.app.sql("SELECT path::text FROM known_volumes").await?;
            Ok(format!("{known:?}").contains(library.to_str().unwrap_or_default()).then_some(()))
        })
        .await
    };
    until_watched(&server).await?;
    degraded(&server, false).await?;
    // The volume is unplugged.
    rename(&library, folder.path().join("away"))?;
    let health = degraded(&server, true).await?;
    let reason = health["components"]["disk"]["reason"].as_str().context("no reason")?;
    assert!(reason.contains(library.to_str().unwrap_or_default()), "{reason}");
    assert!(!is_degraded(&health, "config_watcher"), "{health}");
    assert_eq!(server.settings().await?, before, "the configuration stays as it is");
    // Other settings change, and one start later all of it is in force.
    let after = change(
        &server,
        json!({ "app_profile": { "instance_name": "b" }, "fs_policy": { "library_root": library } }),
    )
    .await?;
    assert_eq!(after["revision"], before["revision"].as_i64().unwrap_or_default() + 1);
    server.app.kill9().await?;
    server.start_again().await?;
    assert_eq!(server.settings().await?, after);
    degraded(&server, true).await?;
    rename(folder.path().join("away"), &library)?;
    degraded(&server, false).await?;
    Ok(())
}

#[tokio::test]
async fn library_root_and_download_root_may_be_any_absolute_path() -> Result<()> {
    let (_database, server) = active().await?;
    let elsewhere = TempDir::new()?;
    for (member, pointer) in
        [("library_root", "/fs_policy/library_root"), ("download_root", "/engine_profile/download_root")]
    {
        let path = elsewhere.path().join(member).join("ü b");
        let after = change(&server, root(member, &path)).await?;
        assert_eq!(after.pointer(pointer), Some(&json!(path)));
        assert!(path.is_dir(), "it is made");
        assert_eq!(pointers(&server, root(member, Path::new("library"))).await?, [pointer]);
    }
    Ok(())
}

#[tokio::test]
async fn library_root_and_download_root_may_not_be_outside_allow_paths_when_it_is_not_empty() -> Result<()> {
    let (_database, server) = active().await?;
    let elsewhere = TempDir::new()?;
    let allowed = |paths: &[&Path]| json!({ "fs_policy": { "allow_paths": paths } });
    let data_dir = server.app.data_dir();
    change(&server, allowed(&[data_dir])).await?;
    let roots =
        [("library_root", "/fs_policy/library_root"), ("download_root", "/engine_profile/download_root")];
    for (member, pointer) in roots {
        for outside in [elsewhere.path().join(member), data_dir.with_extension("beside")] {
            assert_eq!(pointers(&server, root(member, &outside)).await?, [pointer]);
            assert!(!outside.exists());
        }
        change(&server, root(member, &data_dir.join("other").join(member))).await?;
    }
    change(&server, allowed(&[data_dir, elsewhere.path()])).await?;
    for (member, _) in roots {
        change(&server, root(member, &elsewhere.path().join(member))).await?;
    }
    change(&server, allowed(&[])).await?;
    Ok(())
}

#[tokio::test]
async fn the_effective_allow_list_is_allow_paths_and_download_root_and_library_root_and_resume_dir()
-> Result<()> {
    let (_database, server) = active().await?;
    let elsewhere = TempDir::new()?;
    let (allowed, outside) = (elsewhere.path().join("allowed"), elsewhere.path().join("outside"));
    let mut number = 0;
    let mut add = async |folder: &Path| {
        number += 1;
        let magnet = format!("magnet:?xt=urn:btih:{number:040x}");
        let body = json!({ "magnet": magnet, "download_dir": folder });
        server.api.post("/v1/torrents", &body).await
    };
    // Without allow_paths it is the roots, two of which take content; the third holds the server's own.
    for taken in [server.app.downloads().join("b"), server.app.library().join("c")] {
        add(&taken).await?.expect(202).with_context(|| taken.display().to_string())?;
    }
    for refused in [&allowed.join("a"), &outside, &server.app.resume_dir().join("d"), server.app.data_dir()] {
        let problem = add(refused).await?.expect_problem(422, "validation-failed")?;
        assert_eq!(problem["invalid_params"][0]["pointer"], "/download_dir", "{}", refused.display());
    }
    change(&server, json!({ "fs_policy": { "allow_paths": [allowed, server.app.data_dir()] } })).await?;
    for taken in [&allowed.join("a"), server.app.data_dir(), &server.app.downloads().join("e")] {
        add(taken).await?.expect(202).with_context(|| taken.display().to_string())?;
    }
    assert_eq!(add(&outside).await?.status, 422);
    Ok(())
}
