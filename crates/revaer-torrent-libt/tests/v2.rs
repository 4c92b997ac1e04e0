//! Torrents with a v2 info-hash, and two magnets that turn out to be one torrent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{fs, sync::Arc};

use revaer_torrent_core::{
    FilePriority, PieceSet,
    engine::{AddSource, AppliedSelection, EngineCommand, TorrentEngine},
};
use support::{Client, V2Sample, id};

fn one_file() -> AppliedSelection {
    AppliedSelection { version: 1, priorities: vec![FilePriority::Normal] }
}

async fn seed(client: &Client, sample: &V2Sample) {
    fs::create_dir_all(client.save_dir()).unwrap();
    fs::write(client.save_dir().join(sample.name), &sample.bytes).unwrap();
    let source = AddSource::Metainfo(Arc::clone(&sample.metainfo));
    client.run(EngineCommand::Add(Box::new(client.add_from(id(1), source, Some(one_file()))))).await.unwrap();
    client.wait(id(1), "it seeds", |seen| seen.pieces == PieceSet::All).await;
}

async fn add_magnet(client: &Client, seeder: &Client, number: u128, magnet: String) {
    let mut add = client.add_from(id(number), AddSource::Magnet(magnet), None);
    add.peers = vec![seeder.endpoint().await];
    client.run(EngineCommand::Add(Box::new(add))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_v2_magnet_is_completed_from_what_its_peer_knows() {
    let sample = V2Sample::new("second", 5, false);
    let (seeder, mut leecher) = (Client::start().await, Client::start().await);
    seed(&seeder, &sample).await;
    add_magnet(&leecher, &seeder, 2, sample.v2_magnet()).await;
    let seen = leecher.wait(id(2), "metainfo is offered", |seen| seen.metainfo.is_some()).await;
    let offered = leecher.engine().inspect(Arc::clone(seen.metainfo.as_ref().unwrap())).await.unwrap();
    assert_eq!(offered.info_hashes.v2.unwrap().to_string(), sample.v2);
    assert_eq!(offered.info_hashes.v1, None);
    leecher.run(EngineCommand::Select { id: id(2), selection: one_file() }).await.unwrap();
    leecher.wait(id(2), "it is complete", |seen| seen.pieces == PieceSet::All).await;
    assert!(fs::read(leecher.save_dir().join(sample.name)).unwrap() == sample.bytes);

    // The offered .torrent and the blob are enough to seed again after a crash.
    leecher.run(EngineCommand::SaveResume { id: id(2) }).await.unwrap();
    let metainfo = AddSource::Metainfo(Arc::clone(seen.metainfo.as_ref().unwrap()));
    leecher.kill();
    let again = Client::restart(Arc::clone(&leecher.dir), leecher.address).await;
    let add = again.add_from(id(2), metainfo, Some(one_file()));
    again.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    again.wait(id(2), "it is whole again", |seen| seen.pieces == PieceSet::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_magnets_of_one_hybrid_are_both_shown_as_a_conflict_with_the_metainfo() {
    let sample = V2Sample::new("hybrid", 4, true);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    seed(&seeder, &sample).await;
    let hashes = seeder.engine().observe(id(1)).unwrap().info_hashes;
    assert!(hashes.v1.is_some() && hashes.v2.is_some());
    // The younger first without a peer, so that both are there when metadata arrives.
    let lonely = leecher.add_from(id(3), AddSource::Magnet(sample.v2_magnet()), None);
    leecher.run(EngineCommand::Add(Box::new(lonely))).await.unwrap();
    add_magnet(&leecher, &seeder, 2, sample.v1_magnet()).await;
    for number in [2, 3] {
        let seen = leecher.wait(id(number), "the conflict is shown", |seen| seen.conflict).await;
        assert!(seen.metainfo.is_some());
    }
    // One of them goes on with the metainfo, the other is removed.
    let metainfo = leecher.engine().observe(id(2)).unwrap().metainfo.clone().unwrap();
    leecher.run(EngineCommand::Remove { id: id(3), save_dir: leecher.save_dir() }).await.unwrap();
    leecher.run(EngineCommand::Unload { id: id(2) }).await.unwrap();
    let mut add = leecher.add_from(id(2), AddSource::Metainfo(metainfo), Some(one_file()));
    add.peers = vec![seeder.endpoint().await];
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    let seen = leecher.wait(id(2), "it is complete", |seen| seen.pieces == PieceSet::All).await;
    assert_eq!((seen.info_hashes, seen.conflict, seen.error.as_deref()), (hashes, false, None));
}
