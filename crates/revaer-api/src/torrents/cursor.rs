//! The cursor of a list: the immutable (`added_at`, `id`) of the last row, bound to the filter and the order that it
//! was made under.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use revaer_catalog::{Cursor, Filter, Order};
use revaer_torrent_core::TorrentId;
use time::OffsetDateTime;
use uuid::Uuid;

/// Changes with the layout of the bytes.
const VERSION: u8 = 1;
const LENGTH: usize = 1 + 8 + 16 + 8;

/// The cursor as clients get it.
pub(crate) fn encode(cursor: &Cursor, filter: &Filter, order: Order) -> String {
    let micros = cursor.added_at.unix_timestamp_nanos() / 1_000;
    let mut bytes = Vec::with_capacity(LENGTH);
    bytes.push(VERSION);
    bytes.extend(i64::try_from(micros).unwrap_or(i64::MAX).to_be_bytes());
    bytes.extend(cursor.id.as_uuid().as_bytes());
    bytes.extend(fingerprint(filter, order).to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The cursor of a text that [`encode`] made under the same filter and order.
pub(crate) fn decode(text: &str, filter: &Filter, order: Order) -> Result<Cursor, &'static str> {
    const FOREIGN: &str = "is not a cursor of this list; take it from `next` of the page before";
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| FOREIGN)?;
    let bytes: [u8; LENGTH] = bytes.try_into().map_err(|_| FOREIGN)?;
    let (head, made_under) = bytes.split_at(LENGTH - 8);
    let (micros, id) = head[1..].split_at(8);
    let micros = i64::from_be_bytes(micros.try_into().map_err(|_| FOREIGN)?);
    let added_at =
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).map_err(|_| FOREIGN)?;
    if head[0] != VERSION {
        return Err(FOREIGN);
    }
    if made_under != fingerprint(filter, order).to_be_bytes() {
        return Err("was made under another filter or order; begin without a cursor");
    }
    let id = TorrentId::from_trusted(Uuid::from_slice(id).map_err(|_| FOREIGN)?);
    Ok(Cursor { added_at, id })
}

/// FNV-1a, 64 bits: the same in every build, unlike the standard library's hashes.
fn fingerprint(filter: &Filter, order: Order) -> u64 {
    let order = match order {
        Order::Newest => "",
        Order::Oldest => "|oldest",
    };
    filter.fingerprint().bytes().chain(order.bytes()).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            added_at: datetime!(2025-10-17 12:00:00.123456 UTC),
            id: TorrentId::from_trusted(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001)),
        }
    }

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let filter = Filter { names: vec!["a".to_owned()], ..Filter::default() };
        let text = encode(&cursor(), &filter, Order::Oldest);
        assert_eq!(decode(&text, &filter, Order::Oldest), Ok(cursor()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }

    #[test]
    fn another_filter_order_or_text_is_refused() {
        let text = encode(&cursor(), &Filter::default(), Order::Newest);
        let other = Filter { tags: vec!["x".to_owned()], ..Filter::default() };
        assert!(decode(&text, &other, Order::Newest).unwrap_err().contains("another filter"));
        assert!(decode(&text, &Filter::default(), Order::Oldest).unwrap_err().contains("order"));
        for bad in ["", "x", "AAAA", &format!("{text}AA"), &text[1..], "!!!!"] {
            assert!(decode(bad, &Filter::default(), Order::Newest).is_err(), "{bad}");
        }
    }
}
