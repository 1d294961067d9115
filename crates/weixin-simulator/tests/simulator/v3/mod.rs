//! API v3: what a merchant's server sends and gets, signed and sealed on both sides.

mod answer;
mod certificates;
mod checks;
mod control;
mod echo;
mod fault;
pub(crate) mod notification;
mod order;
mod parameters;
mod phone;
mod refund;
mod vectors;

use serde_json::{Value, json};
use weixin::{
    ApiV3Key, NonceStr, PrepayId,
    pay::{
        RequestPayment,
        v3::{
            Authorization, Certificate, Credential, PublicKeyId, SerialNo, SignatureHeaders, Signed, SigningKey,
            TrustedKeys, VerifyError, VerifyingKey, verify,
        },
    },
};
use weixin_simulator::{
    Choice, DEMO_API_V3_KEY, DEMO_APPID, DEMO_MCHID, DEMO_MERCHANT_KEY_PEM, DEMO_MERCHANT_SERIAL,
    DEMO_PLATFORM_CERTIFICATE_2_PEM, DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PUBLIC_KEY_ID, DEMO_PUBLIC_KEY_PEM, KeyMode,
    PhoneError,
};

use crate::support::{Reply, Stage, appid, mchid};

pub(crate) const JSAPI: &str = "/v3/pay/transactions/jsapi";
pub(crate) const REFUNDS: &str = "/v3/refund/domestic/refunds";
pub(crate) const CERTIFICATES: &str = "/v3/certificates";

pub(crate) fn v3_key() -> ApiV3Key {
    ApiV3Key::parse(DEMO_API_V3_KEY).unwrap()
}

pub(crate) fn credential() -> Credential {
    Credential {
        mchid: mchid(),
        serial_no: SerialNo::parse(DEMO_MERCHANT_SERIAL).unwrap(),
        key: SigningKey::from_pem(DEMO_MERCHANT_KEY_PEM).unwrap(),
    }
}

pub(crate) fn platform(pem: &str) -> Certificate {
    Certificate::from_pem(pem).unwrap()
}

pub(crate) fn public_key() -> VerifyingKey {
    let id = PublicKeyId::parse(DEMO_PUBLIC_KEY_ID).unwrap();
    VerifyingKey::from_public_key_pem(id, DEMO_PUBLIC_KEY_PEM).unwrap()
}

/// All keys of WeChat Pay.
pub(crate) fn trusted() -> TrustedKeys {
    let certificates = [DEMO_PLATFORM_CERTIFICATE_PEM, DEMO_PLATFORM_CERTIFICATE_2_PEM];
    certificates.map(|pem| platform(pem).key).into_iter().chain([public_key()]).collect()
}

pub(crate) fn query_path(number: &str) -> String {
    format!("/v3/pay/transactions/out-trade-no/{number}?mchid={DEMO_MCHID}")
}

/// The headers of a proper request.
pub(crate) fn headers(stage: &Stage, method: &str, path: &str, body: &str) -> Vec<(&'static str, String)> {
    let signed = Signed { method, path, body: body.as_bytes() };
    let nonce = NonceStr::parse("5K8264ILTKCH16CQ2502SI8ZNMTM67VS").unwrap();
    let authorization = Authorization::sign(&credential(), &signed, stage.sim.now(), nonce);
    let mut headers = vec![
        ("Authorization", authorization.to_header()),
        ("Accept", "application/json".to_owned()),
        ("User-Agent", "test/1".to_owned()),
    ];
    if !body.is_empty() {
        headers.push(("Content-Type", "application/json".to_owned()));
    }
    headers
}

