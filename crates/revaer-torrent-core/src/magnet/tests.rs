//! What links come to, case by case.

use super::{MAX_MAGNET_BYTES, Magnet, MagnetError};

const V1: &str = "0123456789abcdef0123456789abcdef01234567";
const OTHER_V1: &str = "89abcdef0123456789abcdef0123456789abcdef";
const V2: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn link(members: &str) -> Magnet {
    Magnet::parse(&format!("magnet:?xt=urn:btih:{V1}&{members}")).unwrap()
}

fn refusal(members: &str) -> String {
    Magnet::parse(&format!("magnet:?xt=urn:btih:{V1}&{members}")).unwrap_err().to_string()
}

#[test]
fn a_link_names_a_v1_torrent_a_v2_torrent_or_a_hybrid() {
    let v1 = Magnet::parse(&format!("magnet:?xt=urn:btih:{V1}")).unwrap().info_hashes;
    assert_eq!((v1.v1.unwrap().to_string(), v1.v2), (V1.to_owned(), None));
    let v2 = Magnet::parse(&format!("magnet:?xt=urn:btmh:1220{V2}")).unwrap().info_hashes;
    assert_eq!((v2.v1, v2.v2.unwrap().to_string()), (None, V2.to_owned()));
    for hybrid in [
        format!("magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{V2}"),
        format!("magnet:?xt.1=urn:btih:{V1}&xt.2=urn:btmh:1220{V2}"),
        format!("magnet:?dn=x&xt=urn:btmh:1220{V2}&xt=urn%3Abtih%3A{V1}"),
    ] {
        let hashes = Magnet::parse(&hybrid).unwrap().info_hashes;
        assert_eq!((hashes.v1, hashes.v2), (v1.v1, v2.v2), "{hybrid}");
    }
}

#[test]
fn case_and_white_space_around_do_not_matter() {
    let upper = format!(" MAGNET:?XT=URN:BTIH:{}&DN=Name\n", V1.to_uppercase());
    let magnet = Magnet::parse(&upper).unwrap();
    assert_eq!(magnet.info_hashes.v1.unwrap().to_string(), V1);
    assert_eq!(magnet.display_name.as_deref(), Some("Name"));
    assert_eq!(magnet.uri, upper.trim());
}

#[test]
fn a_v1_hash_may_be_in_base32() {
    // The digits of RFC 4648 for the bytes 00 01 … 13.
    for digits in ["AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT", "aaaqeayeaudaocajbifqydiob4ibceqt"] {
        let magnet = Magnet::parse(&format!("magnet:?xt=urn:btih:{digits}")).unwrap();
        let expected: Vec<u8> = (0..20).collect();
        assert_eq!(magnet.info_hashes.v1.unwrap().as_bytes().as_slice(), expected);
    }
}

#[test]
fn a_hash_that_cannot_be_read_is_refused() {
    for topic in [
        "urn:btih:",
        "urn:btih:0123",
        "urn:btih:zz23456789abcdef0123456789abcdef01234567",
        "urn:btih:AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQ1",
        "urn:btih:0000000000000000000000000000000000000000",
        "urn:btmh:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "urn:btmh:1114aabbccddeeff00112233445566778899aabbccdd",
        "urn:btmh:1220é0112233445566778899aabbccddeeff00112233445566778899aabbccddee",
    ] {
        let error = Magnet::parse(&format!("magnet:?xt={topic}")).unwrap_err();
        assert!(matches!(&error, MagnetError::Member { member, .. } if member == "xt"), "{topic}: {error}");
    }
}

#[test]
fn two_hashes_of_one_kind_must_be_the_same() {
    assert_eq!(link(&format!("xt.2=urn:btih:{V1}")).info_hashes.v1.unwrap().to_string(), V1);
    assert_eq!(
        refusal(&format!("xt=urn:btih:{OTHER_V1}")),
        format!("`xt` in the link is not understood: it names two torrents, {V1} and {OTHER_V1}")
    );
}

#[test]
fn what_is_no_magnet_is_refused() {
    for text in ["", "magnet:", "http://example.org/a.torrent", "xmagnet:?xt=", "mägnet:?xt=urn:btih:0"] {
        assert_eq!(Magnet::parse(text).unwrap_err(), MagnetError::Scheme, "{text}");
    }
    for text in
        ["magnet:?", "magnet:?dn=name", "magnet:?xt", "magnet:?xt=urn:sha1:AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT"]
    {
        assert_eq!(Magnet::parse(text).unwrap_err(), MagnetError::NoInfoHash, "{text}");
    }
    let long = "m".repeat(MAX_MAGNET_BYTES + 1);
    assert_eq!(Magnet::parse(&long).unwrap_err(), MagnetError::TooLong { length: MAX_MAGNET_BYTES + 1 });
}

