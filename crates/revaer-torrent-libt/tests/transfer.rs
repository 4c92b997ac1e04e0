//! Two engines on loopback: what is transferred, what is not, and what is said about it.

mod support;

use std::sync::Arc;

use revaer_torrent_core::{
    BytesPerSecond, EngineState, FilePriority, PieceSet,
    engine::{AddSource, AppliedSelection, EngineCommand, EngineError, TorrentEngine},
};
use support::{Client, PIECE, Sample, everything, id};

#[tokio::test(flavor = "multi_thread")]
async fn a_torrent_is_downloaded_whole_and_its_bytes_are_counted() {
    let sample = Sample::new("whole", &[("a.bin", 3 * PIECE + 7), ("sub/b.bin", 100)]);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    seeder.seed(&sample).await;
    let mut add = leecher.add(id(2), &sample);
    add.peers = vec![seeder.endpoint().await];
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    let size = 3 * PIECE as u64 + 107;
    let seen = leecher
        .wait(id(2), "it is complete", |seen| seen.pieces == PieceSet::All && seen.downloaded.0 > 0)
        .await;
    sample.check(&leecher.save_dir(), 0);
    sample.check(&leecher.save_dir(), 1);
    assert_eq!((seen.wanted_done.0, seen.selection_version, seen.error.as_deref()), (size, Some(1), None));
    leecher
        .wait(id(2), "the rate falls to zero", |seen| seen.download_rate.0 == 0 && seen.downloaded.0 >= size)
        .await;
    seeder.wait(id(1), "the seed has sent it", |seen| seen.uploaded.0 >= size).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_magnet_fetches_its_metainfo_and_then_only_the_selected_file() {
    let sample = Sample::new("picked", &[("a.bin", 4 * PIECE), ("b.bin", 4 * PIECE), ("c.bin", 4 * PIECE)]);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    seeder.seed(&sample).await;
    let mut add = leecher.add(id(2), &sample);
    add.source = AddSource::Magnet(sample.magnet());
    add.selection = None;
    add.peers = vec![seeder.endpoint().await];
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    let seen = leecher.wait(id(2), "metainfo is offered", |seen| seen.metainfo.is_some()).await;
    let offered = leecher.engine().inspect(Arc::clone(seen.metainfo.as_ref().unwrap())).await.unwrap();
    assert_eq!(offered.info_hashes.v1.unwrap().to_string(), sample.info_hash);
    assert_eq!(seen.selection_version, None);
    assert!(!leecher.save_dir().exists(), "nothing is written before the selection");

    let selection = AppliedSelection {
        version: 7,
        priorities: vec![FilePriority::Skip, FilePriority::High, FilePriority::Skip],
    };
    leecher.run(EngineCommand::Select { id: id(2), selection }).await.unwrap();
    assert_eq!(leecher.engine().observe(id(2)).unwrap().selection_version, Some(7));
    leecher.wait(id(2), "the file is there", |seen| seen.wanted_done.0 == 4 * PIECE as u64).await;
    leecher.wait(id(2), "it is finished", |seen| seen.state == EngineState::Finished).await;
    sample.check(&leecher.save_dir(), 1);
    assert!(!sample.path(&leecher.save_dir(), 0).exists() && !sample.path(&leecher.save_dir(), 2).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_cap_of_zero_receives_nothing_until_it_is_lifted() {
    let sample = Sample::new("capped", &[("a.bin", 4 * PIECE)]);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    seeder.seed(&sample).await;
    let mut add = leecher.add(id(2), &sample);
    add.peers = vec![seeder.endpoint().await];
    add.limits.download = Some(BytesPerSecond(0));
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    leecher.wait(id(2), "the peer is connected", |seen| seen.peers > 0).await;
    let limits = revaer_torrent_core::RateLimits::default();
    assert_eq!(leecher.engine().observe(id(2)).unwrap().downloaded.0, 0);
    leecher.run(EngineCommand::SetLimits { id: id(2), limits }).await.unwrap();
    leecher.wait(id(2), "it is complete", |seen| seen.pieces == PieceSet::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_cap_of_zero_sends_nothing_until_it_is_lifted() {
    let sample = Sample::new("withheld", &[("a.bin", 4 * PIECE)]);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    let seeding = seeder.seed(&sample).await;
    let mut limits = revaer_torrent_core::RateLimits { upload: Some(BytesPerSecond(0)), download: None };
    seeder.run(EngineCommand::SetLimits { id: seeding, limits }).await.unwrap();
    let mut add = leecher.add(id(2), &sample);
    add.peers = vec![seeder.endpoint().await];
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    leecher.wait(id(2), "the peer is connected", |seen| seen.peers > 0).await;
    // Another torrent of the same two goes through meanwhile.
    let other = Sample::new("given", &[("a.bin", 4 * PIECE)]);
    other.write(&seeder.save_dir());
    seeder.run(EngineCommand::Add(Box::new(seeder.add(id(3), &other)))).await.unwrap();
    let mut add = leecher.add(id(4), &other);
    add.peers = vec![seeder.endpoint().await];
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    leecher.wait(id(4), "the other is complete", |seen| seen.pieces == PieceSet::All).await;
    assert_eq!(leecher.engine().observe(id(2)).unwrap().downloaded.0, 0);
    assert_eq!(seeder.engine().observe(seeding).unwrap().uploaded.0, 0);
    limits.upload = None;
    seeder.run(EngineCommand::SetLimits { id: seeding, limits }).await.unwrap();
    leecher.wait(id(2), "it is complete", |seen| seen.pieces == PieceSet::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_torrent_of_the_same_hash_is_refused() {
    let sample = Sample::new("twice", &[("a.bin", 10)]);
    let client = Client::start().await;
    client.seed(&sample).await;
    let error = client.run(EngineCommand::Add(Box::new(client.add(id(2), &sample)))).await.unwrap_err();
    assert_eq!(error, EngineError::SameContent(id(2)));
    assert_eq!(client.engine().observe(id(2)).filter(|seen| seen.loaded), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_where_a_directory_is_needed_is_said_with_its_path() {
    let sample = Sample::new("blocked", &[("sub/a.bin", 4 * PIECE)]);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    seeder.seed(&sample).await;
    std::fs::create_dir_all(leecher.save_dir()).unwrap();
    std::fs::write(leecher.save_dir().join(sample.name), "in the way").unwrap();
    let mut add = leecher.add(id(2), &sample);
    add.peers = vec![seeder.endpoint().await];
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    let seen = leecher.wait(id(2), "the error is shown", |seen| seen.error.is_some()).await;
    assert!(seen.error.as_deref().unwrap().contains("blocked"), "{:?}", seen.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_for_what_is_not_loaded_say_so() {
    let client = Client::start().await;
    let sample = Sample::new("absent", &[("a.bin", 10)]);
    let selection = everything(1, &sample);
    let outcome = client.run(EngineCommand::Select { id: id(9), selection }).await;
    assert_eq!(outcome, Err(EngineError::NotLoaded(id(9))));
    assert_eq!(client.run(EngineCommand::SaveResume { id: id(9) }).await, Err(EngineError::NotLoaded(id(9))));
    assert_eq!(client.run(EngineCommand::Unload { id: id(9) }).await, Ok(()));
    assert_eq!(client.run(EngineCommand::Remove { id: id(9), save_dir: client.save_dir() }).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_cap_binds_peers_on_loopback_and_lifting_it_restores_speed() {
    let sample = Sample::new("slow", &[("a.bin", 512 * PIECE)]);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    seeder.seed(&sample).await;
    let mut profile = leecher.profile();
    profile.limits.download = Some(BytesPerSecond(1_000_000));
    leecher.run(EngineCommand::Configure(Box::new(profile))).await.unwrap();
    let mut add = leecher.add(id(2), &sample);
    add.peers = vec![seeder.endpoint().await];
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    let start = std::time::Instant::now();
    let seen = leecher.wait(id(2), "a part is there", |seen| seen.downloaded.0 > 3_000_000).await;
    let rate = u128::from(seen.downloaded.0) * 1000 / start.elapsed().as_millis();
    assert!(rate < 1_500_000, "{rate} B/s");
    leecher.run(EngineCommand::Configure(Box::new(leecher.profile()))).await.unwrap();
    leecher.wait(id(2), "it is complete", |seen| seen.pieces == PieceSet::All).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_port_is_listened_on_and_a_taken_one_degrades_the_engine() {
    let client = Client::start().await;
    let first = client.endpoint().await;
    let taken = std::net::TcpListener::bind((client.address, 0)).unwrap();
    let mut profile = client.profile();
    profile.listen_port = Some(taken.local_addr().unwrap().port());
    client.run(EngineCommand::Configure(Box::new(profile))).await.unwrap();
    let mut degraded = client.health.subscribe();
    degraded.wait_for(|components| components.contains(&"engine")).await.unwrap();
    assert_eq!(client.engine().status().listen_port, None);
    client.run(EngineCommand::Configure(Box::new(client.profile()))).await.unwrap();
    assert_eq!(client.endpoint().await, first);
    degraded.wait_for(Vec::is_empty).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_before_the_first_profile() {
    let telemetry = revaer_telemetry::Telemetry::new();
    let options = revaer_torrent_libt::EngineOptions { telemetry, tasks: revaer_telemetry::Tasks::new() };
    let engine = revaer_torrent_libt::LibtEngine::start(options).unwrap();
    assert_eq!(engine.execute(EngineCommand::Unload { id: id(1) }).await, Err(EngineError::NotRunning));
    assert!(!engine.status().running && engine.status().library_version.starts_with("2."));
    assert_eq!(engine.execute(EngineCommand::Shutdown).await, Ok(()));
    assert_eq!(engine.execute(EngineCommand::Unload { id: id(1) }).await, Err(EngineError::NotRunning));
}
