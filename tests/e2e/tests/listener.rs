//! Where the server listens follows the settings, without a restart.

use std::{net::SocketAddrV4, time::Duration};

use anyhow::{Context, Result, ensure};
use revaer_e2e::address::Address;
use revaer_e2e::api::Api;
use revaer_e2e::app::{App, Options};
use revaer_e2e::stage::Server;
use revaer_e2e::{setup, wait};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LIMIT: Duration = Duration::from_secs(30);

/// A server that listens where its settings say, and that address.
async fn configured() -> Result<(Server, SocketAddrV4)> {
    let mut server = Server::start().await?;
    let address = server.app.free_endpoint()?;
    let change = to(address);
    server.api.patch("/admin/settings", &change).await?.expect(200)?;
    server.app.sigterm().await?;
    server.app.listen_as_configured();
    server.start_again().await?;
    ensure!(server.app.url() == format!("http://{address}"), "it listens on {}", server.app.url());
    Ok((server, address))
}

fn to(address: SocketAddrV4) -> Value {
    json!({ "app_profile": { "bind_addr": address.ip().to_string(), "http_port": address.port() } })
}

fn reason(health: &Value) -> String {
    health["components"]["config_watcher"]["reason"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the server says this of its settings; none: that all is well.
async fn wait_reason(api: &Api, part: Option<&str>) -> Result<()> {
    wait::until(format!("config_watcher to say {part:?}"), LIMIT, || async {
        let said = reason(&api.get("/health/full").await?.expect(200)?);
        Ok(part.map_or(said.is_empty(), |part| said.contains(part)).then_some(()))
    })
    .await
}

/// Waits until nobody listens at an address.
async fn wait_nobody(address: SocketAddrV4) -> Result<()> {
    wait::until(format!("nobody at {address}"), LIMIT, || async {
        Ok(TcpListener::bind(address).await.is_ok().then_some(()))
    })
    .await
}

/// Waits until the server answers at an address; answers a client with the key there.
async fn wait_at(server: &Server, address: SocketAddrV4) -> Result<Api> {
    let key = server.api.key().context("no key")?;
    let api = Api::new(&format!("http://{address}"))?.with_key(key);
    wait::until(format!("an answer at {address}"), LIMIT, || async {
        Ok(api.get("/health").await.is_ok().then_some(()))
    })
    .await?;
    Ok(api)
}

#[tokio::test]
async fn the_listener_moves_and_what_runs_on_the_address_that_is_left_finishes() -> Result<()> {
    let (server, before) = configured().await?;
    let after = server.app.free_endpoint()?;
    let body = json!({ "label": "half sent" }).to_string();
    let (half, rest) = body.split_at(5);
    let mut running = TcpStream::connect(before).await?;
    let head = format!(
        "POST /v1/auth/keys HTTP/1.1\r\nhost: {before}\r\nx-revaer-api-key: {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{half}",
        server.api.key().context("no key")?,
        body.len()
    );
    running.write_all(head.as_bytes()).await?;

    server.api.patch("/admin/settings", &to(after)).await?.expect(200)?;
    let api = wait_at(&server, after).await?;
    wait_nobody(before).await?;
    let url = std::fs::read_to_string(server.app.data_dir().join("url"))?;
    assert_eq!(url.trim(), format!("http://{after}"));

    running.write_all(rest.as_bytes()).await?;
    let mut answer = String::new();
    running.read_to_string(&mut answer).await?;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let keys = api.get("/v1/auth/keys").await?.expect(200)?;
    assert!(keys.to_string().contains("half sent"), "{keys}");
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_is_refused_before_it_is_stored() -> Result<()> {
    let (server, _) = configured().await?;
    let taken = server.app.free_endpoint()?;
    let _other = TcpListener::bind(taken).await?;
    let before = server.settings().await?["revision"].clone();
    let problem =
        server.api.patch("/admin/settings", &to(taken)).await?.expect_problem(422, "config-invalid")?;
    assert_eq!(problem["invalid_params"][0]["pointer"], "/app_profile/http_port", "{problem}");
    assert_eq!(server.settings().await?["revision"], before);
    Ok(())
}

#[tokio::test]
async fn an_address_that_sql_made_unusable_is_said_and_taken_once_it_is_free() -> Result<()> {
    let (server, _) = configured().await?;
    let taken = server.app.free_endpoint()?;
    let other = TcpListener::bind(taken).await?;
    let change = format!("UPDATE settings_app_profile SET http_port = {}", taken.port());
    server.app.sql(&change).await?;
    let health = server
        .wait_health("to say that it cannot listen there", LIMIT, |health| {
            health["components"]["config_watcher"]["status"] == "degraded"
        })
        .await?;
    assert!(reason(&health).contains(&taken.to_string()), "{health}");
    drop(other);
    let api = wait_at(&server, taken).await?;
    let health = api.get("/health/full").await?.expect(200)?;
    assert_eq!(health["revision"], server_revision(&api).await?);
    Ok(())
}

async fn server_revision(api: &Api) -> Result<Value> {
    Ok(api.get("/admin/settings").await?.expect(200)?["revision"].clone())
}

#[tokio::test]
async fn in_setup_mode_it_keeps_to_loopback_and_moves_when_setup_completes() -> Result<()> {
    let mut app = App::start().await?;
    let address = app.free_endpoint()?;
    let everywhere =
        format!("UPDATE settings_app_profile SET bind_addr = '0.0.0.0', http_port = {}", address.port());
    app.sql(&everywhere).await?;
    app.sigterm().await?;
    app.listen_as_configured();
    app.start_again().await?;
    assert_eq!(app.url(), format!("http://127.0.0.1:{}", address.port()), "the port is kept");
    let api = app.api()?;
    let health = api.get("/health/full").await?.expect(200)?;
    assert_eq!(health["metrics"]["guardrail_violations_total"], 1, "{health}");
    let token = setup::token(&api).await?;
    let mut body = setup::changeset(&app);
    setup::merge(&mut body, &json!({ "app_profile": { "bind_addr": address.ip().to_string() } }));
    let done = api
        .post_with("/admin/setup/complete", &body, &[("x-revaer-setup-token", &token)])
        .await?
        .expect(200)?;
    let key = done["api_key"].as_str().context("no key")?;
    let moved = Api::new(&format!("http://{address}"))?.with_key(key);
    wait::until("an answer at the configured address", LIMIT, || async {
        Ok(moved.get("/v1/torrents").await.is_ok().then_some(()))
    })
    .await?;
    moved.get("/v1/torrents").await?.expect(200)?;
    Ok(())
}

#[tokio::test]
async fn a_patch_of_the_address_says_that_the_flag_is_in_force() -> Result<()> {
    let server = Server::start().await?;
    let address = server.app.free_endpoint()?;
    let answer = server.api.patch("/admin/settings", &to(address)).await?.expect(200)?;
    let notices = answer["notices"].as_array().context("no notices")?;
    let pointers: Vec<_> = notices.iter().map(|notice| notice["pointer"].clone()).collect();
    assert_eq!(pointers, ["/app_profile/bind_addr", "/app_profile/http_port"]);
    assert!(notices[0]["message"].as_str().is_some_and(|text| text.contains("--listen")), "{answer}");
    server.api.get("/health").await?.expect(200)?;
    let overrides = server.health().await?["overrides"].clone();
    assert!(overrides.to_string().contains("/app_profile/http_port"), "{overrides}");
    Ok(())
}

#[tokio::test]
async fn a_url_file_that_cannot_be_written_is_said_and_the_server_moves_all_the_same() -> Result<()> {
    let (server, before) = configured().await?;
    let after = server.app.free_endpoint()?;
    let file = server.app.data_dir().join("url");
    std::fs::remove_file(&file)?;
    std::fs::create_dir(&file)?;
    server.api.patch("/admin/settings", &to(after)).await?.expect(200)?;
    let api = wait_at(&server, after).await?;
    wait_nobody(before).await?;
    wait_reason(&api, Some("the file url")).await?;
    std::fs::remove_dir(&file)?;
    wait_reason(&api, None).await?;
    assert_eq!(std::fs::read_to_string(&file)?.trim(), format!("http://{after}"));
    Ok(())
}

#[tokio::test]
async fn a_move_that_has_to_close_the_socket_first_and_fails_cuts_nobody_off() -> Result<()> {
    let (mut server, address) = configured().await?;
    // The same port on another address of this host: all addresses cannot be listened on beside it.
    let neighbor = Address::claim()?;
    let _other = TcpListener::bind((neighbor.ip(), address.port())).await?;
    let mut events = server.api.events("", None).await?;
    let everywhere = json!({ "app_profile": { "bind_addr": "0.0.0.0" } });
    server.api.patch("/admin/settings", &everywhere).await?.expect(200)?;
    wait_reason(&server.api, Some("cannot listen on 0.0.0.0")).await?;
    server.app.expect_running()?;
    server.api.fresh()?.get("/health").await?.expect(200)?;
    server.api.patch("/admin/settings", &to(address)).await?.expect(200)?;
    wait_reason(&server.api, None).await?;
    let revision = server_revision(&server.api).await?;
    events
        .wait_for("the last change on the stream from before", LIMIT, |frame| {
            frame.kind == "settings_changed" && frame.data["event"]["revision"] == revision
        })
        .await?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_not_there_at_the_start_is_replaced_by_loopback_until_it_is_mended() -> Result<()>
{
    let (mut server, address) = configured().await?;
    // Of the range for documentation: no host has it.
    server.app.sql("UPDATE settings_app_profile SET bind_addr = '203.0.113.7'").await?;
    server.app.sigterm().await?;
    server.start_again().await?;
    let url = server.app.url().to_owned();
    ensure!(url.starts_with("http://127.0.0.1:"), "it listens on {url}");
    assert_eq!(std::fs::read_to_string(server.app.data_dir().join("url"))?.trim(), url);
    wait_reason(&server.api, Some("cannot listen on 203.0.113.7")).await?;
    server.api.patch("/admin/settings", &to(address)).await?.expect(200)?;
    let api = wait_at(&server, address).await?;
    wait_reason(&api, None).await
}

#[tokio::test]
async fn an_address_of_the_command_line_that_is_taken_ends_the_start_with_3() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0").await?;
    let listen = taken.local_addr()?.to_string();
    let mut app = App::prepare(Options { listen: Some(listen.clone()), ..Options::default() })?;
    let (code, message) = app.start_refused().await?;
    assert_eq!(code, 3, "{message}");
    assert!(message.contains(&listen), "{message}");
    Ok(())
}

#[tokio::test]
async fn two_changes_to_the_same_address_at_once_are_both_made() -> Result<()> {
    let (server, before) = configured().await?;
    let (after, other) = (server.app.free_endpoint()?, server.api.fresh()?);
    let change = to(after);
    let (one, another) =
        tokio::join!(server.api.patch("/admin/settings", &change), other.patch("/admin/settings", &change));
    one?.expect(200)?;
    another?.expect(200)?;
    wait_at(&server, after).await?;
    wait_nobody(before).await
}

#[tokio::test]
async fn an_address_that_is_left_before_anybody_moved_there_is_given_back() -> Result<()> {
    let (server, address) = configured().await?;
    let mut database = server.app.database().await?;
    let after = server.app.free_endpoint()?;
    server.api.patch("/admin/settings", &to(after)).await?.expect(200)?;
    let back = format!("UPDATE settings_app_profile SET http_port = {}", address.port());
    sqlx::raw_sql(sqlx::AssertSqlSafe(back)).execute(&mut database).await?;
    wait_nobody(after).await?;
    let api = wait_at(&server, address).await?;
    wait_reason(&api, None).await
}
