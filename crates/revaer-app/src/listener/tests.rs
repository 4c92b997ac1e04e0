//! Moves against real sockets on loopback.

use std::net::{TcpListener, TcpStream};

use tempfile::TempDir;

use super::*;

struct Fixture {
    listeners: Listeners,
    data_dir: DataDir,
    folder: TempDir,
}

impl Fixture {
    async fn listening() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(folder.path()).unwrap();
        let (tasks, addresses) = (Tasks::new(), Arc::<Addresses>::default());
        let (wanted, listener) = first(&addresses, free(), None).await.unwrap();
        let handle = Server::serve(listener, Router::new(), &tasks);
        let listeners = Listeners {
            router: Router::new(),
            tasks,
            flag: None,
            telemetry: Telemetry::new(),
            addresses,
            held_back: Mutex::default(),
            open: tokio::sync::Mutex::new(Open::new(wanted, handle)),
        };
        Self { listeners, data_dir, folder }
    }

    async fn address(&self) -> SocketAddr {
        self.listeners.open.lock().await.handle.local_addr()
    }

    async fn move_to(&self, wanted: SocketAddr) -> Result<bool, Whereabouts> {
        let moved = self.listeners.move_to(wanted, Mode::Active, &self.data_dir).await;
        moved.map_err(|stuck| stuck.whereabouts)
    }

    fn degraded(&self) -> Vec<&'static str> {
        self.listeners.telemetry.health.degraded()
    }
}

/// An address of loopback that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn everywhere(beside: SocketAddr) -> SocketAddr {
    SocketAddr::new("0.0.0.0".parse().unwrap(), beside.port())
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

#[tokio::test]
async fn a_url_file_that_cannot_be_written_keeps_no_listener_from_moving() {
    let fixture = Fixture::listening().await;
    let (before, after) = (fixture.address().await, free());
    let file = fixture.folder.path().join("url");
    std::fs::create_dir(&file).unwrap();
    assert_eq!(fixture.move_to(after).await, Ok(false));
    assert!(answers(after) && !answers(before), "one listener, and not two");
    assert_eq!(fixture.degraded(), ["config_watcher"]);
    std::fs::remove_dir(&file).unwrap();
    assert_eq!(fixture.move_to(after).await, Ok(true));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("http://{after}\n"));
    assert!(fixture.degraded().is_empty());
}

#[tokio::test]
async fn where_nothing_can_be_listened_on_it_goes_back_once_it_can() {
    let fixture = Fixture::listening().await;
    let address = fixture.address().await;
    // Somebody else is quicker while the socket makes room.
    fixture.listeners.open.lock().await.handle.release().await;
    let other = TcpListener::bind(address).unwrap();
    assert_eq!(fixture.move_to(everywhere(address)).await, Err(Whereabouts::Nowhere));
    drop(other);
    let beside = TcpListener::bind(SocketAddr::new("127.0.0.2".parse().unwrap(), address.port())).unwrap();
    assert_eq!(fixture.move_to(everywhere(address)).await, Err(Whereabouts::WentBack));
    assert!(answers(address));
    drop(beside);
    assert_eq!(fixture.move_to(address).await, Ok(true));
}

#[tokio::test]
async fn a_first_address_that_cannot_be_listened_on_is_replaced_by_loopback_unless_it_is_the_flags() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let (wanted, listener) = first(&Addresses::default(), taken, None).await.unwrap();
    assert_eq!((wanted.ip(), wanted.port()), (taken.ip(), 0));
    assert!(listener.local_addr().ip().is_loopback());
    let gone = SocketAddr::new("203.0.113.7".parse().unwrap(), free().port());
    let (wanted, listener) = first(&Addresses::default(), gone, None).await.unwrap();
    assert_eq!((wanted, wanted.port()), (listener.local_addr(), gone.port()));
    assert!(first(&Addresses::default(), taken, Some(taken)).await.is_err());
}
