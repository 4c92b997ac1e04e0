//! `PostgreSQL` goes away under load and comes back: what needs it says so, the rest goes on, nothing is lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::future::{join, try_join_all};
use revaer_e2e::api::{Answer, Api};
use revaer_e2e::app::Options;
use revaer_e2e::db::{self, Cluster};
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::stage::{Seed, Server, is_degraded, unhurried_key};
use revaer_e2e::wait;
use serde_json::{Value, json};

/// How long the database is away.
const OUTAGE: Duration = Duration::from_secs(20);
/// Until whatever is due after the outage.
const LIMIT: Duration = Duration::from_secs(30);
const CLIENTS: usize = 10;
const SIZE: u64 = 256 * MIB;
/// Slow enough that the download outlasts the outage, and the test's own steps around it.
const RATE: u64 = 4 * MIB;
/// What must come during the outage at least, a quarter of what may.
const GROWTH: u64 = RATE * OUTAGE.as_secs() / 4;

/// What the clients saw. The test's runtime has one thread.
#[derive(Default)]
struct Load {
    ended: Cell<bool>,
    /// Whether the database is known to be away: a write that began now cannot succeed.
    away: Cell<bool>,
    /// Acknowledged changes: the value, which no other change has.
    changed: RefCell<BTreeSet<u64>>,
    /// Acknowledged torrents.
    added: RefCell<BTreeSet<String>>,
    unavailable: Cell<u64>,
    reads: Cell<u64>,
}

/// Judges an answer to something that needs the database.
fn judge(load: &Load, began_away: bool, due: u16, answer: Answer) -> Result<Option<Value>> {
    match answer.status {
        503 => {
            let problem = answer.expect_problem(503, "service-unavailable")?;
            let detail = problem["detail"].as_str().unwrap_or_default();
            if !detail.contains("database") {
                bail!("a 503 that does not name the database: {problem}");
            }
            load.unavailable.set(load.unavailable.get() + 1);
            Ok(None)
        }
        status if status == due && !(began_away && load.away.get()) => Ok(Some(answer.body)),
        status => bail!("{} answered {status} where {due} or 503 is due: {}", answer.request, answer.body),
    }
}

