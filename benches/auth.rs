//! What a request costs that has to show a key: alone, and beside a thousand bad ones per second.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use revaer_bench::cpu::Meter;
use revaer_bench::figures::milliseconds;
use revaer_bench::load::{Load, Outcome};
use revaer_bench::table;
use revaer_e2e::app::Options;
use revaer_e2e::stage::Server;
use serde_json::json;

const RATE: u32 = 1000;
const CONNECTIONS: u32 = 16;
const TIME: Duration = Duration::from_secs(20);
/// Something to list.
const TORRENTS: u32 = 50;

/// Who comes besides the valid caller.
#[derive(Clone, Copy)]
enum Beside {
    Nobody,
    WrongSecrets,
    UnknownIds,
}

fn load(server: SocketAddr, key: &str, make: fn(&str, u64) -> String) -> Load {
    Load {
        server,
        path: "/v1/torrents?limit=1".to_owned(),
        header: ("x-revaer-api-key", make),
        seed: key.to_owned(),
        rate: RATE,
        connections: CONNECTIONS,
        time: TIME,
    }
}

fn bad_caller(server: SocketAddr, beside: Beside) -> Option<Load> {
    match beside {
        Beside::Nobody => None,
        Beside::WrongSecrets => Some(load(server, "admin", |id, number| format!("{id}:{number:0>43}"))),
        Beside::UnknownIds => {
            Some(load(server, "nobody", |id, number| format!("{id}-{number}:{number:0>43}")))
        }
    }
}

fn phase(pid: u32, valid: &Load, beside: Beside) -> Result<(Outcome, Option<Outcome>, f64)> {
    let meter = Meter::start(pid)?;
    let bad = bad_caller(valid.server, beside).map(|load| thread::spawn(move || load.run()));
    let outcome = valid.run()?;
    let cores = meter.cores()?;
    let bad = bad.map(|bad| bad.join().map_err(|_| anyhow!("a load panicked"))?).transpose()?;
    Ok((outcome, bad, cores))
}

fn row(what: &str, outcome: &Outcome, cores: Option<f64>) -> Vec<String> {
    let per_mille = [500, 990, 999].map(|share| milliseconds(outcome.latencies.per_mille(share)));
    let mut row = vec![what.to_owned()];
    row.extend(per_mille);
    row.push(milliseconds(outcome.latencies.max()));
    row.push(cores.map_or_else(String::new, |cores| format!("{:.0} %", cores * 100.0)));
    row.push(outcome.statuses());
    row
}

/// Every phase on one server; it has ended, and said its last words, when the rows are there.
async fn measure() -> Result<Vec<Vec<String>>> {
    let limit = json!({ "burst": 2000, "per_seconds": 1 });
    let key = json!({ "op": "upsert", "key_id": "admin", "label": "bench", "rate_limit": limit });
    let settings = json!({ "api_keys": [key] });
    let mut server = Server::start_with(Options::default(), &settings).await?;
    for number in 1..=TORRENTS {
        let magnet = format!("magnet:?xt=urn:btih:{number:040x}");
        server.api.post("/v1/torrents", &json!({ "magnet": magnet, "paused": true })).await?.expect(202)?;
    }
    let address: SocketAddr = server.app.url().trim_start_matches("http://").parse()?;
    let key = server.api.key().context("no key")?.to_owned();
    let pid = server.app.process_id().context("the server does not run")?;

    let mut rows = Vec::new();
    for (what, bad_name, beside) in [
        ("valid key, alone", "", Beside::Nobody),
        ("valid key, beside wrong secrets", "  the wrong secrets", Beside::WrongSecrets),
        ("valid key, beside unknown ids", "  the unknown ids", Beside::UnknownIds),
    ] {
        let valid = load(address, &key, |key, _| key.to_owned());
        let (outcome, bad, cores) = phase(pid, &valid, beside)?;
        rows.push(row(what, &outcome, Some(cores)));
        rows.extend(bad.map(|bad| row(bad_name, &bad, None)));
    }
    server.app.sigterm().await?;
    Ok(rows)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let rows = measure().await?;
    table::print(
        &format!(
            "GET /v1/torrents?limit=1, {RATE} per second of each kind over {CONNECTIONS} connections each, {} s",
            TIME.as_secs()
        ),
        &["latency in ms, from when the request was due", "p50", "p99", "p99.9", "max", "CPU", "answers"],
        &rows,
    );
    Ok(())
}
