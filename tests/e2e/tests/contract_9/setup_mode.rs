//! Setup mode keeps to loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Result;
use revaer_e2e::{setup, wait};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::{LIMIT, Place, Running};

#[tokio::test]
async fn in_setup_mode_it_serves_on_loopback_only_keeps_the_port_logs_and_counts_and_moves_without_a_restart()
-> Result<()> {
    let place = Place::external().await?;
    let port = place.address.free_port()?;
    let data = place.data().display().to_string();
    let everywhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let elsewhere = SocketAddrV4::new(place.address.ip(), port);
    let flags = ["--data-dir", &data, "--log-format", "json", "--listen", &everywhere.to_string()];
    let mut server = Running::start(&place.command(&flags)).await?;
    let pid = server.process.id();
    assert_eq!((server.url.clone(), server.mode.as_str()), (format!("http://127.0.0.1:{port}"), "setup"));
    assert!(TcpStream::connect(elsewhere).await.is_err(), "it answers at {elsewhere}");
    let log = server.process.stderr()?;
    let noted: Vec<&str> = log.lines().filter(|line| line.contains("guardrail.violated")).collect();
    assert_eq!(noted.len(), 1, "{log}");
    assert!(noted[0].contains("\"loopback\"") && noted[0].contains(&everywhere.to_string()), "{}", noted[0]);
    let health = server.api()?.get("/health/full").await?.expect(200)?;
    assert_eq!(health["metrics"]["guardrail_violations_total"], 1, "{health}");

    let api = server.api()?;
    let token = setup::token(&api).await?;
    let header = [("x-revaer-setup-token", token.as_str())];
    let done = api.post_with("/admin/setup/complete", &place.settings()?, &header).await?.expect(200)?;
    assert_eq!(server.moved(2).await?, (format!("http://{everywhere}"), "active".to_owned()));
    let key = done["api_key"].as_str().unwrap_or_default();
    let moved = revaer_e2e::api::Api::new(&format!("http://{elsewhere}"))?.with_key(key);
    wait::until("an answer beyond 127.0.0.1", LIMIT, || async {
        Ok(moved.get("/v1/torrents").await.is_ok().then_some(()))
    })
    .await?;
    assert_eq!(moved.get("/v1/torrents").await?.expect(200)?["torrents"], json!([]));
    assert_eq!(fs::read_to_string(place.data().join("url"))?, format!("http://{everywhere}\n"));
    let said = place.run(&place.command(&["--data-dir", &data, "healthcheck"])).await?;
    assert_eq!(said.code, 0, "{said:?}");
    server.process.expect_running()?;
    assert_eq!(server.process.id(), pid);
    server.stop().await?;
    Ok(())
}
