//! Hashes as text, and whether two torrents are one.

use proptest::prelude::*;

use super::{InfoHashV1, InfoHashV2, InfoHashes};

const A: InfoHashV1 = InfoHashV1::new([0xa; 20]);
const B: InfoHashV1 = InfoHashV1::new([0xb; 20]);
const C: InfoHashV2 = InfoHashV2::new([0xc; 32]);
const D: InfoHashV2 = InfoHashV2::new([0xd; 32]);

#[test]
fn a_hash_is_written_in_lower_case() {
    let text = "0123456789ABCDEF0123456789abcdef01234567";
    assert_eq!(text.parse::<InfoHashV1>().unwrap().to_string(), text.to_lowercase());
}

#[test]
fn another_length_or_other_digits_are_refused() {
    for text in
        ["", "0", &"0".repeat(39), &"0".repeat(41), &"g".repeat(40), &"é".repeat(20), &"+1".repeat(20)]
    {
        assert!(text.parse::<InfoHashV1>().is_err(), "{text}");
    }
    let error = "0".repeat(40).parse::<InfoHashV2>().unwrap_err().to_string();
    assert!(error.starts_with("an info-hash of this kind is 64 hexadecimal digits, not"), "{error}");
    assert!(InfoHashV1::try_from([0; 21].as_slice()).is_err());
    assert_eq!(InfoHashV1::try_from([0xa; 20].as_slice()).unwrap(), A);
}

#[test]
fn content_is_the_same_by_a_hash_that_both_have() {
    let of = |v1, v2| InfoHashes { v1, v2 };
    let hybrid = of(Some(A), Some(C));
    for (other, same) in [
        (of(Some(A), None), true),
        (of(None, Some(C)), true),
        (of(Some(A), Some(D)), true),
        (of(Some(B), Some(C)), true),
        (of(Some(B), Some(D)), false),
        (of(Some(B), None), false),
        (of(None, None), false),
    ] {
        assert_eq!(hybrid.overlaps(&other), same, "{other:?}");
        assert_eq!(other.overlaps(&hybrid), same, "{other:?}");
    }
    assert!(!of(None, None).overlaps(&of(None, None)));
    assert!(!of(Some(A), None).overlaps(&of(None, Some(C))));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(v1 in any::<[u8; 20]>(), v2 in any::<[u8; 32]>()) {
        let (v1, v2) = (InfoHashV1::new(v1), InfoHashV2::new(v2));
        prop_assert_eq!(v1.to_string().parse(), Ok(v1));
        prop_assert_eq!(v2.to_string().parse(), Ok(v2));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        prop_assert!(text.parse::<InfoHashV2>().is_err());
    }
}
