//! What holds of every link.

use std::net::{IpAddr, SocketAddr};

use proptest::{collection::vec, option, prelude::*};

use super::Magnet;
use crate::{InfoHashV1, InfoHashV2, InfoHashes};

fn hashes() -> impl Strategy<Value = InfoHashes> {
    let v1 = option::of(any::<[u8; 20]>().prop_map(InfoHashV1::new));
    let v2 = option::of(any::<[u8; 32]>().prop_map(InfoHashV2::new));
    (v1, v2).prop_map(|(v1, v2)| InfoHashes { v1, v2 }).prop_filter("names a torrent", |hashes| {
        (hashes.v1.is_some() || hashes.v2.is_some())
            && hashes.v1 != Some(InfoHashV1::new([0; 20]))
            && hashes.v2 != Some(InfoHashV2::new([0; 32]))
    })
}

fn peer() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), 1_u16..)
        .prop_map(SocketAddr::from)
        .prop_filter("can be reached", |peer| !peer.ip().is_unspecified() && !peer.ip().is_multicast())
}

fn urls(schemes: &'static str) -> impl Strategy<Value = Vec<String>> {
    let url = (schemes, "[a-z][a-z0-9.-]{0,8}(:[0-9]{1,4})?(/[!-~é話]{0,12})?")
        .prop_map(|(scheme, rest)| scheme + "://" + &rest);
    vec(url, 0..4).prop_map(without_repeats)
}

fn without_repeats<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    let mut kept = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

prop_compose! {
    fn magnet()(
        info_hashes in hashes(),
        display_name in option::of(r"[^\p{C}\p{Z}]([^\p{Cc}]{0,20}[^\p{C}\p{Z}])?"),
        trackers in urls("https?|udp|wss?|HTTP"),
        web_seeds in urls("https?"),
        peers in vec(peer(), 0..4).prop_map(without_repeats),
        select_only in proptest::collection::btree_set(0_u32..40, 0..12),
    ) -> Magnet {
        Magnet {
            uri: String::new(),
            info_hashes,
            display_name,
            trackers,
            web_seeds,
            peers,
            select_only: select_only.into_iter().collect(),
            ignored: Vec::new(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(magnet in magnet()) {
        let uri = magnet.to_uri();
        prop_assert_eq!(Magnet::parse(&uri), Ok(Magnet { uri, ..magnet }));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), members in r"magnet:\?xt=urn:bt[im]h:[0-9a-fA-Z]{0,40}(&(tr|so|x\.pe|dn|xt|ws)(\.[0-9])?=[!-~é%]{0,20}){0,6}") {
        for text in [text, members] {
            if let Ok(magnet) = Magnet::parse(&text) {
                let again = Magnet::parse(&magnet.to_uri()).unwrap();
                prop_assert!(again.ignored.is_empty());
                prop_assert_eq!(Magnet { uri: magnet.uri.clone(), ignored: magnet.ignored.clone(), ..again }, magnet);
            }
        }
    }
}
