//! Coming and going: what survives an unload, a crash, a clean stop and a removal.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::{
    collections::HashSet,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use revaer_torrent_core::{
    BytesPerSecond, EngineState, FilePriority, PieceSet, RateLimits, TorrentId,
    engine::{AppliedSelection, EngineCommand, EngineError, Observation, TorrentEngine},
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use support::{Client, PIECE, Sample, id};

fn is_whole(seen: &Observation) -> bool {
    seen.loaded && seen.pieces == PieceSet::All
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unloaded_torrent_comes_back_without_a_recheck() {
    let sample = Sample::new("unloaded", &[("a.bin", 64 * PIECE)]);
    let client = Client::start().await;
    let seeding = client.seed(&sample).await;
    client.run(EngineCommand::Unload { id: seeding }).await.unwrap();
    assert!(!client.engine().observe(seeding).unwrap().loaded);
    assert!(client.resume_dir().join(format!("{seeding}.fastresume")).is_file());
    // Same length and time, other bytes: a recheck would see it, believing the blob does not.
    overwrite_keeping_times(&sample, &client);
    client.run(EngineCommand::Add(Box::new(client.add(seeding, &sample)))).await.unwrap();
    client.wait(seeding, "it is whole again", is_whole).await;
    client.run(EngineCommand::Unload { id: seeding }).await.unwrap();
    client.run(EngineCommand::Add(Box::new(client.add(seeding, &sample)))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_what_was_saved_is_believed() {
    let sample = Sample::new("crashed", &[("a.bin", 64 * PIECE)]);
    let mut client = Client::start().await;
    let seeding = client.seed(&sample).await;
    client.run(EngineCommand::SaveResume { id: seeding }).await.unwrap();
    client.kill();
    overwrite_keeping_times(&sample, &client);
    let again = Client::restart(Arc::clone(&client.dir), client.address).await;
    again.run(EngineCommand::Add(Box::new(again.add(seeding, &sample)))).await.unwrap();
    again.wait(seeding, "it is whole again", is_whole).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_saves_what_changed_and_leaves_its_mark() {
    let sample = Sample::new("stopped", &[("a.bin", 64 * PIECE)]);
    let mut client = Client::start().await;
    let seeding = client.seed(&sample).await;
    client.run(EngineCommand::Shutdown).await.unwrap();
    assert!(!client.engine().status().running);
    assert_eq!(client.run(EngineCommand::SaveResume { id: seeding }).await, Err(EngineError::NotRunning));
    assert!(client.resume_dir().join("clean-stop").is_file());
    assert!(client.resume_dir().join(format!("{seeding}.fastresume")).is_file());
    client.kill();
    overwrite_keeping_times(&sample, &client);
    let again = Client::restart(Arc::clone(&client.dir), client.address).await;
    again.run(EngineCommand::Add(Box::new(again.add(seeding, &sample)))).await.unwrap();
    again.wait(seeding, "it is whole again", is_whole).await;
    assert!(!again.resume_dir().join("clean-stop").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_does_not_answer_holds_up_neither_the_stop_nor_the_drop() {
    let sample = Sample::new("held-up", &[("a.bin", PIECE)]);
    let mut client = Client::start().await;
    let seeding = client.seed(&sample).await;
    // Opening a pipe waits for its other end, as a sync waits for a disk that is gone.
    let volume = client.save_dir();
    revaer_durable::rename(&volume, &client.dir.path().join("away")).unwrap();
    mknodat(CWD, &volume, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let both = async {
        tokio::join!(
            client.run(EngineCommand::SaveResume { id: seeding }),
            client.run(EngineCommand::Shutdown)
        )
    };
    let (saved, stopped) = tokio::time::timeout(Duration::from_secs(10), both).await.unwrap();
    assert_eq!(saved, Err(EngineError::NotRunning));
    let error = stopped.unwrap_err();
    assert!(matches!(&error, EngineError::Storage(reason) if reason.contains("in time")), "{error}");
    assert!(!client.engine().status().running);
    let start = Instant::now();
    client.kill();
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(fs::File::options().read(true).write(true).open(&volume).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_was_cut_goes_on_from_the_last_save() {
    let sample = Sample::new("cut", &[("a.bin", 256 * PIECE)]);
    let (seeder, mut leecher) = (Client::start().await, Client::start().await);
    seeder.seed(&sample).await;
    let mut add = leecher.add(id(2), &sample);
    add.peers = vec![seeder.endpoint().await];
    add.limits.download = Some(BytesPerSecond(400_000));
    leecher.run(EngineCommand::Add(Box::new(add.clone()))).await.unwrap();
    leecher.wait(id(2), "half of it is there", |seen| seen.wanted_done.0 > 64 * PIECE as u64).await;
    leecher.run(EngineCommand::SaveResume { id: id(2) }).await.unwrap();
    let saved = count(&leecher.engine().observe(id(2)).unwrap().pieces);
    leecher.kill();

    let again = Client::restart(Arc::clone(&leecher.dir), leecher.address).await;
    let mut offline = add.clone();
    offline.peers.clear();
    offline.limits.download = Some(BytesPerSecond(0));
    again.run(EngineCommand::Add(Box::new(offline))).await.unwrap();
    let seen = again.wait(id(2), "it is checked", |seen| seen.state == EngineState::Downloading).await;
    assert!(count(&seen.pieces) >= saved && saved > 0, "{} of {saved}", count(&seen.pieces));
    again.run(EngineCommand::Unload { id: id(2) }).await.unwrap();
    add.limits.download = None;
    again.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    again.wait(id(2), "it is whole", is_whole).await;
    sample.check(&again.save_dir(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_deletes_part_file_and_resume_data_and_leaves_the_content() {
    let sample = Sample::new("removed", &[("a.bin", PIECE + 10), ("b.bin", PIECE)]);
    let (seeder, leecher) = (Client::start().await, Client::start().await);
    seeder.seed(&sample).await;
    let mut add = leecher.add(id(2), &sample);
    add.peers = vec![seeder.endpoint().await];
    add.selection =
        Some(AppliedSelection { version: 1, priorities: vec![FilePriority::Normal, FilePriority::Skip] });
    leecher.run(EngineCommand::Add(Box::new(add.clone()))).await.unwrap();
    leecher.wait(id(2), "the file is there", |seen| seen.state == EngineState::Finished).await;
    leecher.run(EngineCommand::SaveResume { id: id(2) }).await.unwrap();
    let part_file = leecher.save_dir().join(format!(".{}.parts", sample.info_hash));
    assert!(part_file.is_file(), "the second file's share of a piece lies in the part file");

    // Once as a member, once as none.
    leecher.run(EngineCommand::Unload { id: id(2) }).await.unwrap();
    leecher.run(EngineCommand::Remove { id: id(2), save_dir: leecher.save_dir() }).await.unwrap();
    assert!(!part_file.exists() && leecher.engine().observe(id(2)).is_none());
    leecher.run(EngineCommand::Add(Box::new(add))).await.unwrap();
    leecher.wait(id(2), "it is finished again", |seen| seen.state == EngineState::Finished).await;
    leecher.run(EngineCommand::Remove { id: id(2), save_dir: leecher.save_dir() }).await.unwrap();
    assert!(!part_file.exists() && leecher.engine().observe(id(2)).is_none());
    sample.check(&leecher.save_dir(), 0);
    assert!(resume_files(&leecher).is_empty(), "{:?}", resume_files(&leecher));
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_data_that_does_not_parse_is_set_aside_and_the_content_checked() {
    let sample = Sample::new("corrupt", &[("a.bin", 8 * PIECE)]);
    let client = Client::start().await;
    let seeding = client.seed(&sample).await;
    client.run(EngineCommand::Unload { id: seeding }).await.unwrap();
    let other = id(99);
    let torn = Sample::new("torn", &[("a.bin", 8)]);
    for (torrent, sample) in [(seeding, &sample), (other, &torn)] {
        fs::write(client.resume_dir().join(format!("{torrent}.fastresume")), "not bencoded").unwrap();
        client.run(EngineCommand::Add(Box::new(client.add(torrent, sample)))).await.unwrap();
        assert_eq!(client.health.degraded(), ["resume_store"]);
    }
    assert_eq!(client.metrics.guardrail_violations(), 2, "each, although the store was degraded already");
    client.run(EngineCommand::Remove { id: other, save_dir: client.save_dir() }).await.unwrap();
    assert!(client.resume_dir().join(format!("{seeding}.fastresume.corrupt")).is_file());
    client.wait(seeding, "it is checked", is_whole).await;
    client.run(EngineCommand::SaveResume { id: seeding }).await.unwrap();
    assert!(client.health.degraded().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_data_that_nobody_knows_is_moved_and_not_deleted() {
    let sample = Sample::new("orphan", &[("a.bin", 8)]);
    let client = Client::start().await;
    let seeding = client.seed(&sample).await;
    client.run(EngineCommand::Unload { id: seeding }).await.unwrap();
    client.run(EngineCommand::SetAsideUnknown { known: HashSet::from([seeding]) }).await.unwrap();
    assert!(client.resume_dir().join(format!("{seeding}.fastresume")).is_file());
    fs::write(client.resume_dir().join("notes.txt"), "mine").unwrap();
    client.run(EngineCommand::SetAsideUnknown { known: HashSet::new() }).await.unwrap();
    assert!(client.resume_dir().join("orphaned").join(format!("{seeding}.fastresume")).is_file());
    assert!(client.resume_dir().join("notes.txt").is_file());
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_data_of_what_is_not_loaded_follows_a_changed_directory() {
    let sample = Sample::new("elsewhere", &[("a.bin", 64 * PIECE)]);
    let mut client = Client::start().await;
    let seeding = client.seed(&sample).await;
    client.run(EngineCommand::Unload { id: seeding }).await.unwrap();
    let mut profile = client.profile();
    profile.resume_dir = client.dir.path().join("elsewhere");
    client.run(EngineCommand::Configure(Box::new(profile.clone()))).await.unwrap();
    overwrite_keeping_times(&sample, &client);
    client.run(EngineCommand::Add(Box::new(client.add(seeding, &sample)))).await.unwrap();
    client.wait(seeding, "it is whole again", is_whole).await;
    assert!(resume_files(&client).is_empty());
    assert!(profile.resume_dir.join(format!("{seeding}.fastresume")).is_file());
    client.run(EngineCommand::SaveResume { id: seeding }).await.unwrap();
    assert!(resume_files(&client).is_empty());
    client.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwritable_resume_directory_degrades_and_recovers() {
    let sample = Sample::new("full", &[("a.bin", 8)]);
    let client = Client::start().await;
    let seeding = client.seed(&sample).await;
    for name in resume_files(&client) {
        fs::remove_file(client.resume_dir().join(name)).unwrap();
    }
    fs::remove_dir(client.resume_dir()).unwrap();
    fs::write(client.resume_dir(), "in the way").unwrap();
    for _ in 0..2 {
        let error = client.run(EngineCommand::SaveResume { id: seeding }).await.unwrap_err();
        assert!(matches!(&error, EngineError::Storage(reason) if reason.contains("resume")), "{error}");
        assert_eq!(client.health.degraded(), ["resume_store"]);
        assert_eq!(client.metrics.guardrail_violations(), 1, "until a save succeeds");
    }
    fs::remove_file(client.resume_dir()).unwrap();
    client.run(EngineCommand::SaveResume { id: seeding }).await.unwrap();
    assert!(client.health.degraded().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_torrents_enter_and_leave_in_one_go() {
    let client = Client::start().await;
    let samples: Vec<_> = (0..500usize)
        .map(|number| {
            let name: &'static str = Box::leak(format!("many-{number}").into_boxed_str());
            Sample::new(name, &[("a.bin", 100)])
        })
        .collect();
    let ids: Vec<TorrentId> = (0..500).map(|number| id(1000 + number)).collect();
    let mut adds = tokio::task::JoinSet::new();
    for (sample, id) in samples.iter().zip(&ids) {
        sample.write(&client.save_dir());
        let (engine, add) = (Arc::clone(client.engine()), client.add(*id, sample));
        adds.spawn(async move { engine.execute(EngineCommand::Add(Box::new(add))).await });
    }
    assert!(adds.join_all().await.into_iter().all(|outcome| outcome == Ok(())));
    for id in &ids {
        client.wait(*id, "it seeds", is_whole).await;
    }
    let mut unloads = tokio::task::JoinSet::new();
    for id in ids {
        let engine = Arc::clone(client.engine());
        unloads.spawn(async move { engine.execute(EngineCommand::Unload { id }).await });
    }
    assert!(unloads.join_all().await.into_iter().all(|outcome| outcome == Ok(())));
    assert_eq!(resume_files(&client).len(), 1000);
}

fn overwrite_keeping_times(sample: &Sample, client: &Client) {
    let path = sample.path(&client.save_dir(), 0);
    let metadata = fs::metadata(&path).unwrap();
    fs::write(&path, vec![0; usize::try_from(metadata.len()).unwrap()]).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(metadata.modified().unwrap()).unwrap();
}

fn resume_files(client: &Client) -> Vec<String> {
    fs::read_dir(client.resume_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

fn count(pieces: &PieceSet) -> u32 {
    match pieces {
        PieceSet::None => 0,
        PieceSet::All => u32::MAX,
        PieceSet::Some(bits) => bits.iter().map(|byte| byte.count_ones()).sum(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caps_in_force_are_read_back_from_the_library() {
    let client = Client::start().await;
    let cap = |bps| Some(BytesPerSecond(bps));
    for (download, upload) in [(cap(4 << 20), None), (cap(0), cap(1000)), (None, cap(0)), (None, None)] {
        let mut profile = client.profile();
        profile.limits = RateLimits { download, upload };
        client.run(EngineCommand::Configure(Box::new(profile.clone()))).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while client.engine().status().caps() != profile.limits {
            assert!(Instant::now() < deadline, "{:?}", client.engine().status());
            tokio::task::yield_now().await;
        }
    }
}
