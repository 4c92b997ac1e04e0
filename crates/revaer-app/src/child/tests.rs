//! Children as the shell sees them. Death signals need a process that dies: see `tests/postgres.rs`.

use std::{fs::File, io::Read, os::fd::OwnedFd, time::Duration};

use rustix::fs::{FlockOperation, flock};

use super::*;

fn shell(script: &str) -> ChildSpec {
    ChildSpec::new("/bin/sh").arg("-c").arg(script).env("PATH", "/usr/bin:/bin")
}

async fn output_of(spec: ChildSpec) -> String {
    let finished = Children::start().unwrap().run(spec).await.unwrap();
    assert!(finished.status.success(), "{finished:?}");
    String::from_utf8(finished.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn no_descriptor_above_two_reaches_a_child() {
    let leaked = File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    // `ls` itself opens the directory as number 3.
    assert_eq!(output_of(ChildSpec::new("/bin/ls").arg("/proc/self/fd")).await, "0\n1\n2\n3");
    drop(leaked);
}

#[tokio::test]
async fn environment_umask_group_and_directory_are_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let opened: OwnedFd = File::open(dir.path()).unwrap().into();
    let spec = shell("env | grep -c . ; umask; [ $$ = $(cut -d' ' -f5 /proc/$$/stat) ] && echo leader; pwd")
        .umask(0o027)
        .work_dir(WorkDir::Opened(opened));
    let lines = output_of(spec).await;
    // The shell itself sets PWD and, in some builds, two more.
    let (variables, rest) = lines.split_once('\n').unwrap();
    assert!(variables.parse::<u32>().unwrap() <= 4, "{lines}");
    assert_eq!(rest, format!("0027\nleader\n{}", dir.path().display()));
}

#[tokio::test]
async fn a_limit_holds() {
    let limit = Limit { resource: Resource::Nofile, most: 33 };
    assert_eq!(output_of(shell("ulimit -n").limit(limit)).await, "33");
}

#[tokio::test]
async fn root_can_run_a_child_as_somebody_else() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let spec = shell("id -u; id -G").account(Some(Account { uid: 65534, gid: 65533 }));
    assert_eq!(output_of(spec).await, "65534\n65533");
}

#[tokio::test]
async fn an_inherited_lock_is_held_until_the_child_ends() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let lock = File::open(file.path()).unwrap();
    flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    let mut child = Children::start()
        .unwrap()
        .spawn(shell("read line").stdin(Input::Pipe).inherit(lock.into()))
        .await
        .unwrap();
    let other = File::open(file.path()).unwrap();
    assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
    drop(child.stdin());
    child.wait().await.unwrap();
    flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
}

#[tokio::test]
async fn a_dropped_child_ends_and_is_reaped() {
    let children = Children::start().unwrap();
    let child = children.spawn(ChildSpec::new("/bin/sleep").arg("1000")).await.unwrap();
    let proc = format!("/proc/{}", child.id().unwrap());
    drop(child);
    tokio::time::timeout(Duration::from_secs(10), async {
        while std::fs::exists(&proc).unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn signals_reach_the_group_and_never_a_reaped_process() {
    let children = Children::start().unwrap();
    let mut child = children.spawn(shell("sleep 1000 & sleep 1000")).await.unwrap();
    assert!(child.kill_group(Signal::TERM).unwrap());
    assert!(!child.wait().await.unwrap().success());
    assert!(!child.kill(Signal::TERM).unwrap());
}

#[tokio::test]
async fn a_missing_program_is_an_error_that_names_it() {
    let error = Children::start().unwrap().spawn(ChildSpec::new("/nonexistent/tool")).await.unwrap_err();
    assert_eq!(error.to_string(), "can not start /nonexistent/tool");
}

#[tokio::test]
async fn a_log_file_takes_both_streams() {
    let mut file = tempfile::tempfile().unwrap();
    let spec = shell("echo out; echo err >&2")
        .stdout(Output::File(file.try_clone().unwrap()))
        .stderr(Output::File(file.try_clone().unwrap()));
    Children::start().unwrap().spawn(spec).await.unwrap().finish().await.unwrap();
    let mut text = String::new();
    std::io::Seek::rewind(&mut file).unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "out\nerr\n");
}