#[test]
fn another_kind_of_topic_is_passed_over_and_said() {
    let magnet = link("xt.1=urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0");
    assert_eq!(
        magnet.ignored,
        [r#"`xt` number 2: "urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0" is no info-hash"#]
    );
}

#[test]
fn a_name_is_decoded_and_made_fit_for_show() {
    assert_eq!(link("dn=A+b%20c%2B%C3%A9").display_name.as_deref(), Some("A b c+é"));
    assert_eq!(link("dn=100%+sure%zz").display_name.as_deref(), Some("100% sure%zz"));
    assert_eq!(link("dn=a%00b%0A").display_name.as_deref(), Some("a b"));
    assert_eq!(link("dn=%FF").display_name.as_deref(), Some("\u{fffd}"));
    assert_eq!(link("dn=+").display_name, None);
    let twice = link("dn=first&dn=first&dn=second");
    assert_eq!(twice.display_name.as_deref(), Some("first"));
    assert_eq!(twice.ignored, ["`dn` number 3: the link gives another name before it"]);
}

#[test]
fn trackers_are_decoded_once_and_kept_in_order() {
    let magnet = link(
        "tr=udp%3A%2F%2Ft.example%3A1337%2Fannounce&tr.7=HTTP://u:p@[::1]:80/announce?k=a+b%2Bc&tr=udp://t.example:1337/announce&ws=https://seed.example/a%2520b",
    );
    assert_eq!(magnet.trackers, ["udp://t.example:1337/announce", "HTTP://u:p@[::1]:80/announce?k=a+b+c"]);
    assert_eq!(magnet.web_seeds, ["https://seed.example/a%20b"]);
    assert!(magnet.ignored.is_empty());
}

#[test]
fn a_url_that_cannot_be_used_is_passed_over_and_said() {
    let reasons = link("tr=i2p://secret.i2p/announce&tr=example.org&tr=&tr=http:///x&tr=http://a%0D%0Ab/&tr=http://a/%zz&tr=http://a/%FF&ws=ftp://a/b&tr=:%2f%2f").ignored;
    assert_eq!(
        reasons,
        [
            "`tr` number 1: its scheme `i2p` is not one of http, https, udp, ws, wss",
            "`tr` number 2: it is no URL with a host",
            "`tr` number 3: it is empty",
            "`tr` number 4: it names no host",
            "`tr` number 5: it holds a control character or white space",
            "`tr` number 6: a `%` in it is not followed by two hexadecimal digits",
            "`tr` number 7: it is not UTF-8",
            "`ws` number 1: its scheme `ftp` is not one of http, https",
            "`tr` number 8: its scheme is not one of http, https, udp, ws, wss",
        ]
    );
}

#[test]
fn trackers_have_limits() {
    let many = |count: usize| (0..count).map(|at| format!("tr=udp://t:{at}")).collect::<Vec<_>>().join("&");
    assert_eq!(link(&many(128)).trackers.len(), 128);
    assert!(refusal(&many(129)).contains("more than 128"));
    let long = |length: usize| format!("tr=http://{}", "a".repeat(length - 7));
    assert_eq!(link(&long(1024)).trackers.len(), 1);
    assert!(refusal(&long(1025)).contains("at most 1024"));
}

#[test]
fn peers_are_numeric_addresses() {
    let magnet = link(
        "x.pe=127.0.0.2:6881&x.pe=%5B::1%5D:1&x.pe=127.0.0.2:6881&x.pe=peer.example:6881&x.pe=1.2.3.4&x.pe=1.2.3.4:0",
    );
    let peers: Vec<String> = magnet.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["127.0.0.2:6881", "[::1]:1"]);
    assert_eq!(
        magnet.ignored,
        [
            r#"`x.pe` number 4: "peer.example:6881" is no numeric address with a port; host names are not looked up"#,
            r#"`x.pe` number 5: "1.2.3.4" is no numeric address with a port; host names are not looked up"#,
            r#"`x.pe` number 6: "1.2.3.4:0" is an address that nobody can be reached at"#,
        ]
    );
}

#[test]
fn reasons_are_bounded() {
    let magnet = link(&vec!["x.pe=a"; 1000].join("&"));
    assert_eq!(magnet.ignored.len(), 65);
    assert_eq!(magnet.ignored.last().unwrap(), "and 936 more");
}

#[test]
fn files_are_named_by_index_and_range() {
    assert_eq!(link("so=4-6,0,2%2C5&so=9").select_only, [0, 2, 4, 5, 6, 9]);
    assert_eq!(link("so=").select_only, Vec::<u32>::new());
    assert_eq!(link("so=4294967295").select_only, [u32::MAX]);
    assert_eq!(link("so=0-99999").select_only.len(), 100_000);
    for wrong in
        ["a", "1,", "-1", "1-", "1-2-3", "+1", "6-4", "4294967296", "0-100000", "0-99999,7", "0-4294967295"]
    {
        assert!(refusal(&format!("so={wrong}")).starts_with("`so` in the link"), "{wrong}");
    }
}

#[test]
fn a_link_that_names_files_becomes_a_selection() {
    assert_eq!(link("dn=x").selection(), None);
    let rules = link("so=1").selection().unwrap();
    assert!(rules.validate().is_ok());
    assert!(!rules.is_everything());
}

#[test]
fn members_that_mean_nothing_here_are_passed_over() {
    let magnet = link("xl=10&kt=a+b&x.foo=1&&=&amp&tr.x=udp://t:1&%41=%");
    assert!(magnet.ignored.is_empty() && magnet.trackers.is_empty());
}

#[test]
fn a_control_character_in_the_link_is_refused() {
    assert_eq!(refusal("k\0=1"), r#"`"k\0"` in the link is not understood: it holds a control character"#);
}

#[test]
fn the_fixed_spelling_is_what_libtorrent_reads() {
    let magnet = link(&format!(
        "xt=URN:BTMH:1220{}&dn=a+b&tr=udp://t:1/a+b&ws=http://w/&x.pe=[::1]:5&so=2,1,0,7",
        V2.to_uppercase()
    ));
    assert_eq!(
        magnet.to_uri(),
        format!(
            "magnet:?xt=urn:btih:{V1}&xt=urn:btmh:1220{V2}&dn=a%20b&tr=udp%3A%2F%2Ft%3A1%2Fa%2Bb&ws=http%3A%2F%2Fw%2F&x.pe=[::1]:5&so=0-2,7"
        )
    );
}
