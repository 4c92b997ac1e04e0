//! Heads that cannot be read, connections that are kept, and the end.

use std::time::Duration;

use revaer_api::{Server, router};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{Fixture, client::Answer, pointers};

#[tokio::test]
async fn what_the_parser_refuses_is_a_problem_too() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    for bad in
        ["NOT HTTP\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n", "GET /health HTTP/1.1\r\nbad header\r\n\r\n"]
    {
        client.raw(bad.as_bytes()).await.problem(400, "bad-request");
    }
    let padding = "x".repeat(17 * 1024);
    client.send("GET", "/health", &[("x-padding", &padding)], b"").await.problem(431, "headers-too-large");
    let many = "a: b\r\n".repeat(200);
    let many = format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n");
    client.raw(many.as_bytes()).await.problem(431, "headers-too-large");
    let fits = "x".repeat(15 * 1024);
    client.send("GET", "/health", &[("x-padding", &fits)], b"").await.expect(200);
}

#[tokio::test]
async fn http_1_1_without_one_host_is_refused() {
    let fixture = Fixture::new().await;
    let client = fixture.client();
    for (head, status) in [
        ("GET /health HTTP/1.1\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost: a\r\nhost: b\r\n", 400),
        ("GET http://a/health HTTP/1.1\r\n", 400),
        ("GET /health HTTP/1.1\r\nhost:\r\n", 200),
        ("GET /health HTTP/1.1\r\nhost: a\r\n", 200),
        ("GET /health HTTP/1.0\r\n", 200),
    ] {
        let answer = client.raw(format!("{head}connection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(answer.status, status, "{head:?}: {}", answer.text);
        if status == 400 {
            assert_eq!(pointers(&answer.problem(400, "bad-request")), ["/header/host"]);
        }
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let fixture = Fixture::new().await;
    let mut stream = TcpStream::connect(fixture.server.local_addr()).await.unwrap();
    for _ in 0..3 {
        stream.write_all(b"GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        Answer::parse(&answer).problem(404, "not-found");
    }
}

#[tokio::test]
async fn stopping_ends_streams_and_idle_connections_in_time() {
    let (fixture, client) = Fixture::active().await;
    let mut events = client.events("", None).await;
    assert_eq!(events.next().await.unwrap().retry, Some(5000));
    let mut idle = TcpStream::connect(fixture.server.local_addr()).await.unwrap();
    let address = fixture.server.local_addr();
    assert!(fixture.server.stop(Duration::from_secs(10)).await, "something did not end by itself");
    let last = events.next().await.unwrap();
    assert!(last.comment.unwrap().contains("stopping"));
    assert_eq!(events.next().await, None);
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
    // Its address is free at once.
    Server::bind(address).await.unwrap();
}

#[tokio::test]
async fn streams_on_an_address_that_is_left_are_told_the_other_one() {
    let (fixture, client) = Fixture::active().await;
    let mut events = client.events("", None).await;
    assert_eq!(events.next().await.unwrap().retry, Some(5000));
    let other = "127.0.0.9:7070".parse().unwrap();
    assert!(
        fixture.server.leave_for(other, Duration::from_secs(10)).await,
        "something did not end by itself"
    );
    let comment = events.next().await.unwrap().comment.unwrap();
    assert!(comment.contains("the server listens on 127.0.0.9:7070 now"), "{comment}");
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn what_runs_goes_on_while_the_socket_makes_room() {
    let (mut fixture, client) = Fixture::active().await;
    let address = fixture.server.local_addr();
    let mut events = client.events("", None).await;
    assert_eq!(events.next().await.unwrap().retry, Some(5000));
    let mut kept = TcpStream::connect(address).await.unwrap();
    // Answered once, it is more than a name in the kernel's queue, which goes with the socket.
    kept.write_all(b"GET /docs/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    kept.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    fixture.server.release().await;
    assert!(!fixture.server.is_listening());
    assert!(TcpStream::connect(address).await.is_err());
    let listener = Server::bind(address).await.unwrap();
    fixture.server.resume(listener);
    assert!(fixture.server.is_listening());
    client.get("/health").await.expect(200);
    kept.write_all(b"GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    kept.read_to_end(&mut answer).await.unwrap();
    let second = answer.windows(12).position(|window| window == b"HTTP/1.1 404").unwrap();
    Answer::parse(&answer[second..]).problem(404, "not-found");
    assert!(fixture.server.stop(Duration::from_secs(10)).await, "something did not end by itself");
    assert!(events.next().await.unwrap().comment.unwrap().contains("stopping"));
}

#[tokio::test]
async fn a_server_that_nobody_holds_ends() {
    let fixture = Fixture::new().await;
    let listener = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let dropped = Server::serve(listener, router(fixture.ports.clone()), &fixture.ports.tasks);
    let mut idle = TcpStream::connect(dropped.local_addr()).await.unwrap();
    let address = dropped.local_addr();
    drop(dropped);
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0);
    tokio::time::timeout(Duration::from_secs(10), async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let fixture = Fixture::new().await;
    let taken = fixture.server.local_addr();
    let error = Server::bind(taken).await.unwrap_err();
    assert_eq!(error.addr, taken);
    let expected = format!(
        "cannot listen on {taken}: address already in use; see what else uses it, or choose another address with --listen"
    );
    assert_eq!(error.to_string(), expected);
    assert!(std::error::Error::source(&error).is_none(), "the reason would be told twice");
    // The same surface can be served at a second address while the first one still runs.
    let other = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let other = Server::serve(other, router(fixture.ports.clone()), &fixture.ports.tasks);
    assert_ne!(other.local_addr(), taken);
}
