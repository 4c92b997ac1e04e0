//! A torrent of one file that has a v2 info-hash (BEP 52), alone or beside a v1 one.

use std::sync::Arc;

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::PIECE;

/// One file, named like the torrent; a piece is a block, so the piece layer is the layer of leaves.
pub struct V2Sample {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub metainfo: Arc<[u8]>,
    pub v1: String,
    pub v2: String,
}

impl V2Sample {
    /// A file of `pieces` pieces. `hybrid` adds what v1 needs.
    pub fn new(name: &'static str, pieces: usize, hybrid: bool) -> Self {
        let bytes: Vec<u8> =
            (0..pieces * PIECE).map(|at| (at / 7 + at / PIECE + name.len()).to_be_bytes()[7]).collect();
        let leaves: Vec<[u8; 32]> = bytes.chunks(PIECE).map(|block| Sha256::digest(block).into()).collect();
        let root = root_of(&leaves);
        let layer: Vec<u8> = leaves.concat();
        let length = bytes.len();

        let mut info =
            format!("d9:file treed{}:{name}d0:d6:lengthi{length}e11:pieces root32:", name.len()).into_bytes();
        info.extend(root);
        info.extend(b"eee");
        if hybrid {
            info.extend(format!("6:lengthi{length}e").bytes());
        }
        info.extend(format!("12:meta versioni2e4:name{}:{name}12:piece lengthi{PIECE}e", name.len()).bytes());
        if hybrid {
            info.extend(format!("6:pieces{}:", pieces * 20).bytes());
            bytes.chunks(PIECE).for_each(|piece| info.extend(Sha1::digest(piece)));
        }
        info.push(b'e');

        let mut metainfo = b"d4:info".to_vec();
        metainfo.extend(&info);
        metainfo.extend(b"12:piece layersd32:");
        metainfo.extend(root);
        metainfo.extend(format!("{}:", layer.len()).bytes());
        metainfo.extend(layer);
        metainfo.extend(b"ee");
        Self {
            name,
            bytes,
            metainfo: metainfo.into(),
            v1: hex(&Sha1::digest(&info)),
            v2: hex(&Sha256::digest(&info)),
        }
    }

    pub fn v1_magnet(&self) -> String {
        format!("magnet:?xt=urn:btih:{}", self.v1)
    }

    pub fn v2_magnet(&self) -> String {
        format!("magnet:?xt=urn:btmh:1220{}", self.v2)
    }
}

/// Missing leaves are zero.
fn root_of(leaves: &[[u8; 32]]) -> [u8; 32] {
    let mut layer = leaves.to_vec();
    layer.resize(leaves.len().next_power_of_two(), [0; 32]);
    while layer.len() > 1 {
        layer = layer.chunks(2).map(|pair| Sha256::digest(pair.concat()).into()).collect();
    }
    layer[0]
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
