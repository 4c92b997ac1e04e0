//! The end: the first signal drains, the second ends at once.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::{join_all, try_join};
use revaer_e2e::api::Api;
use revaer_e2e::metainfo::{Maker, Version};
use revaer_e2e::payload::{MIB, Payload};
use revaer_e2e::sse::EventStream;
use revaer_e2e::stage::Seed;
use revaer_e2e::{procfs, tree, wait};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{LIMIT, Place, Running};

/// Each is synced in the library, which on a disk takes longer than a drain.
const FILES: u32 = 2000;

/// A request whose body has come half.
struct HalfSent {
    stream: TcpStream,
    rest: String,
}

impl HalfSent {
    async fn begin(api: &Api, label: &str) -> Result<Self> {
        let address = address_of(api)?;
        let body = json!({ "label": label }).to_string();
        let (half, rest) = body.split_at(5);
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "POST /v1/auth/keys HTTP/1.1\r\nhost: {address}\r\nx-revaer-api-key: {}\r\ncontent-length: {}\r\n\
             content-type: application/json\r\nexpect: 100-continue\r\n\r\n",
            api.key().context("no key")?,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        // From here on it is being worked on.
        let mut told = Vec::new();
        while !told.ends_with(b"\r\n\r\n") {
            told.push(stream.read_u8().await?);
        }
        assert!(told.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&told));
        stream.write_all(half.as_bytes()).await?;
        Ok(Self { stream, rest: rest.to_owned() })
    }

    /// Sends the rest; answers all that comes until the server closes the connection.
    async fn finish(mut self) -> Result<String> {
        self.stream.write_all(self.rest.as_bytes()).await?;
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

fn address_of(api: &Api) -> Result<SocketAddr> {
    Ok(api.url().strip_prefix("http://").context("no address")?.parse()?)
}

/// A torrent of many files, whose copy takes its time.
fn many_files() -> Payload {
    (0..FILES)
        .fold(Payload::folder("many"), |payload, number| payload.file(&format!("{number:04}.bin"), 4_000))
}

fn downloaded(detail: &Value) -> u64 {
    detail["progress"]["bytes_downloaded"].as_u64().unwrap_or_default()
}

async fn read_to_end(mut stream: EventStream) -> Result<()> {
    while stream.next().await.context("the stream was torn")?.is_some() {}
    Ok(())
}

async fn drains_with_everything_in_flight(signal: Signal) -> Result<()> {
    let place = Place::embedded()?;
    let settings = json!({ "fs_policy": { "move_mode": "copy" } });
    let (mut server, api) = place.active(&place.server(), &settings).await?;
    let slow = Seed::start(&Payload::single("slow.bin", 64 * MIB), &Maker::new(Version::V1)).await?;
    slow.peer.limit_upload(MIB / 2).await?;
    let slow_id = api.add_magnet(&slow.magnet()).await?;
    let stream = api.events("", None).await?;
    let before = api.wait_torrent(&slow_id, "a part", LIMIT, |detail| downloaded(detail) > MIB).await?;
    let many = Seed::start(&many_files(), &Maker::new(Version::V1).piece_length(MIB)).await?;
    let many_id = api.add_magnet(&many.magnet()).await?;
    let data = place.data();
    let (entry, working) = (data.join("library/many"), data.join("library/.revaer.tmp"));
    wait::until("a job at its copy", LIMIT, || async {
        Ok((tree::size(&working) > 0 || entry.exists()).then_some(()))
    })
    .await?;

    let half = HalfSent::begin(&api, "finished while it drained").await?;

    let begin = Instant::now();
    server.process.signal(signal)?;
    server.wait_log("\"draining\"").await?;
    // No intake, while what was begun is finished.
    let address = address_of(&api)?;
    wait::until("nobody to listen", LIMIT, || async {
        Ok(TcpStream::connect(address).await.is_err().then_some(()))
    })
    .await?;
    let (answer, ()) = try_join(half.finish(), read_to_end(stream)).await?;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    assert_eq!(server.process.wait(LIMIT).await?, 0, "{}", server.process.stderr()?);
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    eprintln!("the drain took {took:?}");
    let log = server.process.stderr()?;
    assert!(!log.contains("in time") && !log.contains("could not be cut off"), "{log}");

    // The job has stopped at a checkpoint, the session with its resume data, and the database in order.
    if entry.exists() {
        eprintln!("the job was at its end before it was asked to stop");
        many.expect_equal(&entry)?;
    }
    assert!(
        data.join("resume/clean-stop").exists() && data.join(format!("resume/{slow_id}.fastresume")).exists()
    );
    assert!(!data.join("pg/postmaster.pid").exists() && !data.join("url").exists());
    procfs::expect_none(&data, Duration::ZERO).await?;

    let server = Running::start(&place.server()).await?;
    let api = api.at(&server.url);
    let keys = api.get("/v1/auth/keys").await?.expect(200)?;
    assert!(keys.to_string().contains("finished while it drained"), "{keys}");
    let after = api
        .wait_torrent(&slow_id, "to go on", LIMIT, |detail| {
            assert_ne!(detail["state"]["kind"], "checking", "{detail}");
            detail["state"]["kind"] == "downloading"
        })
        .await?;
    assert!(downloaded(&after) >= downloaded(&before), "{} of {}", after["progress"], before["progress"]);
    api.wait_library(&many_id, LIMIT).await?;
    many.expect_equal(&entry)?;
    let left = tree::names(&working)?;
    assert!(left.is_empty(), "{left:?}");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn sigterm_drains_requests_streams_downloads_and_jobs_and_exits_0_within_30_s() -> Result<()> {
    Box::pin(drains_with_everything_in_flight(Signal::TERM)).await
}

#[tokio::test]
async fn sigint_drains_requests_streams_downloads_and_jobs_and_exits_0_within_30_s() -> Result<()> {
    Box::pin(drains_with_everything_in_flight(Signal::INT)).await
}

/// Adds one torrent after the other until the server is gone; the ids of those that were accepted.
async fn add_for_ever(api: &Api, round: u32, client: u32, answered: &AtomicUsize) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0_u32.. {
        let magnet = format!("magnet:?xt=urn:btih:{round:08x}{client:08x}{number:024x}");
        let body = json!({ "magnet": magnet, "paused": true });
        let Ok(answer) = api.post("/v1/torrents", &body).await else { break };
        let Ok(summary) = answer.expect(202) else { break };
        ids.push(summary["id"].as_str().unwrap_or_default().to_owned());
        answered.fetch_add(1, Ordering::Relaxed);
    }
    ids
}

#[tokio::test]
async fn a_second_signal_exits_at_once_with_nothing_acknowledged_lost() -> Result<()> {
    let place = Place::embedded()?;
    let unhurried = revaer_e2e::stage::unhurried_key();
    let (mut server, mut api) = place.active(&place.server(), &unhurried).await?;
    let mut accepted = Vec::new();
    for (round, first, second) in [(0, Signal::TERM, Signal::INT), (1, Signal::INT, Signal::TERM)] {
        // It keeps the drain from ending by itself.
        let half = HalfSent::begin(&api, "never finished").await?;
        let answered = AtomicUsize::new(0);
        let adds = join_all((0..4).map(|client| add_for_ever(&api, round, client, &answered)));
        let end = async {
            wait::until("some answers", LIMIT, || async {
                Ok((answered.load(Ordering::Relaxed) > 30).then_some(()))
            })
            .await?;
            server.process.signal(first)?;
            server.wait_log("\"draining\"").await?;
            let begin = Instant::now();
            server.process.signal(second)?;
            let code = server.process.wait(LIMIT).await?;
            anyhow::Ok((code, begin.elapsed()))
        };
        let (ids, ended) = tokio::join!(adds, end);
        let (code, took) = ended?;
        assert_eq!(code, 130);
        assert!(took < Duration::from_secs(1), "{took:?}");
        drop(half);
        accepted.extend(ids.into_iter().flatten());
        // The database ends by itself.
        procfs::expect_none(&place.data(), LIMIT).await?;
        server = Running::start(&place.server()).await?;
        api = api.at(&server.url);
        let torrents = api.torrents().await?;
        for id in &accepted {
            assert!(
                torrents.iter().any(|torrent| torrent["id"] == id.as_str()),
                "{id} was accepted and is lost"
            );
        }
        let keys = api.get("/v1/auth/keys").await?.expect(200)?;
        assert!(!keys.to_string().contains("never finished"), "{keys}");
    }
    assert!(accepted.len() > 60 && fs::exists(place.data().join("pg"))?);
    server.stop().await?;
    Ok(())
}
