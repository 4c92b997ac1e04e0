//! Any text is refused with a reason, or understood and written so that it is understood the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revaer_torrent_core::{MAX_MAGNET_BYTES, Magnet};

fuzz_target!(|text: &str| {
    match Magnet::parse(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(magnet) => {
            let uri = magnet.to_uri();
            // The fixed spelling may be longer than what is taken.
            if uri.len() <= MAX_MAGNET_BYTES {
                let again = Magnet::parse(&uri).expect("what was written is understood");
                assert!(again.ignored.is_empty());
                assert_eq!(again.to_uri(), uri);
                assert_eq!(again.info_hashes, magnet.info_hashes);
                assert_eq!(again.select_only, magnet.select_only);
            }
            if let Some(rules) = magnet.selection() {
                rules.validate().expect("what a link asks for is a selection");
            }
        }
    }
});