/// Replaces, adds or (with nothing) takes away a header.
pub(crate) fn set(headers: &mut Vec<(&'static str, String)>, name: &'static str, value: Option<&str>) {
    headers.retain(|(known, _)| *known != name);
    headers.extend(value.map(|value| (name, value.to_owned())));
}

impl Stage {
    pub(crate) fn key_mode(&self, key_mode: KeyMode) {
        self.sim.set_key_mode(&mchid(), key_mode).unwrap();
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&'static str, String)], body: &str) -> Reply {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.http(method, path, &headers, body.as_bytes()).await
    }

    /// A proper request.
    pub(crate) async fn v3(&self, method: &str, path: &str, body: &str) -> Reply {
        self.send(method, path, &headers(self, method, path, body), body).await
    }

    /// A proper request that asks for a key to sign the answer.
    pub(crate) async fn v3_with_serial(&self, method: &str, path: &str, body: &str, serial: &str) -> Reply {
        let mut headers = headers(self, method, path, body);
        set(&mut headers, "Wechatpay-Serial", Some(serial));
        self.send(method, path, &headers, body).await
    }

    /// An order as any SDK would send it.
    pub(crate) fn order_v3(&self, out_trade_no: &str) -> Value {
        json!({
            "appid": DEMO_APPID,
            "mchid": DEMO_MCHID,
            "description": "示例小店-手冲咖啡 x2",
            "out_trade_no": out_trade_no,
            "notify_url": "http://127.0.0.1:9/notify",
            "amount": { "total": 3000, "currency": "CNY" },
            "payer": { "openid": self.li.openid() },
        })
    }

    pub(crate) async fn place_v3(&self, order: &Value) -> Reply {
        self.v3("POST", JSAPI, &order.to_string()).await
    }

    pub(crate) async fn prepay_v3(&self, order: &Value) -> PrepayId {
        let answer = self.good(&self.place_v3(order).await);
        PrepayId::parse(answer["prepay_id"].as_str().unwrap()).unwrap()
    }

    pub(crate) async fn query_v3(&self, out_trade_no: &str) -> Value {
        self.good(&self.v3("GET", &query_path(out_trade_no), "").await)
    }

    pub(crate) async fn close_v3(&self, out_trade_no: &str) -> Reply {
        let path = format!("/v3/pay/transactions/out-trade-no/{out_trade_no}/close");
        self.v3("POST", &path, &json!({ "mchid": DEMO_MCHID }).to_string()).await
    }

    pub(crate) fn parameters_v3(&self, prepay_id: &PrepayId) -> RequestPayment {
        let nonce_str = NonceStr::parse("e61463f8efa94090b1f366cccfbbb444").unwrap();
        RequestPayment::new_v3(&appid(), prepay_id, self.sim.now(), nonce_str, &credential())
    }

    pub(crate) fn pay_v3(&self, prepay_id: &PrepayId) -> Result<(), PhoneError> {
        self.li.request_payment(&self.parameters_v3(prepay_id), Choice::Pay)
    }

    /// Places the order and pays it.
    pub(crate) async fn paid_v3(&self, order: &Value) -> PrepayId {
        let prepay_id = self.prepay_v3(order).await;
        self.pay_v3(&prepay_id).unwrap();
        prepay_id
    }

    /// Verifies a success and reads it.
    pub(crate) fn good(&self, reply: &Reply) -> Value {
        assert_eq!(reply.status, 200, "{reply:?}");
        self.verify(reply).unwrap();
        reply.json()
    }

    /// Verifies an answer with all keys of WeChat Pay; gives the name of the one that signed.
    pub(crate) fn verify(&self, reply: &Reply) -> Result<String, VerifyError> {
        let headers = SignatureHeaders::read(|name| reply.header(name))?;
        verify(&headers, &reply.body, &trusted(), self.sim.now())?;
        Ok(headers.serial)
    }
}

/// Status, code, sentence and internal code of a refusal, which is not signed.
pub(crate) fn refusal(reply: &Reply) -> (u16, String, String, Option<String>) {
    assert!(reply.header("Wechatpay-Signature").is_none(), "a refusal is not signed: {reply:?}");
    let body = reply.json();
    let internal = reply.header("Request-ID").map(|id| id.rsplit('-').next().unwrap().to_owned());
    let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    (reply.status, text("code"), text("message"), internal)
}

/// Status and code of a refusal.
pub(crate) fn code(reply: &Reply) -> (u16, String) {
    let (status, code, ..) = refusal(reply);
    (status, code)
}
