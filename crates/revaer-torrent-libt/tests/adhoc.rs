mod support;
use revaer_torrent_core::{
    PieceSet,
    engine::{EngineCommand, TorrentEngine},
};
use std::sync::Arc;
use support::{Client, Sample, id};
fn rss() -> String {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("RssAnon"))
        .unwrap()
        .to_owned()
}
async fn add_all(client: &Client, samples: &[Sample]) {
    let mut adds = tokio::task::JoinSet::new();
    for (n, sample) in samples.iter().enumerate() {
        let (engine, add) = (Arc::clone(client.engine()), client.add(id(1000 + n as u128), sample));
        adds.spawn(async move { engine.execute(EngineCommand::Add(Box::new(add))).await });
    }
    assert!(adds.join_all().await.into_iter().all(|o| o == Ok(())));
}
async fn whole(client: &Client, n: u128) {
    for n in 0..n {
        client.wait(id(1000 + n), "whole", |s| s.loaded && s.pieces == PieceSet::All).await;
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn adhoc() {
    let n = 10_000;
    let samples: Vec<_> = (0..n)
        .map(|n| Sample::new(Box::leak(format!("many-{n}").into_boxed_str()), &[("a.bin", 100)]))
        .collect();
    let mut client = Client::start().await;
    for s in &samples {
        s.write(&client.save_dir());
    }
    eprintln!("start {}", rss());
    let t = std::time::Instant::now();
    add_all(&client, &samples).await;
    eprintln!("added {:?} {}", t.elapsed(), rss());
    whole(&client, n).await;
    eprintln!("checked {:?} {}", t.elapsed(), rss());
    let t = std::time::Instant::now();
    let r = client.run(EngineCommand::Shutdown).await;
    eprintln!("shutdown {:?} {r:?}", t.elapsed());
    client.kill();
    let client = Client::restart(Arc::clone(&client.dir), client.address).await;
    let t = std::time::Instant::now();
    add_all(&client, &samples).await;
    eprintln!("re-added {:?} {}", t.elapsed(), rss());
    whole(&client, n).await;
    eprintln!("re-checked {:?} {}", t.elapsed(), rss());
    let cpu = || {
        let s = std::fs::read_to_string("/proc/self/stat").unwrap();
        let f: Vec<u64> = s.split(' ').skip(13).take(2).map(|x| x.parse().unwrap()).collect();
        f[0] + f[1]
    };
    tokio::time::sleep(std::time::Duration::from_secs(75)).await;
    let c = cpu();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    eprintln!("idle cpu {} ticks in 20 s", cpu() - c);
    let t = std::time::Instant::now();
    let r = client.run(EngineCommand::Shutdown).await;
    eprintln!("second shutdown {:?} {r:?}", t.elapsed());
}
