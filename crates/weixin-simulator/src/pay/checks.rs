//! The checks that every request to WeChat Pay meets, in this order: method, body, XML, common fields, merchant,
//! app, binding, signature. And the two forms of a refusal.
//!
//! WeChat does not publish the order of its checks; only that signature errors come before business errors is known.
//!
//! Source: <https://pay.weixin.qq.com/doc/v2/merchant/4011986592> (protocol rules) and the error tables of the
//! endpoints, for example <https://pay.weixin.qq.com/doc/v2/merchant/4011940985>.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use weixin::{
    ApiV2Key, AppId, MchId, NonceStr,
    pay::v2::{self, ErrCode, Rejection, SignType},
    xml::{Fields, XmlError},
};

use super::{FOREIGN_NUMBER, v3::notify::OTHER_MERCHANT};
use crate::{fault::FaultKind, server::Request, world::World};

/// A request whose signature is good.
pub(super) struct Message {
    pub(super) fields: Fields,
    pub(super) envelope: Envelope,
}

/// What an answer of the business level is wrapped in.
pub(super) struct Envelope {
    pub(super) appid: AppId,
    pub(super) mchid: MchId,
    nonce_str: NonceStr,
    key: ApiV2Key,
    sign_type: SignType,
}

/// What an endpoint answers on success.
pub(super) struct Success {
    /// Fields that stand among the common ones, between `mch_id` and `nonce_str`.
    pub(super) echo: Fields,
    /// Fields of the endpoint.
    pub(super) fields: Fields,
}

impl Envelope {
    /// Writes a success in the order of real answers.
    pub(super) fn success(&self, success: &Success, fault: Option<&FaultKind>) -> Fields {
        let mut fields = Fields::new();
        fields
            .set("return_code", "SUCCESS")
            .set("return_msg", "OK")
            .set("appid", self.appid.as_str())
            .set("mch_id", self.mchid.as_str());
        for (name, value) in success.echo.iter() {
            fields.set(name, value);
        }
        // `sign` holds its place and gets its value at the end.
        fields.set("nonce_str", self.nonce_str.as_str()).set("sign", "").set("result_code", "SUCCESS");
        for (name, value) in success.fields.iter() {
            fields.set(name, value);
        }
        match fault {
            Some(FaultKind::ForeignMerchant) => drop(fields.set("mch_id", OTHER_MERCHANT)),
            Some(FaultKind::ForeignNumber) => {
                let told = ["out_refund_no", "out_refund_no_0", "out_trade_no"];
                if let Some(name) = told.into_iter().find(|name| fields.get(name).is_some()) {
                    fields.set(name, FOREIGN_NUMBER);
                }
            }
            Some(FaultKind::TradeState(word)) => drop(fields.set("trade_state", word.as_str())),
            Some(FaultKind::RefundStatus(word)) => drop(fields.set("refund_status_0", word.as_str())),
            _ => {}
        }
        v2::signed(fields, &self.key, self.sign_type)
    }
}

/// A refusal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The request was not processed as sent. Unsigned.
    Communication(String),
    /// The request was understood and refused. Signed.
    Business { err_code: ErrCode, err_code_des: String },
}

impl Failure {
    pub(super) fn communication(return_msg: impl Into<String>) -> Self {
        Self::Communication(return_msg.into())
    }

    pub(super) fn business(err_code: ErrCode, err_code_des: &str) -> Self {
        Self::Business { err_code, err_code_des: err_code_des.to_owned() }
    }

    /// Writes the refusal. Without an envelope nothing can be signed.
    pub(super) fn write(&self, envelope: Option<&Envelope>) -> Fields {
        match (self, envelope) {
            (Self::Business { err_code, err_code_des }, Some(envelope)) => {
                let rejection = Rejection { err_code: err_code.clone(), err_code_des: err_code_des.clone() };
                let echo = (&envelope.appid, &envelope.mchid);
                v2::rejection(&rejection, echo, &envelope.nonce_str, &envelope.key, envelope.sign_type)
            }
            (Self::Business { err_code_des, .. }, None) => v2::communication_failure(err_code_des),
            (Self::Communication(return_msg), _) => v2::communication_failure(return_msg),
        }
    }
}

