//! Spans reach a collector by OTLP while there is an endpoint, and only then.
//!
//! A process has one subscriber and one environment, so that each test starts itself again as a process of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::Command,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use revaer_telemetry::{
    logging::{self, LogFormat, Logger},
    traces::Request,
};

/// Set in a process that a test has started.
const WITHIN: &str = "REVAER_TRACES_TEST";
const LIMIT: Duration = Duration::from_secs(20);
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE_ID: [u8; 16] =
    [0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c];
const PARENT_ID: [u8; 8] = [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31];

/// Runs the test in a process of its own and answers what that wrote to stderr; nothing where this is that process.
fn alone(test: &str, variables: &[(&str, &str)]) -> Option<String> {
    if std::env::var_os(WITHIN).is_some() {
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .envs(variables.iter().copied())
        .env(WITHIN, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stdout));
    Some(said)
}

/// What was sent: head and body.
struct Delivery(String, Vec<u8>);

impl Delivery {
    fn holds(&self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        self.1.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// A collector that answers with `status`, or never.
struct Collector {
    endpoint: String,
    deliveries: Receiver<Delivery>,
}

impl Collector {
    fn start(status: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let (sender, deliveries) = sync_channel(1000);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || serve(&stream.unwrap(), status, &sender));
            }
        });
        Self { endpoint, deliveries }
    }

    fn next(&self) -> Delivery {
        self.deliveries.recv_timeout(LIMIT).unwrap()
    }
}

