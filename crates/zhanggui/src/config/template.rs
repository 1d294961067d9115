//! The file that `zhanggui init` writes.

use crate::clock::{Entropy, random};

/// A commented configuration with every key. It cannot work before the merchant's own values stand in it.
pub const TEMPLATE: &str = include_str!("template.toml");

/// A fresh master key as it stands in its file.
pub fn new_master_key(entropy: &Entropy) -> String {
    format!("{}\n", hex::encode(random::<32>(entropy)))
}