async fn client(api: Api, number: usize, load: &Load) -> Result<()> {
    let mut turn = 0;
    while !load.ended.get() {
        turn += 1;
        let value = 1_000 + turn * u64::try_from(CLIENTS)? + u64::try_from(number)?;
        let began_away = load.away.get();
        if number.is_multiple_of(2) {
            let change = json!({ "fs_policy": { "job_age_limit_seconds": value } });
            let answer = api.patch("/admin/settings", &change).await?;
            if judge(load, began_away, 200, answer)?.is_some() {
                load.changed.borrow_mut().insert(value);
            }
        } else {
            let magnet = format!("magnet:?xt=urn:btih:{value:040x}");
            let body = json!({ "magnet": magnet, "paused": true });
            let answer = api.post("/v1/torrents", &body).await?;
            if let Some(summary) = judge(load, began_away, 202, answer)? {
                let id = summary["id"].as_str().context("a summary without id")?;
                load.added.borrow_mut().insert(id.to_owned());
            }
        }
        // Reads are answered from memory, database or none.
        api.get("/v1/torrents?limit=1").await?.expect(200)?;
        load.reads.set(load.reads.get() + 1);
        wait::pass(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Runs ten clients beside `work`.
async fn under_load(server: &Server, load: &Load, work: impl Future<Output = Result<()>>) -> Result<()> {
    let clients = (0..CLIENTS).map(|number| Ok(client(server.api.fresh()?, number, load)));
    let clients = try_join_all(clients.collect::<Result<Vec<_>>>()?);
    let work = async {
        let result = work.await;
        load.ended.set(true);
        result
    };
    let (clients, work) = join(clients, work).await;
    work?;
    clients?;
    Ok(())
}

async fn downloading(server: &Server, id: &str) -> Result<()> {
    server.api.wait_torrent(id, "to download", LIMIT, |detail| received(detail) > MIB).await?;
    Ok(())
}

fn received(detail: &Value) -> u64 {
    detail["progress"]["bytes_downloaded"].as_u64().unwrap_or_default()
}

/// `/health` says 503 and names the database, and the full document does too.
async fn expect_degraded(server: &Server) -> Result<()> {
    wait::until("/health to name the database", LIMIT, || async {
        let answer = server.api.get("/health").await?;
        if answer.status == 200 {
            return Ok(None);
        }
        let problem = answer.expect(503)?;
        Ok((problem["degraded"].as_array().is_some_and(|all| all.contains(&json!("database")))).then_some(()))
    })
    .await?;
    server.wait_health("database to be degraded", LIMIT, |health| is_degraded(health, "database")).await?;
    Ok(())
}

/// Everything is well again, and everything that watches is alive: a change by hand is taken up, told, and applied.
async fn expect_recovered(server: &Server, by_hand: &str) -> Result<()> {
    let well = |health: &Value| {
        ["database", "config_watcher", "event_log"].iter().all(|name| !is_degraded(health, name))
    };
    server.wait_health("the database to be well again", LIMIT, well).await?;
    server.api.get("/health").await?.expect(200)?;
    wait_named(server, by_hand).await?;
    let mut events = server.api.events("", None).await?;
    server.app.sql("UPDATE settings_app_profile SET instance_name = 'and again'").await?;
    let revision = server.app.sql_value("SELECT revision FROM settings_revision").await?;
    let revision: i64 = revision.context("no revision")?.parse()?;
    events
        .wait_for("settings_changed", LIMIT, |frame| {
            frame.kind == "settings_changed" && frame.data["event"]["revision"].as_i64() >= Some(revision)
        })
        .await?;
    wait_named(server, "and again").await
}

async fn wait_named(server: &Server, name: &str) -> Result<()> {
    wait::until(format!("the name {name}, set by hand, to be in force"), LIMIT, || async {
        let settings = server.settings().await?;
        Ok((settings["app_profile"]["instance_name"] == name).then_some(()))
    })
    .await
}

/// Whatever was acknowledged is there, once, and nothing that was not is half there.
async fn expect_nothing_lost(server: &Server, load: &Load) -> Result<()> {
    let torrents = server.api.torrents().await?;
    let listed: BTreeSet<&str> = torrents.iter().filter_map(|torrent| torrent["id"].as_str()).collect();
    assert_eq!(listed.len(), torrents.len(), "a torrent is listed twice");
    for id in load.added.borrow().iter() {
        assert!(listed.contains(id.as_str()), "torrent {id} was acknowledged and is lost");
    }
    let stored = server
        .app
        .sql("SELECT new ->> 'job_age_limit_seconds' FROM settings_history WHERE section = 'fs_policy' AND op = 'update'")
        .await?;
    let stored: BTreeSet<u64> =
        stored.into_iter().flatten().flatten().map(|cell| Ok(cell.parse()?)).collect::<Result<_>>()?;
    for value in load.changed.borrow().iter() {
        assert!(stored.contains(value), "the change to {value} was acknowledged and is not in the history");
    }
    Ok(())
}

/// Finishes the download at full speed, compares it, and ends the server.
async fn expect_finished(server: &mut Server, seed: &Seed, id: &str) -> Result<()> {
    seed.peer.limit_upload(0).await?;
    server.expect_entry(id, seed, Duration::from_mins(2)).await?;
    assert_eq!(server.app.sigterm().await?, 0);
    Ok(())
}

/// Payload bytes that the peer has sent.
async fn sent(seed: &Seed) -> Result<u64> {
    Ok(seed.peer.torrent(&seed.torrent).await?.context("the peer lost the torrent")?.uploaded)
}

async fn seed() -> Result<Seed> {
    let seed =
        Seed::start(&Payload::single("outlasts.bin", SIZE), &Maker::new(Version::V1).piece_length(MIB))
            .await?;
    seed.peer.limit_upload(RATE).await?;
    Ok(seed)
}

/// How `PostgreSQL` is stopped.
#[derive(Clone, Copy)]
enum Stop {
    Fast,
    Immediate,
}

async fn twenty_seconds_without(stop: Stop) -> Result<()> {
    let mut cluster = Cluster::start().await?;
    let database = cluster.database().await?;
    let seed = seed().await?;
    let options = Options { database_url: Some(database.url().to_owned()), ..Options::default() };
    let mut server = Server::start_with(options, &unhurried_key()).await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    downloading(&server, &id).await?;

    let load = Load::default();
    under_load(&server, &load, async {
        wait::until("the load to run", LIMIT, || async {
            Ok((load.changed.borrow().len() > 10 && load.added.borrow().len() > 10).then_some(()))
        })
        .await?;
        let began = Instant::now();
        match stop {
            Stop::Fast => cluster.stop_fast().await?,
            Stop::Immediate => cluster.stop_immediate().await?,
        }
        load.away.set(true);
        let (before, reads) = (sent(&seed).await?, load.reads.get());
        expect_degraded(&server).await?;

        // Somebody changes a setting while the server cannot be told.
        cluster.start_hidden().await?;
        let mut psql = db::connect(&cluster.hidden_url(&database)?).await?;
        db::run(&mut psql, "UPDATE settings_app_profile SET instance_name = 'meanwhile'").await?;
        drop(psql);
        cluster.stop_fast().await?;

        wait::pass(OUTAGE.saturating_sub(began.elapsed())).await;
        expect_degraded(&server).await?;
        let grown = sent(&seed).await?.saturating_sub(before);
        assert!(grown > GROWTH, "the download stood still: {grown} bytes in {OUTAGE:?}");
        assert!(load.unavailable.get() > 0, "nobody was told that the database is away");
        assert!(load.reads.get() > reads, "no read was answered meanwhile");

        load.away.set(false);
        cluster.start_again().await?;
        expect_recovered(&server, "meanwhile").await?;
        let made = (load.changed.borrow().len(), load.added.borrow().len());
        wait::until("changes and torrents to be taken again", LIMIT, || async {
            let now = (load.changed.borrow().len(), load.added.borrow().len());
            Ok((now.0 > made.0 && now.1 > made.1).then_some(()))
        })
        .await
    })
    .await?;
    eprintln!("{} times unavailable, {} reads", load.unavailable.get(), load.reads.get());
    expect_nothing_lost(&server, &load).await?;
    expect_finished(&mut server, &seed, &id).await?;
    server.start_again().await?;
    expect_nothing_lost(&server, &load).await
}

#[tokio::test]
async fn a_database_that_is_stopped_for_20_s_is_missed_and_found_again() -> Result<()> {
    Box::pin(twenty_seconds_without(Stop::Fast)).await
}

#[tokio::test]
async fn a_database_that_crashes_for_20_s_is_missed_and_found_again() -> Result<()> {
    Box::pin(twenty_seconds_without(Stop::Immediate)).await
}

#[tokio::test]
async fn an_embedded_database_that_is_killed_is_started_again() -> Result<()> {
    let seed = seed().await?;
    let mut server = Server::start_with(Options::default(), &unhurried_key()).await?;
    let id = server.api.add_magnet(&seed.magnet()).await?;
    downloading(&server, &id).await?;

    let load = Load::default();
    under_load(&server, &load, async {
        for kill in 0..3 {
            let made = (load.changed.borrow().len(), load.added.borrow().len());
            wait::until("changes and torrents to be taken", LIMIT, || async {
                let now = (load.changed.borrow().len(), load.added.borrow().len());
                Ok((now.0 > made.0 + 10 && now.1 > made.1 + 10).then_some(()))
            })
            .await?;
            let before = received(&server.api.torrent(&id).await?);
            let began = Instant::now();
            server.app.kill_postgres()?;
            let name = format!("after kill {kill}");
            wait::until("the database to be there again", LIMIT, || async {
                let change = format!("UPDATE settings_app_profile SET instance_name = '{name}'");
                Ok(server.app.sql(&change).await.ok().map(|_| ()))
            })
            .await?;
            let there = began.elapsed();
            expect_recovered(&server, &name).await?;
            eprintln!(
                "{name}: the database was there after {there:?}, and all was well after {:?}",
                began.elapsed()
            );
            let (began, made) = (sent(&seed).await?, load.added.borrow().len());
            let gone_on = server
                .api
                .wait_torrent(&id, "to go on", LIMIT, |detail| received(detail) > before + RATE)
                .await;
            let (sent, made) = (sent(&seed).await?.saturating_sub(began), load.added.borrow().len() - made);
            gone_on.with_context(|| {
                format!(
                    "after kill {kill}; meanwhile {made} torrents were taken and the peer sent {sent} bytes"
                )
            })?;
        }
        Ok(())
    })
    .await?;
    server.app.expect_running()?;
    expect_nothing_lost(&server, &load).await?;
    expect_finished(&mut server, &seed, &id).await?;
    server.app.expect_no_orphans().await
}