fn serve(stream: &TcpStream, status: Option<&str>, deliveries: &SyncSender<Delivery>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        deliveries.send(Delivery(head, body)).unwrap();
        let Some(status) = status else { continue };
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

fn logger(filter: &str) -> Logger {
    logging::install(filter, LogFormat::Json).unwrap()
}

/// A request as the server has it.
fn request(id: &str, traceparent: Option<&str>, code: u16) {
    let span = tracing::info_span!(target: "revaer_api::http::edge", "request", request_id = id, path = "/v1/torrents/7");
    let exported = Request::begun(&span, "GET", Some("/v1/torrents/{id}"), traceparent);
    span.in_scope(|| tracing::info!("said in a request"));
    exported.answered(code);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_exported_below_its_parent_while_there_is_an_endpoint() {
    let Some(said) = alone("a_request_is_exported_below_its_parent_while_there_is_an_endpoint", &[]) else {
        let logger = logger("error");
        let (one, other) = (Collector::start(Some("200 OK")), Collector::start(Some("200 OK")));
        request("before", None, 200);
        logger.export_traces(Some(&one.endpoint)).await.unwrap();
        request("first", Some(PARENT), 200);
        tracing::info_span!(target: "hyper", "foreign").in_scope(|| {});
        logger.export_traces(Some(&other.endpoint)).await.unwrap();
        let delivery = one.next();
        assert!(delivery.0.starts_with("post /v1/traces http/1.1\r\n"), "{}", delivery.0);
        assert!(delivery.0.contains("content-type: application/x-protobuf"), "{}", delivery.0);
        for text in [
            "GET /v1/torrents/{id}",
            "first",
            "http.request.method",
            "http.route",
            "http.response.status_code",
            "url.path",
            "/v1/torrents/7",
            "revaer",
        ] {
            assert!(delivery.holds(text), "{text} is missing");
        }
        assert!(delivery.holds(TRACE_ID) && delivery.holds(PARENT_ID));
        assert!(!delivery.holds("before") && !delivery.holds("foreign") && !delivery.holds("said in"));

        request("second", None, 500);
        logger.export_traces(None).await.unwrap();
        request("third", None, 200);
        logger.export_traces(Some(&other.endpoint)).await.unwrap();
        request("fourth", None, 200);
        logger.export_traces(None).await.unwrap();
        let (second, fourth) = (other.next(), other.next());
        assert!(second.holds("second") && !second.holds(TRACE_ID));
        assert!(fourth.holds("fourth") && !fourth.holds("third"));
        assert!(one.deliveries.try_recv().is_err() && other.deliveries.try_recv().is_err());
        return;
    };
    // Whatever is exported, it is not written.
    assert!(!said.contains("said in a request"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_environment_says_is_honoured_but_for_the_endpoint() {
    let test = "what_the_environment_says_is_honoured_but_for_the_endpoint";
    let elsewhere = Collector::start(Some("200 OK"));
    let variables = [
        ("OTEL_SERVICE_NAME", "a-name-of-its-own"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=the-attic"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=let-me-in"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &elsewhere.endpoint),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &elsewhere.endpoint),
    ];
    if alone(test, &variables).is_some() {
        assert!(elsewhere.deliveries.try_recv().is_err());
        return;
    }
    let (logger, collector) = (logger("info"), Collector::start(Some("200 OK")));
    request("unasked", None, 200);
    logger.export_traces(Some(&collector.endpoint)).await.unwrap();
    request("asked", None, 200);
    let delivery = collector.next();
    assert!(delivery.0.contains("x-token: let-me-in"), "{}", delivery.0);
    for text in ["a-name-of-its-own", "deployment.environment.name", "the-attic", "service.version", "asked"]
    {
        assert!(delivery.holds(text), "{text} is missing");
    }
    assert!(!delivery.holds("unasked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_is_not_exported() {
    if alone("what_is_not_sampled_is_not_exported", &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")])
        .is_some()
    {
        return;
    }
    let (logger, collector) = (logger("info"), Collector::start(Some("200 OK")));
    logger.export_traces(Some(&collector.endpoint)).await.unwrap();
    request("of nobody", None, 200);
    request("of a sampled parent", Some(PARENT), 200);
    logger.export_traces(None).await.unwrap();
    let delivery = collector.next();
    assert!(delivery.holds("of a sampled parent") && !delivery.holds("of nobody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_holds_nobody_up() {
    if alone("a_collector_that_hangs_holds_nobody_up", &[]).is_some() {
        return;
    }
    let (logger, hangs) = (logger("error"), Collector::start(None));
    logger.export_traces(Some(&hangs.endpoint)).await.unwrap();
    // Many times what the queue holds.
    for _ in 0..20_000 {
        request("one of many", None, 200);
    }
    drop(hangs.next());
    let before = Instant::now();
    logger.export_traces(None).await.unwrap();
    // An attempt would last 10 s.
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    let collector = Collector::start(Some("200 OK"));
    logger.export_traces(Some(&collector.endpoint)).await.unwrap();
    request("afterwards", None, 200);
    logger.export_traces(None).await.unwrap();
    assert!(collector.next().holds("afterwards"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_refuses_is_told_of_once() {
    let variables = [("OTEL_BSP_SCHEDULE_DELAY", "10")];
    let Some(said) = alone("a_collector_that_refuses_is_told_of_once", &variables) else {
        let (logger, refuses) = (logger("warn"), Collector::start(Some("403 Forbidden")));
        logger.export_traces(Some(&refuses.endpoint)).await.unwrap();
        for _ in 0..5 {
            request("refused", None, 200);
            drop(refuses.next());
        }
        return logger.export_traces(None).await.unwrap();
    };
    assert_eq!(said.matches("traces are not delivered").count(), 1, "{said}");
    assert!(said.contains("403 Forbidden"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_cannot_be_used_ends_the_export() {
    if alone("an_endpoint_that_cannot_be_used_ends_the_export", &[]).is_some() {
        return;
    }
    let (logger, collector) = (logger("error"), Collector::start(Some("200 OK")));
    logger.export_traces(Some(&collector.endpoint)).await.unwrap();
    let error = logger.export_traces(Some("http://")).await.unwrap_err();
    assert_eq!(error.to_string(), "the endpoint for traces is no URL; use one as http://127.0.0.1:4318");
    request("lost", None, 200);
    logger.export_traces(Some(&collector.endpoint)).await.unwrap();
    request("found", None, 200);
    logger.export_traces(None).await.unwrap();
    let delivery = collector.next();
    assert!(delivery.holds("found") && !delivery.holds("lost"));
}
