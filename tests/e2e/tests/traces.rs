//! Traces go to where the settings say, as long as they say so.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use revaer_e2e::app::Options;
use revaer_e2e::stage::Server;
use revaer_e2e::wait;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Batches leave every 5 s.
const LIMIT: Duration = Duration::from_secs(30);
const PATH: &str = "/admin/settings";

/// Takes what is sent by OTLP, and keeps it.
struct Collector {
    endpoint: String,
    bodies: Arc<Mutex<Vec<u8>>>,
    _task: JoinSet<()>,
}

impl Collector {
    async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let (bodies, mut task) = (Arc::default(), JoinSet::new());
        let kept = Arc::clone(&bodies);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                connections.spawn(async move { drop(serve(stream, &kept).await) });
            }
        });
        Ok(Self { endpoint, bodies, _task: task })
    }

    fn holds(&self, bytes: &[u8]) -> bool {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.windows(bytes.len()).any(|window| window == bytes)
    }

    async fn wait_for(&self, trace: u128) -> Result<()> {
        let arrived = || async { Ok(self.holds(&trace.to_be_bytes()).then_some(())) };
        wait::until(format!("the trace {trace:032x}"), LIMIT, arrived).await
    }
}

async fn serve(stream: TcpStream, bodies: &Mutex<Vec<u8>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        let mut body = vec![0; length.parse()?];
        stream.read_exact(&mut body).await?;
        bodies.lock().unwrap_or_else(PoisonError::into_inner).extend(body);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
    }
}

/// Sets the endpoint, and waits until the log has said so many times that it is in force.
async fn export_to(server: &Server, endpoint: Option<&str>, said: usize) -> Result<()> {
    let change = json!({ "app_profile": { "telemetry": { "otlp_endpoint": endpoint } } });
    server.api.patch(PATH, &change).await?.expect(200)?;
    let message = if endpoint.is_some() { "traces are exported" } else { "traces are no longer exported" };
    wait::until(message, LIMIT, || async {
        Ok((server.app.log()?.matches(message).count() >= said).then_some(()))
    })
    .await
}

async fn request(server: &Server, id: &str, trace: u128) -> Result<Value> {
    let parent = format!("00-{trace:032x}-b7ad6b7169203331-01");
    let headers = [("traceparent", parent.as_str()), ("x-request-id", id)];
    server.api.patch_with(PATH, &json!({}), &headers).await?.expect(200)
}

#[tokio::test]
async fn a_trace_goes_on_to_the_endpoint_of_the_settings() -> Result<()> {
    let mut server = Server::start_with(Options::default(), &json!({})).await?;
    let collector = Collector::start().await?;
    let trace = |number: u128| (0x0af7_6519_16cd_43dd << 64) | number;
    request(&server, "before", trace(1)).await?;

    export_to(&server, Some(&collector.endpoint), 1).await?;
    request(&server, "asked", trace(2)).await?;
    collector.wait_for(trace(2)).await?;
    for text in ["PATCH /admin/settings", "asked", "http.response.status_code", "revaer"] {
        assert!(collector.holds(text.as_bytes()), "{text} is missing");
    }
    assert!(collector.holds(&0xb7ad_6b71_6920_3331_u64.to_be_bytes()), "the parent is missing");

    export_to(&server, None, 1).await?;
    request(&server, "between", trace(3)).await?;
    // Nothing listens there, and nobody minds.
    let nobody = { TcpListener::bind("127.0.0.1:0").await?.local_addr()? };
    export_to(&server, Some(&format!("http://{nobody}")), 2).await?;
    request(&server, "nowhere", trace(4)).await?;
    export_to(&server, Some(&collector.endpoint), 3).await?;
    request(&server, "again", trace(5)).await?;
    assert_eq!(server.health().await?["status"], "ok");

    // What has ended is delivered at the end.
    assert_eq!(server.app.sigterm().await?, 0);
    collector.wait_for(trace(5)).await?;
    for number in [1, 3, 4] {
        assert!(!collector.holds(&trace(number).to_be_bytes()), "trace {number} was exported");
    }
    Ok(())
}
