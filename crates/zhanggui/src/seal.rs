//! Sealed columns: AES-256-GCM with the master key, bound to table, row and column.
//!
//! Layout: one byte format, one byte length of the key id, the key id, 12 bytes nonce, ciphertext and tag.
//! The key id lets a new master key live beside an old one.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest,
};
use secrecy::{ExposeSecret, SecretBox};

use crate::clock::{Entropy, random};

const FORMAT: u8 = 1;
const KEY_ID_LENGTH: usize = 8;
const NONCE_LENGTH: usize = 12;

/// A master key: 32 bytes.
pub struct MasterKey(SecretBox<[u8; 32]>);

impl MasterKey {
    /// A key of these bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The first digits of the key's hash: names the key without telling it.
    fn id(&self) -> [u8; KEY_ID_LENGTH] {
        let hash = digest::digest(&digest::SHA256, self.0.expose_secret());
        let mut id = [0; KEY_ID_LENGTH];
        id.copy_from_slice(&hash.as_ref()[..KEY_ID_LENGTH]);
        id
    }
}

/// Where a sealed value stands. A value that is moved elsewhere cannot be opened.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table.
    pub table: &'static str,
    /// The primary key of the row.
    pub row: &'a str,
    /// The column.
    pub column: &'static str,
}

impl Place<'_> {
    fn associated_data(&self) -> String {
        format!("{}\n{}\n{}", self.table, self.row, self.column)
    }
}

/// Seals and opens with the master key.
pub struct Seal {
    id: [u8; KEY_ID_LENGTH],
    key: LessSafeKey,
    entropy: Entropy,
}

impl Seal {
    /// Seals with this key.
    pub fn new(master: &MasterKey, entropy: Entropy) -> Self {
        // 32 bytes are what the cipher takes.
        let key = UnboundKey::new(&AES_256_GCM, master.0.expose_secret()).expect("a key of 32 bytes");
        Self { id: master.id(), key: LessSafeKey::new(key), entropy }
    }

    /// Seals a value for its place.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LENGTH] = random(&self.entropy);
        let mut sealed = vec![FORMAT, KEY_ID_LENGTH as u8];
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.associated_data().as_bytes()),
                &mut body,
            )
            // Fails beyond 64 GiB only; the largest value is a message.
            .expect("a message can be sealed");
        sealed.append(&mut body);
        sealed
    }

    /// Opens a value that was sealed for this place.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let rest = sealed.strip_prefix(&[FORMAT, KEY_ID_LENGTH as u8]).ok_or(SealError::Format)?;
        let (id, rest) = rest.split_at_checked(KEY_ID_LENGTH).ok_or(SealError::Format)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LENGTH).ok_or(SealError::Format)?;
        if id != self.id {
            return Err(SealError::OtherKey { key_id: hex::encode(id) });
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Format)?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(place.associated_data().as_bytes()), &mut body)
            .map_err(|_| SealError::Broken { table: place.table, column: place.column })?;
        Ok(plain.to_vec())
    }
}

/// Why a sealed value cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Not something that this program sealed.
    #[error("the value was not sealed by this program")]
    Format,
    /// Sealed with a master key that is not configured.
    #[error("the value was sealed with another master key (id {key_id})")]
    OtherKey {
        /// Names the key.
        key_id: String,
    },
    /// Changed or moved since it was sealed.
    #[error("the sealed value in {table}.{column} was changed or moved")]
    Broken {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::system_entropy;

    fn place(row: &str) -> Place<'_> {
        Place { table: "customer", row, column: "session_key_sealed" }
    }

    #[test]
    fn a_sealed_value_opens_only_at_its_place_and_with_its_key() {
        let seal = Seal::new(&MasterKey::new([7; 32]), system_entropy());
        let sealed = seal.seal(place("cus_1"), b"needle");
        assert!(!sealed.windows(6).any(|window| window == b"needle"));
        assert_eq!(seal.open(place("cus_1"), &sealed).unwrap(), b"needle");
        assert!(matches!(seal.open(place("cus_2"), &sealed), Err(SealError::Broken { .. })));
        let other = Seal::new(&MasterKey::new([8; 32]), system_entropy());
        assert!(matches!(other.open(place("cus_1"), &sealed), Err(SealError::OtherKey { .. })));
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let seal = Seal::new(&MasterKey::new([7; 32]), system_entropy());
        let sealed = seal.seal(place("cus_1"), b"needle");
        for index in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[index] ^= 1;
            assert!(seal.open(place("cus_1"), &broken).is_err(), "byte {index}");
        }
        assert!(seal.open(place("cus_1"), &[]).is_err());
    }
}