/// Reads a request and checks everything that does not depend on the endpoint. An error is the answer.
pub(super) fn read(world: &World, now: Timestamp, request: &Request) -> Result<Message, Fields> {
    let (fields, appid, mchid, sign_type) = read_unsigned(request).map_err(|failure| failure.write(None))?;
    let unsigned = v2::communication_failure;
    let merchant = MchId::parse(mchid).ok().and_then(|mchid| world.merchants.get(mchid.as_str()));
    let merchant = merchant.ok_or_else(|| unsigned("商户号mch_id或sub_mch_id不存在"))?;
    // The same request at the same moment gets the same bytes; that is what makes a run repeatable.
    let subject = hex::encode(digest(&SHA256, &request.body));
    let envelope = Envelope {
        appid,
        mchid: merchant.mchid.clone(),
        nonce_str: world.seed().nonce(&subject, now.as_millisecond().unsigned_abs()),
        key: merchant.api_v2_key.clone(),
        sign_type,
    };
    let Some(app) = world.apps.get(envelope.appid.as_str()) else {
        return Err(Failure::business(ErrCode::AppidNotExist, "APPID不存在").write(Some(&envelope)));
    };
    if !app.merchants.contains(&merchant.mchid) {
        return Err(unsigned("appid和mch_id不匹配"));
    }
    match v2::verify(fields, &merchant.api_v2_key, sign_type) {
        Ok(fields) => Ok(Message { fields: fields.into_inner(), envelope }),
        Err(_) => Err(unsigned("签名错误，请检查后再试")),
    }
}

/// What can be read before it is known who asks.
fn read_unsigned(request: &Request) -> Result<(Fields, AppId, String, SignType), Failure> {
    // The words stand in the error tables; the text that goes with them is not published.
    if request.method != "POST" {
        return Err(Failure::communication("REQUIRE_POST_METHOD"));
    }
    if request.body.is_empty() {
        return Err(Failure::communication("POST_DATA_EMPTY"));
    }
    let fields = Fields::parse(&request.body).map_err(|error| match error {
        XmlError::NotUtf8 => Failure::communication(format!("{}不是UTF8编码", field_of_bad_bytes(&request.body))),
        _ => Failure::communication("XML格式错误"),
    })?;
    for name in ["appid", "mch_id", "nonce_str", "sign"] {
        if fields.get(name).is_none() {
            return Err(Failure::communication(format!("缺少参数{name}")));
        }
    }
    for (name, bytes_max) in [("appid", 32), ("mch_id", 32), ("nonce_str", 32), ("sign", 64), ("sign_type", 32)] {
        if fields.get(name).is_some_and(|value| value.len() > bytes_max) {
            return Err(Failure::communication(format!("{name}参数长度有误")));
        }
    }
    let malformed = |name: &str| Failure::communication(format!("{name}参数格式错误"));
    let word = |name| fields.get(name).unwrap_or_default();
    let appid = AppId::parse(word("appid")).map_err(|_| malformed("appid"))?;
    let mchid = word("mch_id").to_owned();
    if !mchid.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed("mch_id"));
    }
    let sign_type = SignType::of(&fields).map_err(|_| malformed("sign_type"))?;
    Ok((fields, appid, mchid, sign_type))
}

/// The name of the field that holds the bytes that are not UTF-8.
fn field_of_bad_bytes(body: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(body);
    let fields = Fields::parse(lossy.as_bytes()).unwrap_or_default();
    let bad = fields.iter().find(|(_, value)| value.contains(char::REPLACEMENT_CHARACTER));
    bad.map_or_else(|| "xml".to_owned(), |(name, _)| name.to_owned())
}
