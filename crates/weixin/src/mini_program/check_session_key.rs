//! `GET /wxa/checksession`: whether a session key is still the current one of a customer.
//!
//! Who asks proves to have the key by signing nothing with it ([`user_state_signature`]). The page calls the three
//! parameters a body, but it is a GET and its own sample has them in the query.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/user-login/api_checksessionkey.html>.

use super::{
    ErrCode,
    open_data::{SIG_METHOD, is_user_state_signature, user_state_signature},
};
use crate::{AccessToken, OpenId, SessionKey};

/// The path below the host.
pub const PATH: &str = "/wxa/checksession";

/// Asks about a session key.
#[derive(Clone, Debug)]
pub struct Request {
    /// The customer.
    pub openid: OpenId,
    /// The key that is asked about. It does not leave the server.
    pub session_key: SessionKey,
}

impl Request {
    /// The query string. It contains the access token: never log it.
    pub fn to_query(&self, access_token: &AccessToken) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("access_token", access_token.expose())
            .append_pair("openid", self.openid.as_str())
            .append_pair("signature", &user_state_signature(&self.session_key, ""))
            .append_pair("sig_method", SIG_METHOD)
            .finish()
    }
}

/// What WeChat sees of a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The customer.
    pub openid: OpenId,
    signature: String,
}

impl Claim {
    /// Reads the query string as WeChat does.
    ///
    /// # Errors
    /// The code that WeChat answers.
    pub fn from_query(query: &str) -> Result<Self, ErrCode> {
        let field = |name| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let openid = OpenId::parse(field("openid")).map_err(|_| ErrCode::INVALID_OPENID)?;
        if field("sig_method") != SIG_METHOD {
            return Err(ErrCode::INVALID_SIG_METHOD);
        }
        Ok(Self { openid, signature: field("signature") })
    }

    /// Compares with the customer's current key, if there is one.
    ///
    /// # Errors
    /// The code that WeChat answers.
    pub fn check(&self, current: Option<&SessionKey>) -> Result<(), ErrCode> {
        let current = current.ok_or(ErrCode::SESSION_KEY_EXPIRED)?;
        if is_user_state_signature(current, "", &self.signature) { Ok(()) } else { Err(ErrCode::INVALID_SIGNATURE) }
    }
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::SESSION_KEY_EXPIRED,
    ErrCode::INVALID_SIG_METHOD,
    ErrCode::INVALID_SIGNATURE,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SessionKey {
        SessionKey::parse(text).unwrap()
    }

    fn query(session_key: &str) -> String {
        let request = Request { openid: OpenId::parse("o1").unwrap(), session_key: key(session_key) };
        request.to_query(&AccessToken::parse("t").unwrap())
    }

    #[test]
    fn the_current_key_is_recognised_and_no_other_one() {
        let query = query("9hAb/NEYUlkaMBEsmFgzig==");
        assert!(!query.contains("9hAb"), "{query}");
        let claim = Claim::from_query(&query).unwrap();
        assert_eq!(claim.openid.as_str(), "o1");
        assert_eq!(claim.check(Some(&key("9hAb/NEYUlkaMBEsmFgzig=="))), Ok(()));
        assert_eq!(claim.check(Some(&key("tiihtNczf5v6AKRyjwEUhQ=="))), Err(ErrCode::INVALID_SIGNATURE));
        assert_eq!(claim.check(None), Err(ErrCode::SESSION_KEY_EXPIRED));
    }

    #[test]
    fn what_wechat_refuses_is_refused_with_its_code() {
        let query = query("9hAb/NEYUlkaMBEsmFgzig==");
        assert_eq!(Claim::from_query("signature=a&sig_method=hmac_sha256"), Err(ErrCode::INVALID_OPENID));
        assert_eq!(Claim::from_query(&query.replace("hmac_sha256", "md5")), Err(ErrCode::INVALID_SIG_METHOD));
        let unsigned = Claim::from_query("openid=o1&sig_method=hmac_sha256").unwrap();
        assert_eq!(unsigned.check(Some(&key("9hAb/NEYUlkaMBEsmFgzig=="))), Err(ErrCode::INVALID_SIGNATURE));
    }
}
