//! Random-looking values that are the same for the same seed.
//!
//! Every value is a hash of (seed, purpose, subject, counter) instead of the next draw of a shared generator.
//! Therefore the order in which concurrent requests arrive changes no value, and a test that fails can be repeated.

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use weixin::{JsCode, NonceStr, OpenId, OutRefundNo, PrepayId, SessionKey, TransactionId, UnionId, beijing_time};

const ALPHANUMERIC: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// What decides all random values of one simulator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// So many bytes that belong to the purpose, the subject and the counter.
    fn bytes(self, purpose: &str, subject: &str, counter: u64, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 32);
        for block in 0_u64.. {
            if bytes.len() >= length {
                break;
            }
            let mut hash = Context::new(&SHA256);
            hash.update(&self.0.to_be_bytes());
            // The lengths keep ("ab", "c") and ("a", "bc") apart.
            for part in [purpose, subject] {
                hash.update(&(part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
            hash.update(&counter.to_be_bytes());
            hash.update(&block.to_be_bytes());
            bytes.extend_from_slice(hash.finish().as_ref());
        }
        bytes.truncate(length);
        bytes
    }

    /// Letters and digits.
    pub(crate) fn alphanumeric(self, purpose: &str, subject: &str, counter: u64, length: usize) -> String {
        let bytes = self.bytes(purpose, subject, counter, length);
        bytes.iter().map(|byte| char::from(ALPHANUMERIC[usize::from(*byte) % ALPHANUMERIC.len()])).collect()
    }

    /// Decimal digits.
    pub(crate) fn digits(self, purpose: &str, subject: &str, counter: u64, length: usize) -> String {
        self.bytes(purpose, subject, counter, length).iter().map(|byte| char::from(b'0' + byte % 10)).collect()
    }

    /// `nonce_str` of an answer or notification: 16 letters and digits, as in real messages.
    pub(crate) fn nonce(self, subject: &str, counter: u64) -> NonceStr {
        parsed(NonceStr::parse(self.alphanumeric("nonce_str", subject, counter, 16)))
    }

    /// 28 characters that begin with `o`, as real ones do.
    pub(crate) fn openid(self, appid: &str, customer: &str) -> OpenId {
        parsed(OpenId::parse(format!("o{}", self.alphanumeric("openid", &format!("{appid}/{customer}"), 0, 27))))
    }

    /// 28 characters that begin with `o`; the same in all apps of one Open Platform account.
    pub(crate) fn unionid(self, open_platform: &str, customer: &str) -> UnionId {
        let subject = format!("{open_platform}/{customer}");
        parsed(UnionId::parse(format!("o{}", self.alphanumeric("unionid", &subject, 0, 27))))
    }

    /// `0` and 31 letters or digits.
    pub(crate) fn js_code(self, subject: &str, counter: u64) -> JsCode {
        parsed(JsCode::parse(format!("0{}", self.alphanumeric("js_code", subject, counter, 31))))
    }

    /// base64 of 16 bytes.
    pub(crate) fn session_key(self, openid: &str, counter: u64) -> SessionKey {
        parsed(SessionKey::parse(STANDARD.encode(self.bytes("session_key", openid, counter, 16))))
    }

    /// 23 and fifteen digits, greater than 2^53 as real ones: whoever takes them for doubles mixes messages up.
    pub(crate) fn msg_id(self, customer: &str, counter: u64) -> i64 {
        let digits = self.digits("msg_id", customer, counter, 15);
        // Seventeen digits fit.
        format!("23{digits}").parse().unwrap_or(i64::MAX)
    }

    /// Sixteen bytes.
    pub(crate) fn sixteen(self, purpose: &str, subject: &str, counter: u64) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.bytes(purpose, subject, counter, 16));
        bytes
    }

    /// `wx`, `ddHHmmss` and lower-case hexadecimal digits: 36 characters.
    pub(crate) fn prepay_id(self, order: &str, counter: u64, now: Timestamp) -> PrepayId {
        let tail = hex::encode(self.bytes("prepay_id", order, counter, 13));
        parsed(PrepayId::parse(format!("wx{}{tail}", &beijing_time::compact(now)[6..])))
    }

    /// `42000`, five digits, the date and ten digits: 28 digits.
    pub(crate) fn transaction_id(self, order: &str, now: Timestamp) -> TransactionId {
        let digits = self.digits("transaction_id", order, 0, 15);
        let date = &beijing_time::compact(now)[..8];
        parsed(TransactionId::parse(format!("42000{}{date}{}", &digits[..5], &digits[5..])))
    }

    /// `503`, four zeros, the date and fourteen digits: 29 digits.
    pub(crate) fn refund_id(self, refund: &str, now: Timestamp) -> String {
        let date = &beijing_time::compact(now)[..8];
        format!("5030000{date}{}", self.digits("refund_id", refund, 0, 14))
    }

    /// The number of a refund that somebody makes at the merchant platform: 28 digits.
    pub(crate) fn platform_refund_no(self, order: &str, counter: u64, now: Timestamp) -> OutRefundNo {
        let digits = self.digits("platform_refund_no", order, counter, 14);
        parsed(OutRefundNo::parse(format!("{}{digits}", beijing_time::compact(now))))
    }

    /// The id of a notification of API v3: a UUID in the shape of version 5.
    pub(crate) fn notification_id(self, subject: &str) -> String {
        let digits = hex::encode(self.bytes("notification_id", subject, 0, 16));
        format!("{}-{}-5{}-a{}-{}", &digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..])
    }

    /// So many lower-case hexadecimal digits.
    pub(crate) fn hexadecimal(self, purpose: &str, subject: &str, counter: u64, length: usize) -> String {
        let mut digits = hex::encode(self.bytes(purpose, subject, counter, length.div_ceil(2)));
        digits.truncate(length);
        digits
    }

    /// A number from 0 to 999 in which every one is as likely, nearly.
    pub(crate) fn per_mille(self, purpose: &str, subject: &str, counter: u64) -> u16 {
        let bytes = self.bytes(purpose, subject, counter, 4);
        let number = bytes.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        // Less than 1000.
        u16::try_from(number % 1000).unwrap_or(0)
    }

    /// The request id at the end of an `errmsg`: Unix time, then eight and eight hexadecimal digits.
    pub(crate) fn rid(self, subject: &str, now: Timestamp) -> String {
        let bytes = hex::encode(self.bytes("rid", subject, 0, 8));
        format!("{:08x}-{}-{}", now.as_second(), &bytes[..8], &bytes[8..])
    }
}

