//! The command line: `--data-dir`, `--listen`, `--log-format`, `--version`, `healthcheck`.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use futures_util::future::try_join;
use revaer_e2e::process::Spec;
use rustix::process::geteuid;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Place, Running, as_user, folder_of};

#[tokio::test]
async fn data_dir_wins_over_revaer_data_dir_which_names_the_data_directory_too() -> Result<()> {
    let place = Place::external().await?;
    let (flag, variable) = (place.path("flag"), place.path("variable"));
    let text = flag.display().to_string();
    let in_environment = |spec: Spec| spec.env("REVAER_DATA_DIR", variable.display().to_string());
    let listen = ["--listen", "127.0.0.1:0"];
    let with_both = in_environment(place.command(&listen)).args(["--data-dir", &text]);
    let server = Running::start(&with_both).await?;
    assert!(flag.join("url").exists() && !variable.exists());
    server.stop().await?;
    let server = Running::start(&in_environment(place.command(&listen))).await?;
    assert!(variable.join("url").exists());
    // The commands of the host take it from the same two.
    let said = place.run(&in_environment(place.command(&["healthcheck"]))).await?;
    assert_eq!(said.code, 0, "{said:?}");
    let said = place.run(&in_environment(place.command(&["healthcheck", "--data-dir", &text]))).await?;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains(&text), "{said:?}");
    server.stop().await?;
    Ok(())
}

