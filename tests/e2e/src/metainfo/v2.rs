//! The v2 members of an info dictionary: a tree of files, each with the root of its own hash tree.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::files::Content;
use super::merkle::{BLOCK, Hash, root};
use crate::bencode::Value;

/// The file tree and the piece layers that do not fit into it.
pub(super) struct Tree {
    tree: Value,
    layers: BTreeMap<Vec<u8>, Value>,
}

impl Tree {
    /// Hashes every file.
    pub(super) fn read(content: &Content, piece_length: u64) -> Result<Self> {
        let mut tree = Value::Dict(BTreeMap::new());
        let mut layers = BTreeMap::new();
        for file in &content.files {
            let mut leaf = vec![("length", Value::size(file.size))];
            if file.size > 0 {
                let (root, layer) = hash(File::open(&file.on_disk)?, piece_length)?;
                leaf.push(("pieces root", Value::from(root.to_vec())));
                if file.size > piece_length {
                    layers.insert(root.to_vec(), Value::from(layer.concat()));
                }
            }
            insert(&mut tree, &file.path, Value::dict(leaf));
        }
        Ok(Self { tree, layers })
    }

    /// `file tree` and `meta version`.
    pub(super) fn members(&self) -> BTreeMap<Vec<u8>, Value> {
        BTreeMap::from([
            (b"file tree".to_vec(), self.tree.clone()),
            (b"meta version".to_vec(), Value::Int(2)),
        ])
    }

    /// `piece layers`, which stand outside of the info dictionary.
    pub(super) fn layers(self) -> Value {
        Value::Dict(self.layers)
    }
}

/// A file is a dictionary whose only key is empty.
fn insert(tree: &mut Value, path: &[String], leaf: Value) {
    let Value::Dict(entries) = tree else { return };
    match path {
        [] => {
            entries.insert(Vec::new(), leaf);
        }
        [first, rest @ ..] => {
            let below =
                entries.entry(first.as_bytes().to_vec()).or_insert_with(|| Value::Dict(BTreeMap::new()));
            insert(below, rest, leaf);
        }
    }
}

/// The root of a file and the hashes of its pieces.
fn hash(mut file: File, piece_length: u64) -> Result<(Hash, Vec<Hash>)> {
    let per_piece = usize::try_from(piece_length / BLOCK)?;
    let mut blocks: Vec<Hash> = Vec::new();
    loop {
        let mut block = Vec::new();
        file.by_ref().take(BLOCK).read_to_end(&mut block)?;
        if block.is_empty() {
            break;
        }
        blocks.push(Sha256::digest(&block).into());
    }
    if blocks.len() <= per_piece {
        return Ok((root(&blocks, blocks.len().next_power_of_two(), [0; 32]), Vec::new()));
    }
    let layer: Vec<Hash> = blocks.chunks(per_piece).map(|piece| root(piece, per_piece, [0; 32])).collect();
    let empty_piece = root(&[], per_piece, [0; 32]);
    Ok((root(&layer, layer.len().next_power_of_two(), empty_piece), layer))
}
