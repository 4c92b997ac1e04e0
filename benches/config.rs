//! From a change of a global cap to the engine that works by it: idle, and busy with a download; beside qBittorrent.
//!
//! "In force" is what the engine says when it is asked again and again: `/health/full` here, `transfer/info` there.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use revaer_bench::figures::{Figures, milliseconds};
use revaer_bench::table;
use revaer_e2e::app::Options;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::peer::Peer;
use revaer_e2e::stage::{Seed, Server, unhurried_key};
use revaer_e2e::wait;
use serde_json::{Value, json};

const CHANGES: u64 = 200;
/// Above whatever a loopback download reaches here, and each change differs.
const CAP: u64 = 500 << 20;
const STEP: u64 = 64 << 10;
/// Large enough that starting it again takes little of the time.
const SIZE: u64 = 3072 * MIB;
const LIMIT: Duration = Duration::from_mins(1);
/// What has to be there before a download counts as running at full speed: a transfer begins slowly.
const RUN_UP: u64 = SIZE / 16;
/// Between the end of a change and the next, so that they are spread over a download.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two looks at the engine.
const LOOK: Duration = Duration::from_millis(1);

/// The times of each change.
#[derive(Default)]
struct Times {
    answered: Vec<Duration>,
    in_force: Vec<Duration>,
    /// Bytes per second that came in while it was measured.
    rate: Option<u64>,
}

fn cap(change: u64) -> u64 {
    CAP + change * STEP
}

/// Looks until the cap is in force; how long that took from `began`.
async fn until_in_force<F>(began: Instant, cap: u64, look: impl Fn() -> F) -> Result<Duration>
where
    F: Future<Output = Result<Option<u64>>>,
{
    loop {
        if look().await? == Some(cap) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > LIMIT {
            bail!("the cap {cap} is not in force after {} s", LIMIT.as_secs());
        }
        wait::pass(LOOK).await;
    }
}

async fn change_revaer(server: &Server, change: u64, times: &mut Times) -> Result<()> {
    let cap = cap(change);
    let body = json!({ "engine_profile": { "max_download_bps": cap } });
    let began = Instant::now();
    server.api.patch("/admin/settings", &body).await?.expect(200)?;
    times.answered.push(began.elapsed());
    let in_force = until_in_force(began, cap, || async {
        let health = server.health().await?;
        health.get("engine").context("/health/full says nothing of the engine")?;
        Ok(health["engine"]["download_cap_bps"].as_u64())
    });
    times.in_force.push(in_force.await?);
    Ok(())
}

async fn change_peer(peer: &Peer, change: u64, times: &mut Times) -> Result<()> {
    let cap = cap(change);
    let began = Instant::now();
    peer.limit_download(cap).await?;
    times.answered.push(began.elapsed());
    let in_force =
        until_in_force(began, cap, || async { Ok(peer.transfer_info().await?["dl_rate_limit"].as_u64()) });
    times.in_force.push(in_force.await?);
    Ok(())
}

/// Has Revaer download the seed's payload, from the beginning where it is done.
async fn keep_revaer_busy(server: &Server, seed: &Seed, id: &mut Option<String>) -> Result<u64> {
    if let Some(known) = id {
        let detail = server.api.torrent(known).await?;
        if detail["state"]["kind"] == "downloading" {
            return Ok(detail["rates"]["download_bps"].as_u64().unwrap_or_default());
        }
        server.api.wait_library(known, LIMIT).await?;
        server.api.delete(&format!("/v1/torrents/{known}?delete_data=true")).await?.expect(204)?;
        // The library has a link of its own to the same bytes.
        std::fs::remove_file(server.entry(&seed.torrent)).context("cannot make room")?;
        let folder = server.app.downloads().join(&seed.torrent.name);
        wait::until("the content to be gone", LIMIT, || async { Ok((!folder.exists()).then_some(())) })
            .await?;
    }
    let added = server.api.add_magnet(&seed.magnet()).await?;
    let busy = |detail: &Value| detail["progress"]["bytes_downloaded"].as_u64() > Some(RUN_UP);
    server.api.wait_torrent(&added, "to download at full speed", LIMIT, busy).await?;
    *id = Some(added);
    Ok(0)
}

