//! Identity: the same content is one torrent, however often and in whatever form it is added.

use std::time::Duration;

use anyhow::{Context, Result};
use revaer_e2e::metainfo::{Maker, Metainfo, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::{Seed, Server};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_mins(1);

fn torrent(name: &str, version: Version) -> Result<(TempDir, Metainfo)> {
    let folder = tempfile::tempdir()?;
    let root = Payload::single(name, 100_000).write(folder.path())?;
    Ok((folder, Maker::new(version).make(&root)?))
}

#[tokio::test]
async fn the_same_content_is_accepted_once() -> Result<()> {
    let (_first, first) = torrent("first.bin", Version::Hybrid)?;
    let (_second, second) = torrent("second.bin", Version::V1)?;
    let server = Server::start().await?;
    let api = &server.api;
    let id = Uuid::new_v4().to_string();
    let options = json!({ "id": id, "paused": true });

    let summary = api.upload(&first.bytes, &options).await?.expect(202)?;
    assert_eq!(summary["id"], id.as_str());
    api.upload(&first.bytes, &options).await?.expect(202)?;
    let magnet = first.magnet(&[]);
    api.post("/v1/torrents", &json!({ "magnet": magnet, "id": id })).await?.expect(202)?;

    let (v1, v2) = (first.v1.context("no v1")?, first.v2.context("no v2")?);
    for magnet in [magnet, format!("magnet:?xt=urn:btih:{v1}"), format!("magnet:?xt=urn:btmh:1220{v2}")] {
        let answer = api.post("/v1/torrents", &json!({ "magnet": magnet })).await?;
        let problem = answer.expect_problem(409, "duplicate-torrent").with_context(|| magnet.clone())?;
        assert_eq!(problem["existing_id"], id.as_str());
    }
    let problem = api.upload(&second.bytes, &options).await?.expect_problem(409, "conflict")?;
    assert_eq!(problem["invalid_params"][0]["pointer"], "/id", "{problem}");
    assert_eq!(api.torrents().await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn one_of_many_at_once_is_accepted() -> Result<()> {
    let (_folder, torrent) = torrent("raced.bin", Version::V1)?;
    let server = Server::start().await?;
    let options = json!({ "paused": true });
    let adds = (0..16).map(|_| server.api.upload(&torrent.bytes, &options));
    let answers = futures_util::future::try_join_all(adds).await?;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[0], 202);
    assert!(statuses[1..].iter().all(|status| *status == 409), "{statuses:?}");
    assert_eq!(server.api.torrents().await?.len(), 1);
    Ok(())
}

/// A link by the old hash and a link by the new one: that they are one torrent only shows when metadata arrives.
#[tokio::test]
async fn of_two_links_that_turn_out_to_be_one_torrent_the_elder_goes_on() -> Result<()> {
    let seed = Seed::start(&Payload::single("twin.bin", 3 * MIB), &Maker::new(Version::Hybrid)).await?;
    let (v1, v2) = (seed.torrent.v1.clone().context("no v1")?, seed.torrent.v2.clone().context("no v2")?);
    let peer = seed.peer.listen();
    let links = [
        format!("magnet:?xt=urn:btih:{v1}&x.pe={peer}"),
        format!("magnet:?xt=urn:btmh:1220{v2}&x.pe={peer}"),
    ];
    for (first, younger_first) in [(0, false), (0, true), (1, false), (1, true)] {
        let server = Server::start().await?;
        let api = &server.api;
        let mut ids = Vec::new();
        for link in [&links[first], &links[1 - first]] {
            let body = json!({ "magnet": link, "paused": true });
            let summary = api.post("/v1/torrents", &body).await?.expect(202)?;
            ids.push(summary["id"].as_str().context("no id")?.to_owned());
        }
        let resume = if younger_first { [1, 0] } else { [0, 1] };
        for which in resume {
            let action = json!({ "type": "resume" });
            let answer = api.post(&format!("/v1/torrents/{}/action", ids[which]), &action).await?;
            // The other may have been found to be the same already.
            if answer.status != 409 {
                answer.expect(202)?;
            }
        }
        let (elder, younger) = (&ids[0], &ids[1]);
        server.expect_entry(elder, &seed, LIMIT).await?;
        let failed = |detail: &serde_json::Value| detail["state"]["kind"] == "failed";
        let detail = api.wait_torrent(younger, "to give way", LIMIT, failed).await?;
        assert_eq!(detail["state"]["failure_message"], format!("same content as {elder}"), "{detail}");
        for link in &links {
            let answer = api.post("/v1/torrents", &json!({ "magnet": link })).await?;
            let problem = answer.expect_problem(409, "duplicate-torrent")?;
            assert_eq!(problem["existing_id"], elder.as_str());
        }
        assert_eq!(server.library_names()?, [seed.torrent.name.as_str()]);
    }
    Ok(())
}
