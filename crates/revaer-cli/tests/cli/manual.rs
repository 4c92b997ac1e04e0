//! The manual: made from the help, without a server.

use crate::support::{nowhere, run};

#[tokio::test]
async fn the_manual_needs_no_server_and_names_every_command() {
    let url = nowhere().await;
    let ran = run(&url, &["man"]).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.contains(".TH revaer 1"), "{}", ran.stdout);
    for command in ["config", "keys", "presets", "setup", "torrent", "ls", "status", "tail", "health"] {
        assert!(ran.stdout.contains(&format!("revaer\\-{command}(1)")), "{command} in {}", ran.stdout);
    }
    for part in [".SH \"EXIT STATUS\"", ".SH FILES", "REVAER_API_URL", "api\\-key.old"] {
        assert!(ran.stdout.contains(part), "{part} in {}", ran.stdout);
    }
}

#[tokio::test]
async fn every_command_has_its_page() {
    let url = nowhere().await;
    let ran = run(&url, &["man", "config", "rollback"]).await;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains(".TH revaer-config-rollback 1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("API keys, secrets and presets stay as they are"), "{}", ran.stdout);
    let ran = run(&url, &["man", "config", "dance"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("config has no command dance"), "{}", ran.stderr);
}