async fn keep_peer_busy(peer: &Peer, seed: &Seed, started: &mut bool) -> Result<u64> {
    if *started {
        let now = peer.torrent(&seed.torrent).await?.context("qBittorrent lost the torrent")?;
        if now.progress < 0.99 {
            return Ok(peer.transfer_info().await?["dl_info_speed"].as_u64().unwrap_or_default());
        }
        peer.remove(&seed.torrent).await?;
    }
    peer.leech(&seed.torrent, &[seed.peer.listen()]).await?;
    wait::until("qBittorrent to download at full speed", LIMIT, || async {
        let now = peer.torrent(&seed.torrent).await?;
        Ok(now.filter(|now| now.downloaded > RUN_UP).map(|_| ()))
    })
    .await?;
    *started = true;
    Ok(0)
}

async fn revaer(server: &Server, seed: Option<&Seed>) -> Result<Times> {
    let (mut times, mut rates, mut id) = (Times::default(), Vec::new(), None);
    // A different base from run to run: a cap that is in force already would be found at once.
    let base = if seed.is_some() { CHANGES + 1 } else { 1 };
    for change in 0..CHANGES {
        if let Some(seed) = seed {
            rates.push(keep_revaer_busy(server, seed, &mut id).await?);
        }
        change_revaer(server, base + change, &mut times).await?;
        wait::pass(PAUSE).await;
    }
    times.rate = seed.is_some().then(|| mean(&rates));
    Ok(times)
}

async fn qbittorrent(peer: &Peer, seed: Option<&Seed>) -> Result<Times> {
    let (mut times, mut rates, mut started) = (Times::default(), Vec::new(), false);
    let base = if seed.is_some() { CHANGES + 1 } else { 1 };
    for change in 0..CHANGES {
        if let Some(seed) = seed {
            rates.push(keep_peer_busy(peer, seed, &mut started).await?);
        }
        change_peer(peer, base + change, &mut times).await?;
        wait::pass(PAUSE).await;
    }
    times.rate = seed.is_some().then(|| mean(&rates));
    Ok(times)
}

/// Of those that were measured while it ran.
fn mean(rates: &[u64]) -> u64 {
    let measured: Vec<u64> = rates.iter().copied().filter(|rate| *rate > 0).collect();
    measured.iter().sum::<u64>() / u64::try_from(measured.len().max(1)).unwrap_or(u64::MAX)
}

fn rows(who: &str, times: Times) -> Vec<Vec<String>> {
    let state = times.rate.map_or_else(|| "idle".to_owned(), |rate| format!("at {} MiB/s", rate / MIB));
    let row = |what: &str, latencies: Vec<Duration>| {
        let figures: Figures = latencies.into_iter().collect();
        let mut row = vec![format!("{who}, {state}: {what}")];
        row.extend([500, 990].map(|share| milliseconds(figures.per_mille(share))));
        row.push(milliseconds(figures.max()));
        row
    };
    vec![row("answered", times.answered), row("in force", times.in_force)]
}

/// All four; servers and peers have ended, and said their last words, when the rows are there.
async fn measure() -> Result<Vec<Vec<String>>> {
    let payload = Payload::single("busy.bin", SIZE);
    let seed = Seed::start(&payload, &Maker::new(Version::V1).piece_length(4 * MIB)).await?;
    seed.peer.tcp_only().await?;
    let mut server = Server::start_with(Options::default(), &unhurried_key()).await?;
    let mut table = rows("Revaer", revaer(&server, None).await?);
    table.extend(rows("Revaer", revaer(&server, Some(&seed)).await?));
    server.app.sigterm().await?;

    let peer = Peer::start().await?;
    peer.tcp_only().await?;
    table.extend(rows("qBittorrent", qbittorrent(&peer, None).await?));
    table.extend(rows("qBittorrent", qbittorrent(&peer, Some(&seed)).await?));
    Ok(table)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let rows = measure().await?;
    table::print(
        &format!("A global download cap, {CHANGES} changes each"),
        &["latency in ms, from when the change was sent", "p50", "p99", "max"],
        &rows,
    );
    Ok(())
}
