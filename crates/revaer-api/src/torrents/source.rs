//! What a torrent is added from: a magnet link or a .torrent, exactly one of them, judged before the answer.

use std::sync::Arc;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use revaer_api_models::ProblemKind;
use revaer_torrent_core::{
    Magnet, Metainfo,
    engine::{InspectError, TorrentEngine},
};

use crate::http::{faults::Faults, problem::Reject};

/// Most bytes of a .torrent.
pub(crate) const TORRENT_LIMIT: usize = 8 * 1024 * 1024;

/// Standard base64, with or without padding at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What was given, by where it stood.
#[derive(Debug, Default)]
pub(crate) struct Given<'a> {
    pub(crate) magnet: Option<&'a str>,
    /// Base64.
    pub(crate) metainfo: Option<&'a str>,
    /// The file part of a multipart body.
    pub(crate) torrent: Option<Arc<[u8]>>,
}

/// A source that was understood.
#[derive(Debug)]
pub(crate) enum Source {
    Magnet(Box<Magnet>),
    Metainfo(Arc<[u8]>, Box<Metainfo>),
}

impl Given<'_> {
    /// Where the source stands; faults of the torrent itself are reported there.
    pub(crate) fn pointer(&self) -> &'static str {
        match (&self.magnet, &self.metainfo, &self.torrent) {
            (_, _, Some(_)) => "/torrent",
            (_, Some(_), _) => "/metainfo",
            _ => "/magnet",
        }
    }

    /// Judges the source. `None`: it is at fault, or there is not exactly one.
    pub(crate) async fn judge(
        self,
        engine: &dyn TorrentEngine,
        faults: &mut Faults,
    ) -> Result<Option<Source>, Reject> {
        let pointer = self.pointer();
        match (self.magnet, self.metainfo, self.torrent) {
            (Some(link), None, None) => match Magnet::parse(link) {
                Ok(magnet) => return Ok(Some(Source::Magnet(Box::new(magnet)))),
                Err(error) => faults.add(pointer, error.to_string()),
            },
            (None, Some(text), None) => match decode(text)? {
                Ok(bytes) => return inspect(engine, bytes, pointer, faults).await,
                Err(message) => faults.add(pointer, message),
            },
            (None, None, Some(bytes)) => return inspect(engine, bytes, pointer, faults).await,
            (None, None, None) => {
                let message = "one of `magnet` and `metainfo` (or the file part `torrent`) is needed";
                faults.add("/magnet", message);
                faults.add("/metainfo", message);
            }
            (magnet, metainfo, torrent) => {
                let given = [
                    ("/magnet", magnet.is_some()),
                    ("/metainfo", metainfo.is_some()),
                    ("/torrent", torrent.is_some()),
                ];
                for (pointer, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                    faults.add(pointer, "a torrent is added from one source; leave the others out");
                }
            }
        }
        Ok(None)
    }
}

async fn inspect(
    engine: &dyn TorrentEngine,
    bytes: Arc<[u8]>,
    pointer: &str,
    faults: &mut Faults,
) -> Result<Option<Source>, Reject> {
    match engine.inspect(Arc::clone(&bytes)).await {
        Ok(metainfo) => Ok(Some(Source::Metainfo(bytes, Box::new(metainfo)))),
        Err(InspectError::Invalid(reason)) => {
            faults.add(pointer, reason);
            Ok(None)
        }
        Err(error @ InspectError::Unavailable(_)) => {
            Err(Reject::new(ProblemKind::ServiceUnavailable, format!("{error}; try again")))
        }
    }
}

/// The bytes of a base64 text; the outer error is one of size.
fn decode(text: &str) -> Result<Result<Arc<[u8]>, String>, Reject> {
    // Judged before anything is allocated; up to two characters of padding do not count.
    if text.trim_end_matches('=').len() / 4 * 3 > TORRENT_LIMIT {
        return Err(too_large("/metainfo"));
    }
    Ok(BASE64.decode(text).map(Arc::from).map_err(|error| format!("must be base64: {error}")))
}

/// The answer to a .torrent that is over its limit.
pub(crate) fn too_large(pointer: &str) -> Reject {
    let detail = format!("the .torrent is larger than the {TORRENT_LIMIT} bytes that are taken");
    Reject::new(ProblemKind::PayloadTooLarge, detail).param(pointer, "has too many bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_taken_with_and_without_padding() {
        for text in ["ZDE6YQ==", "ZDE6YQ"] {
            assert_eq!(decode(text).unwrap().unwrap().as_ref(), b"d1:a");
        }
        for text in ["ZDE6Y", "not base64", "ZDE6\n"] {
            assert!(decode(text).unwrap().is_err(), "{text:?}");
        }
    }

    #[test]
    fn eight_mebibytes_are_taken_and_more_are_not() {
        assert_eq!(decode(&BASE64.encode(vec![0; TORRENT_LIMIT])).unwrap().unwrap().len(), TORRENT_LIMIT);
        let refused = decode(&BASE64.encode(vec![0; TORRENT_LIMIT + 3])).unwrap_err();
        assert_eq!(refused.problem().status, 413);
    }
}
