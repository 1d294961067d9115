//! WeChat's refusals in plain words: what is wrong, and what to do.
//!
//! Sources: <https://pay.weixin.qq.com/doc/v3/merchant/4012081709> (errors) and the texts of real 401 answers.

use weixin::pay::v3::{Code, ErrorBody, VerifyError, certificates::CertificatesError};
use weixin_client::{ApiError, CallError, CallErrorV3, Unreadable};

use crate::http::chain;

/// What is wrong and what to do.
pub(super) struct Words {
    pub(super) text: String,
    pub(super) fix: String,
}

impl Words {
    fn new(text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { text: text.into(), fix: fix.into() }
    }
}

const CLOCK: &str = "set the clock of this machine with NTP";
const EXPLAIN: &str = "`zhanggui explain-signature` shows what is signed";

/// A call of API v3 that did not succeed.
pub(super) fn v3(error: &CallErrorV3) -> Words {
    match error {
        CallErrorV3::Refused { status, error: Some(body), .. } => refused(*status, body),
        CallErrorV3::NotAuthentic(error) => not_authentic(error),
        CallErrorV3::NoKeys(cause) => v3(cause),
        CallErrorV3::Unreadable(Unreadable::Certificates(CertificatesError::Sealed(_))) => Words::new(
            "the platform certificates cannot be opened with the APIv3 key",
            "set api_v3_key to the APIv3 key of the merchant platform (API security); it is not the key of API v2",
        ),
        CallErrorV3::NoAnswer(_) => Words::new(chain(error), NETWORK),
        error => Words::new(chain(error), "try again; if it stays, somebody between here and WeChat answers"),
    }
}

const NETWORK: &str = "look at DNS, firewall and proxy: this machine must reach WeChat's hosts by name over https";

fn refused(status: u16, body: &ErrorBody) -> Words {
    let said = format!("WeChat answers {status} {}: {}", body.code, body.message);
    let message = body.message.as_str();
    let fix = match status {
        401 => return sign_error(body, said),
        400 if message.contains("Wechatpay-Serial") => {
            "set public_key_id and public_key_file to what the merchant platform shows (API security)"
        }
        404 if body.code == Code::ResourceNotExists => {
            "this merchant has WeChat Pay's public key instead of platform certificates: download it from the merchant \
             platform (API security), and set public_key_id and public_key_file"
        }
        403 => "look at the permissions and the list of addresses of the merchant on the merchant platform",
        400 if body.code == Code::MchNotExists => "correct mchid",
        400 if body.code == Code::AppidMchidNotMatch => "bind the app to the merchant on the merchant platform",
        429 => "try again in a minute",
        500.. => "WeChat fails at the moment: try again",
        _ => "see the sentence of WeChat",
    };
    Words::new(said, fix)
}

/// 401: the message says which of many reasons it is; WeChat tells what it would have signed itself.
fn sign_error(body: &ErrorBody, said: String) -> Words {
    let message = body.message.as_str();
    let fixes: [(&str, &str); 7] = [
        ("timestamp", CLOCK),
        (
            "序列号有误",
            "the serial number is not one of this merchant, or not of the private key: set certificate_file to the \
             apiclient_cert.pem that came with the key, and look at mchid",
        ),
        ("已过期", "the certificate has expired: apply for a new one on the merchant platform (API security)"),
        ("已作废", "the certificate was revoked: use the merchant's present one"),
        ("已更换", "the certificate was replaced: use the merchant's present one"),
        ("未设置APIv3", "set an APIv3 key on the merchant platform (API security), then here"),
        ("未申请过证书", "apply for a certificate on the merchant platform (API security)"),
    ];
    let found = fixes.iter().find(|(words, _)| message.contains(words)).map(|(_, fix)| *fix);
    let other =
        "the private key does not belong to serial_no: use key, certificate and serial number of one application";
    let information = body.detail.as_ref().and_then(|detail| detail.get("sign_information"));
    let information = information.map_or_else(String::new, |text| format!("; WeChat would have signed {text}"));
    Words::new(format!("{said}{information}"), format!("{}; {EXPLAIN}", found.unwrap_or(other)))
}

