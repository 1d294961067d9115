//! Keys, clocks and other things that the tests share.

use std::{
    error::Error,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use weixin::{ApiV2Key, AppId, AppSecret, JsCode, MchId, NonceStr, OutTradeNo, pay::v2};
use weixin_client::{AppCredential, Clock, MerchantKeyV2, Transport, TransportOptions};

/// Looked for in everything that is printed.
pub(crate) const API_V2_KEY: &str = "needlekey0123456789needlekey0123";
pub(crate) const APP_SECRET: &str = "needlesecret0123456789needlesec0";
pub(crate) const JS_CODE: &str = "needlecode0123456789";
pub(crate) const TOKEN: &str = "needletoken0123456789";
const NEEDLES: [&str; 5] = [API_V2_KEY, APP_SECRET, JS_CODE, TOKEN, "needle"];

pub(crate) fn appid() -> AppId {
    AppId::parse("wxd930ea5d5a258f4f").unwrap()
}

pub(crate) fn mchid() -> MchId {
    MchId::parse("1900000109").unwrap()
}

pub(crate) fn secret() -> AppSecret {
    AppSecret::parse(APP_SECRET).unwrap()
}

pub(crate) fn js_code() -> JsCode {
    JsCode::parse(JS_CODE).unwrap()
}

pub(crate) fn app() -> AppCredential {
    AppCredential { appid: appid(), secret: secret() }
}

pub(crate) fn nonce() -> NonceStr {
    NonceStr::parse("5K8264ILTKCH16CQ2502SI8ZNMTM67VS").unwrap()
}

pub(crate) fn out_trade_no() -> OutTradeNo {
    OutTradeNo::parse("20260122-000001").unwrap()
}

pub(crate) fn merchant() -> MerchantKeyV2 {
    MerchantKeyV2 { mchid: mchid(), key: ApiV2Key::parse(API_V2_KEY).unwrap(), sign_type: v2::SignType::HmacSha256 }
}

pub(crate) fn transport() -> Transport {
    Transport::new(&TransportOptions::default()).unwrap()
}

/// For tests in which nobody answers.
pub(crate) fn impatient_transport() -> Transport {
    let request_timeout = Duration::from_millis(250);
    Transport::new(&TransportOptions { request_timeout, ..TransportOptions::default() }).unwrap()
}

/// Everything that an error prints, its causes included.
pub(crate) fn print(error: &dyn Error) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(cause) = next {
        write!(text, "\n{cause}").unwrap();
        next = cause.source();
    }
    text
}

/// Fails if an error shows a secret or an address with its query.
pub(crate) fn assert_silent(error: &dyn Error) {
    let text = print(error);
    for needle in NEEDLES.iter().chain(&["http://", "https://", "?"]) {
        assert!(!text.contains(needle), "{needle} in {text}");
    }
}

/// A clock that moves only when the test moves it.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<Mutex<Timestamp>>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new("2026-01-22T06:30:00Z".parse().unwrap())))
    }

    pub(crate) fn at(second: i64) -> Self {
        Self(Arc::new(Mutex::new(Timestamp::from_second(second).unwrap())))
    }

    pub(crate) fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Arc::new(move || *time.lock().unwrap())
    }

    pub(crate) fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    pub(crate) fn advance_s(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}