/// The values above are built in the form that the type checks, so the check cannot fail.
fn parsed<T>(result: Result<T, weixin::FieldError>) -> T {
    result.unwrap_or_else(|error| unreachable!("the simulator made a malformed value: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_seed_others() {
        assert_eq!(Seed(1).openid("wx1", "li"), Seed(1).openid("wx1", "li"));
        assert_ne!(Seed(1).openid("wx1", "li"), Seed(2).openid("wx1", "li"));
        assert_ne!(Seed(1).openid("wx1", "li"), Seed(1).openid("wx2", "li"));
        assert_ne!(Seed(1).js_code("a", 0), Seed(1).js_code("a", 1));
    }

    #[test]
    fn identifiers_have_the_form_of_real_ones() {
        let now: Timestamp = "2026-01-22T06:30:05Z".parse().expect("a time");
        let prepay_id = Seed(7).prepay_id("1600000001/ORD", 0, now);
        assert_eq!(prepay_id.as_str().len(), 36);
        assert!(prepay_id.as_str().starts_with("wx22143005"));
        let transaction_id = Seed(7).transaction_id("1600000001/ORD", now);
        assert_eq!(transaction_id.as_str().len(), 28);
        assert_eq!(&transaction_id.as_str()[10..18], "20260122");
        assert!(transaction_id.as_str().starts_with("42000"));
        assert_eq!(Seed(7).openid("a", "b").as_str().len(), 28);
    }
}
