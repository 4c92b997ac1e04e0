//! Reservations against real sockets on loopback.

use std::net::TcpListener;

use super::*;

/// An address of loopback that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

struct Fixture {
    addresses: Arc<Addresses>,
    keeper: Keeper,
}

impl Fixture {
    async fn listening() -> (Self, Listener) {
        let addresses = Arc::<Addresses>::default();
        let open = addresses.turn().await.take("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let keeper = Keeper::new(Arc::clone(&addresses), None);
        (Self { addresses, keeper }, open)
    }

    async fn take(&self, address: SocketAddr) -> Listener {
        self.addresses.turn().await.take(address).await.unwrap()
    }
}

#[tokio::test]
async fn equal_addresses_share_a_socket_and_the_last_one_gives_it_back() {
    let (fixture, _open) = Fixture::listening().await;
    let (one, other) = (free(), free());
    let (first, second) = tokio::join!(fixture.keeper.reserve(one), fixture.keeper.reserve(one));
    let elsewhere = fixture.keeper.reserve(other).await.unwrap();
    drop(first.unwrap());
    assert!(!is_free(one), "the second one still holds it");
    assert!(!is_free(other), "it is nobody else's to give back");
    drop(elsewhere);
    assert!(is_free(other));
    drop(second.unwrap());
    assert!(is_free(one));
}

#[tokio::test]
async fn a_socket_is_kept_until_the_listener_takes_it() {
    let (fixture, _open) = Fixture::listening().await;
    let address = free();
    fixture.keeper.reserve(address).await.unwrap().keep(Revision(2));
    fixture.addresses.settle(Revision(1), address);
    assert!(!is_free(address));
    fixture.addresses.settle(Revision(2), address);
    assert!(!is_free(address), "it is about to be taken");
    let listener = fixture.take(address).await;
    assert_eq!(listener.local_addr(), address);
    drop(listener);
    assert!(is_free(address));
}

#[tokio::test]
async fn what_the_listener_went_past_is_given_back() {
    let (fixture, open) = Fixture::listening().await;
    let (before, after) = (free(), free());
    // The change is told to the listener before it is told to the reservation, or after.
    let (early, late) = (fixture.keeper.reserve(before).await, fixture.keeper.reserve(after).await);
    early.unwrap().keep(Revision(2));
    fixture.addresses.settle(Revision(3), open.local_addr());
    assert!(is_free(before));
    assert!(!is_free(after));
    late.unwrap().keep(Revision(3));
    assert!(is_free(after));
}

#[tokio::test]
async fn an_address_that_is_taken_or_not_there_is_refused() {
    let (fixture, open) = Fixture::listening().await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let reason = fixture.keeper.reserve(address).await.err().unwrap();
    assert!(reason.contains("address already in use"), "{reason}");
    let elsewhere = SocketAddr::new("203.0.113.7".parse().unwrap(), address.port());
    let reason = fixture.keeper.reserve(elsewhere).await.err().unwrap();
    assert!(reason.contains("no interface of this host has that address"), "{reason}");
    // Where it listens is no obstacle, in whatever form it is written.
    let port = open.local_addr().port();
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), port);
    for own in [open.local_addr(), mapped, SocketAddr::new("0.0.0.0".parse().unwrap(), port)] {
        drop(fixture.keeper.reserve(own).await.unwrap());
    }
}

#[tokio::test]
async fn an_own_reservation_is_no_obstacle_to_one_that_overlaps() {
    let (fixture, _open) = Fixture::listening().await;
    let address = free();
    let held = fixture.keeper.reserve(address).await.unwrap();
    let everywhere = SocketAddr::new("0.0.0.0".parse().unwrap(), address.port());
    drop(fixture.keeper.reserve(everywhere).await.unwrap());
    assert!(!is_free(address));
    drop(held);
}

#[tokio::test]
async fn with_the_flag_nothing_is_taken() {
    let addresses = Arc::<Addresses>::default();
    let flag = "127.0.0.1:0".parse().unwrap();
    let keeper = Keeper::new(Arc::clone(&addresses), Some(flag));
    let address = free();
    let _reserved = keeper.reserve(address).await.unwrap();
    assert!(is_free(address));
}