fn not_authentic(error: &VerifyError) -> Words {
    let text = format!("WeChat's answer cannot be verified: {error}");
    let fix = match error {
        VerifyError::Untimely { .. } => CLOCK,
        VerifyError::UnknownKey { .. } => {
            "WeChat signs with a key that is not configured: set public_key_id and public_key_file"
        }
        VerifyError::Mismatch => {
            "public_key_file is not the key of public_key_id, or something between here and WeChat changes answers"
        }
        VerifyError::Probe => "WeChat tests whether it is verified: run the doctor again",
        _ => "something between here and WeChat drops or changes headers",
    };
    Words::new(text, fix)
}

/// A call of API v2 that did not succeed.
pub(super) fn v2(error: &CallError) -> Words {
    match error {
        CallError::Refused { return_msg } if return_msg.contains("签名") => Words::new(
            format!("WeChat does not take the signature: {return_msg}"),
            format!("set api_v2_key to the APIv2 key of the merchant platform (API security); {EXPLAIN}"),
        ),
        CallError::Refused { return_msg } => {
            Words::new(format!("WeChat does not take the request: {return_msg}"), "look at mchid and appid")
        }
        CallError::NotAuthentic(_) => Words::new(
            chain(error),
            format!("set api_v2_key to the APIv2 key of the merchant platform (API security); {EXPLAIN}"),
        ),
        CallError::Rejected(rejection) => Words::new(
            chain(error),
            format!(
                "{}: look at mchid, appid and their binding on the merchant platform",
                rejection.err_code.meaning()
            ),
        ),
        CallError::NoAnswer(_) => Words::new(chain(error), NETWORK),
        error => Words::new(chain(error), "try again; if it stays, somebody between here and WeChat answers"),
    }
}

/// The access token could not be had.
pub(super) fn access_token(error: &ApiError) -> Words {
    let said = chain(error);
    let ApiError::Refused { errcode, errmsg } = error else { return Words::new(said, NETWORK) };
    match errcode.0 {
        40013 | 41002 => Words::new(said, "correct appid: WeChat knows no such mini program"),
        40001 | 40125 | 41004 => Words::new(
            said,
            "set secret to the AppSecret of this mini program (Development, Development management); resetting it there \
             makes the old one useless at once",
        ),
        40164 | 61004 | 89503 | 89506 | 89507 => {
            let address = address_in(errmsg).unwrap_or("this machine's public address");
            let fix = format!("put {address} on the list of addresses of the mini program (Development management)");
            Words::new(said, fix)
        }
        40243 | 50007 => Words::new(said, "unfreeze the AppSecret or the account on the page of the mini program"),
        45009 | 45011 => Words::new(said, "called too often: try again later"),
        -1 => Words::new(said, "WeChat is busy: try again"),
        _ => Words::new(said, "see WeChat's table of error codes"),
    }
}

/// The address in `invalid ip A.B.C.D ipv6 ::ffff:A.B.C.D, not in whitelist`.
fn address_in(errmsg: &str) -> Option<&str> {
    let mut words = errmsg.split([' ', ',']);
    words.find(|word| word.parse::<std::net::IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use weixin::mini_program::ErrCode;

    use super::*;

    #[test]
    fn the_address_that_wechat_does_not_know_is_shown() {
        let errmsg = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 1".to_owned();
        let words = access_token(&ApiError::Refused { errcode: ErrCode(40164), errmsg });
        assert!(words.fix.contains("203.0.113.7 "), "{}", words.fix);
    }

    #[test]
    fn every_401_of_wechat_has_its_own_fix() {
        let words = |message: &str| {
            let detail = serde_json::json!({ "sign_information": { "sign_message_length": 348 } });
            let body = ErrorBody { code: Code::SignError, message: message.to_owned(), detail: Some(detail) };
            v3(&CallErrorV3::Refused { status: 401, error: Some(body), request_id: None })
        };
        for (message, fix) in [
            ("Http头Authorization中的timestamp与发起请求的时间不得超过5分钟", "NTP"),
            ("签名错误", "private key does not belong"),
            ("商户证书序列号有误。请使用签名私钥匹配的证书序列号", "serial number is not one"),
            ("商户证书已过期", "expired"),
            ("商户证书已作废", "revoked"),
            ("商户已更换证书，请使用新证书", "replaced"),
            ("商户未设置APIv3密钥。", "APIv3 key"),
            ("商户未申请过证书。", "apply for a certificate"),
        ] {
            let words = words(message);
            assert!(words.fix.contains(fix) && words.fix.contains("explain-signature"), "{message}: {}", words.fix);
            assert!(words.text.contains("348"), "WeChat's own text is shown: {}", words.text);
        }
    }
}