/// The data directory that a user's program uses by itself, as `healthcheck` names it where there is none.
async fn named(place: &Place, uid: u32, variables: &[(&str, &str)]) -> Result<String> {
    let mut spec = as_user(place.command(&["healthcheck"]), uid);
    for (name, value) in variables {
        spec = spec.env(name, *value);
    }
    let said = place.run(&spec).await?;
    let rest = said.err.split_once("no server runs in ").with_context(|| format!("{said:?}"))?.1;
    Ok(rest.split(':').next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_default_is_var_lib_revaer_for_root_and_service_users_and_xdg_data_home_for_people() -> Result<()>
{
    const SERVICE: u32 = 999;
    const PERSON: u32 = 1234;
    let place = Place::external().await?;
    let system = "/var/lib/revaer";
    let own = geteuid().as_raw();
    let everyone = geteuid().is_root();
    let (home, xdg) = (place.path("home"), place.path("xdg"));
    let (home_text, xdg_text) = (home.display().to_string(), xdg.display().to_string());
    let variables = [("HOME", home_text.as_str()), ("XDG_DATA_HOME", xdg_text.as_str())];
    // Where a server of this machine is there, its address is what would be found.
    if !fs::exists(format!("{system}/url")).unwrap_or(true) {
        for uid in [0, SERVICE].into_iter().filter(|uid| everyone || *uid == own) {
            assert_eq!(named(&place, uid, &variables).await?, system, "user {uid}");
        }
    }
    if everyone || own >= 1000 {
        let in_home = named(&place, PERSON, &variables[..1]).await?;
        assert_eq!(in_home, home.join(".local/share/revaer").display().to_string());
        folder_of(PERSON, &xdg)?;
        let spec = as_user(place.command(&["--listen", "127.0.0.1:0"]), PERSON)
            .env("HOME", &home_text)
            .env("XDG_DATA_HOME", &xdg_text);
        let server = Running::start(&spec).await?;
        assert!(xdg.join("revaer/url").exists() && !home.exists());
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn listen_is_for_this_process_instead_of_bind_addr_and_http_port_and_port_0_takes_a_free_one()
-> Result<()> {
    let place = Place::external().await?;
    let (server, api) = place.active(&place.server(), &json!({})).await?;
    let port = server.url.strip_prefix("http://127.0.0.1:").context("another address")?.parse::<u16>()?;
    assert_ne!(port, 0);
    let stored = async || -> Result<Value> {
        let app = api.get("/admin/settings").await?.expect(200)?["app_profile"].take();
        Ok(json!([app["bind_addr"], app["http_port"]]))
    };
    assert_eq!(stored().await?, json!(["127.0.0.1", 7070]), "the flag is not stored");
    // What is stored is for a process without the flag.
    let later = place.address.endpoint()?;
    let change = json!({ "app_profile": { "bind_addr": later.ip().to_string(), "http_port": later.port() } });
    api.patch("/admin/settings", &change).await?.expect(200)?;
    api.get("/health").await?.expect(200)?;
    server.stop().await?;

    let data = place.data().display().to_string();
    let given = place.address.endpoint()?;
    let flags = ["--data-dir", &data, "--listen", &given.to_string()];
    let server = Running::start(&place.command(&flags)).await?;
    assert_eq!(server.url, format!("http://{given}"));
    server.stop().await?;
    let server = Running::start(&place.command(&flags[..2])).await?;
    assert_eq!(server.url, format!("http://{later}"));
    server.stop().await?;
    let said = place.run(&place.command(&["--listen", "7070"])).await?;
    assert_eq!((said.code, said.out.as_str()), (2, ""), "{said:?}");
    Ok(())
}

#[tokio::test]
async fn log_format_is_json_or_pretty_whatever_the_settings_say() -> Result<()> {
    let place = Place::external().await?;
    let data = place.data().display().to_string();
    let flags =
        |format| place.command(&["--data-dir", &data, "--listen", "127.0.0.1:0", "--log-format", format]);
    let other = |format| json!({ "app_profile": { "telemetry": { "log_format": format } } });
    let (server, api) = place.active(&flags("json"), &other("pretty")).await?;
    let answer = api.patch("/admin/settings", &other("json")).await?.expect(200)?;
    assert_eq!(answer["notices"][0]["pointer"], "/app_profile/telemetry/log_format", "{answer}");
    let log = server.stop().await?;
    assert!(log.lines().count() > 3, "{log}");
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
    let log = Running::start(&flags("pretty")).await?.stop().await?;
    assert!(log.lines().count() > 3, "{log}");
    assert!(log.lines().all(|line| !line.starts_with('{')), "{log}");
    assert_eq!(place.run(&flags("xml")).await?.code, 2);
    Ok(())
}

#[tokio::test]
async fn version_is_printed() -> Result<()> {
    let place = Place::embedded()?;
    let said = place.run(&place.command(&["--version"])).await?;
    assert_eq!(
        (said.code, said.out, said.err),
        (0, format!("revaer-app {}\n", env!("CARGO_PKG_VERSION")), String::new())
    );
    Ok(())
}

#[tokio::test]
async fn healthcheck_reads_url_gets_health_and_exits_0_on_200_else_1() -> Result<()> {
    let place = Place::external().await?;
    let data = place.data().display().to_string();
    let check = || place.command(&["--data-dir", &data, "healthcheck"]);
    let said = place.run(&check()).await?;
    assert_eq!(said.code, 1, "nothing is there: {said:?}");
    assert!(!place.data().exists(), "a question makes nothing");

    let server = Running::start(&place.server()).await?;
    let said = place.run(&check()).await?;
    assert_eq!((said.code, said.out, said.err), (0, String::new(), String::new()));
    server.stop().await?;
    let said = place.run(&check()).await?;
    assert_eq!(said.code, 1, "it has ended: {said:?}");

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address: SocketAddr = listener.local_addr()?;
    fs::write(place.data().join("url"), format!("http://{address}\n"))?;
    for (status, code) in [("200 OK", 0), ("503 Service Unavailable", 1), ("404 Not Found", 1)] {
        let answer = async {
            let (mut stream, _) = listener.accept().await?;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await?);
            }
            stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await?;
            Ok(String::from_utf8(head)?)
        };
        let spec = check();
        let (said, head) = try_join(place.run(&spec), answer).await?;
        assert!(head.starts_with("GET /health HTTP/1.1\r\n"), "{head}");
        assert_eq!(said.code, code, "{status}: {said:?}");
    }
    Ok(())
}
