//! The parser against the standard's examples, and cut anywhere.

use proptest::prelude::*;

use super::*;

fn parse_in_pieces(stream: &[u8], size: usize) -> Vec<Item> {
    let mut parser = Parser::new(1024);
    let mut items = Vec::new();
    for piece in stream.chunks(size) {
        parser.feed(piece).unwrap();
        while let Some(item) = parser.next() {
            items.push(item);
        }
    }
    items
}

fn parse(stream: &str) -> Vec<Item> {
    parse_in_pieces(stream.as_bytes(), usize::MAX)
}

fn event(id: Option<&str>, event: &str, data: &str) -> Item {
    Item::Event(Frame { id: id.map(str::to_owned), event: event.to_owned(), data: data.to_owned() })
}

#[test]
fn a_frame_has_an_id_a_kind_and_data() {
    assert_eq!(
        parse("id: 7\nevent: progress\ndata: {\"a\":1}\n\n"),
        [event(Some("7"), "progress", r#"{"a":1}"#)]
    );
}

#[test]
fn the_standards_forms_are_understood() {
    assert_eq!(parse("data: YHOO\ndata: +2\ndata: 10\n\n"), [event(None, "message", "YHOO\n+2\n10")]);
    assert_eq!(parse("data\n\ndata\ndata\n\n"), [event(None, "message", ""), event(None, "message", "\n")]);
    assert_eq!(
        parse("data:test\n\ndata:  x\n\n"),
        [event(None, "message", "test"), event(None, "message", " x")]
    );
    assert_eq!(parse("\u{feff}data: x\n\n"), [event(None, "message", "x")]);
    assert_eq!(parse("colour: red\nevent: lost\n\n"), []);
}

#[test]
fn every_line_ending_ends_a_line() {
    for stream in ["data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r", "data: a\n\ndata: b\n\n"] {
        for size in 1..=stream.len() {
            assert_eq!(
                parse_in_pieces(stream.as_bytes(), size),
                [event(None, "message", "a"), event(None, "message", "b")],
                "{stream:?} in pieces of {size}"
            );
        }
    }
}

#[test]
fn what_is_no_event_is_told_apart() {
    assert_eq!(
        parse("retry: 5000\n: keep-alive\nid: 9\n\nretry: soon\nretry:\nid: a\0b\n\n"),
        [Item::Retry(5000), Item::Comment("keep-alive".to_owned()), Item::Position("9".to_owned())]
    );
}

#[test]
fn an_unfinished_frame_is_no_event() {
    assert_eq!(parse("id: 1\ndata: half"), []);
    assert_eq!(parse("id: 1\ndata: half\n"), []);
}

#[test]
fn a_frame_without_end_is_refused() {
    let mut parser = Parser::new(16);
    assert_eq!(parser.feed(b"data: 0123456789abcdef"), Err(TooLong { limit: 16 }));
    let mut parser = Parser::new(16);
    parser.feed(b"data: 01234567\n").unwrap();
    assert_eq!(parser.feed(b"data: 01234567\n"), Err(TooLong { limit: 16 }));
}

proptest! {
    #[test]
    fn where_the_bytes_are_cut_does_not_matter(
        stream in r"(data: [a-z:é ]{0,8}|id: [0-9]{1,3}|event: [a-z]{1,4}|: [a-z]{0,4}|retry: [0-9]{1,3}|)((\r\n|\r|\n)(data: [a-zé]{0,5}|id: [0-9]|)){0,12}",
        size in 1_usize..9,
    ) {
        prop_assert_eq!(parse_in_pieces(stream.as_bytes(), size), parse_in_pieces(stream.as_bytes(), usize::MAX));
    }
}
