//! The proof that a signature was checked.

use std::ops::Deref;

/// A value whose signature was verified, or that was read from a message whose signature was verified.
///
/// Only the verifying functions of this crate can make one. Whatever moves money asks for a `Verified`, so that
/// forgetting to verify does not compile:
///
/// ```compile_fail
/// let forged = weixin::Verified { value: 1 };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    value: T,
}

impl<T> Verified<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value }
    }

    /// The value without its proof.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Reads something else out of the verified value.
    pub(crate) fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Verified<U>, E> {
        read(self.value).map(Verified::new)
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}
