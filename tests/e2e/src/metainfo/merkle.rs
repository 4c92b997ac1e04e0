//! Merkle trees of BEP 52: SHA-256 over 16 KiB blocks, filled up with zero hashes to a power of two.

use sha2::{Digest, Sha256};

/// Leaf size of every tree.
pub(super) const BLOCK: u64 = 16 * 1024;

pub(super) type Hash = [u8; 32];

/// The root over `leaves` padded with `filler` to `width`, a power of two not below their number.
pub(super) fn root(leaves: &[Hash], width: usize, filler: Hash) -> Hash {
    let mut layer = leaves.to_vec();
    layer.resize(width, filler);
    while layer.len() > 1 {
        layer = layer.chunks(2).map(|pair| join(&pair[0], &pair[1])).collect();
    }
    layer.first().copied().unwrap_or_default()
}

fn join(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leaf_is_its_own_root_and_two_are_joined() {
        let (a, b) = ([1; 32], [2; 32]);
        assert_eq!(root(&[a], 1, [0; 32]), a);
        assert_eq!(root(&[a, b], 2, [0; 32]), join(&a, &b));
        assert_eq!(root(&[a, b, a], 4, [0; 32]), join(&join(&a, &b), &join(&a, &[0; 32])));
    }
}
