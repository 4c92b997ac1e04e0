//! Tells the binary which commit and platform it was built from. Outside a checkout the commit is `unknown`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../../.git/HEAD");
    println!("cargo::rerun-if-changed=../../migrations");
    let sha = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    let sha = sha.as_deref().map_or("unknown", str::trim);
    println!("cargo::rustc-env=REVAER_BUILD_SHA={sha}");
    let target = std::env::var("TARGET").unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=REVAER_BUILD_TARGET={target}");
}
