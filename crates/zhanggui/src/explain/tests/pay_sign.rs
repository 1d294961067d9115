use serde_json::json;
use weixin::pay::v2::{SignType, hash};

use super::*;

const TIME: &str = "1772330421";
const NONCE: &str = "5K8264ILTKCH16CQ2502SI8ZNMTM67VT";
const PACKAGE: &str = "prepay_id=wx01100001234567f0e1d2c3b4a5960000";
const BARE: &str = "wx01100001234567f0e1d2c3b4a5960000";

fn v3_with(appid: &str, package: &str, signed: &str) -> Value {
    json!({
        "appId": appid, "timeStamp": TIME, "nonceStr": NONCE, "package": package, "signType": "RSA",
        "paySign": merchant_key().sign(signed.as_bytes()),
    })
}

fn v3(signed: &str) -> Value {
    v3_with(APPID, PACKAGE, signed)
}

fn over() -> String {
    format!("{APPID}\n{TIME}\n{NONCE}\n{PACKAGE}\n")
}

fn v2(sign_type: &str, signed: &str, hash_type: SignType) -> Value {
    json!({
        "appId": "wx0123456789abcdef", "timeStamp": TIME, "nonceStr": NONCE, "package": PACKAGE,
        "signType": sign_type, "paySign": hash(&format!("{signed}&key={V2_KEY}"), V2_KEY, hash_type),
    })
}

fn v2_text(sign_type: &str) -> String {
    format!("appId=wx0123456789abcdef&nonceStr={NONCE}&package={PACKAGE}&signType={sign_type}&timeStamp={TIME}")
}

#[test]
fn good_parameters_of_both_versions_are_good() {
    good(&v3(&over()).to_string());
    good(&v2("MD5", &v2_text("MD5"), SignType::Md5).to_string());
    good(&v2("HMAC-SHA256", &v2_text("HMAC-SHA256"), SignType::HmacSha256).to_string());
}

#[test]
fn wrong_lines_of_v3_are_recognised() {
    first(&v3(&format!("{TIME}\n{NONCE}\n{PACKAGE}\n")).to_string(), Code::AppIdMissing);
    first(&v3(&format!("{APPID}\n{TIME}\n{NONCE}\n{BARE}\n")).to_string(), Code::PrepayIdPrefix);
    first(&v3_with(APPID, BARE, &over()).to_string(), Code::PrepayIdPrefix);
    first(&v3(&format!("{APPID}\n{TIME}\n{NONCE}\n{PACKAGE}\nRSA\n")).to_string(), Code::SignTypeSigned);
    first(&v3(&format!("{APPID}\n{NONCE}\n{TIME}\n{PACKAGE}\n")).to_string(), Code::NonceAndTimeSwapped);
    first(&v3(&format!("{TIME}\n{APPID}\n{NONCE}\n{PACKAGE}\n")).to_string(), Code::LineOrder);
    first(&v3(over().trim_end()).to_string(), Code::LastLineFeedMissing);
    let other = format!("wx1234567890abcde0\n{TIME}\n{NONCE}\n{PACKAGE}\n");
    first(&v3(&other).to_string(), Code::AppIdOther);
}

#[test]
fn what_the_phone_dislikes_is_recognised_although_the_signature_fits() {
    let mut numeric = v3(&over());
    numeric["timeStamp"] = json!(1_772_330_421);
    first(&numeric.to_string(), Code::TimeStampNumeric);
    let mut md5 = v3(&over());
    md5["signType"] = json!("MD5");
    first(&md5.to_string(), Code::SignTypeOther);
    let mut absent = v3(&over());
    absent.as_object_mut().unwrap().remove("signType");
    first(&absent.to_string(), Code::SignTypeOther);
    let bare = v3_with(APPID, BARE, &format!("{APPID}\n{TIME}\n{NONCE}\n{BARE}\n"));
    let explanation = explained(&bare.to_string());
    assert_eq!((explanation.first(), explanation.verdict), (Some(Code::PrepayIdPrefix), Verdict::Refused));
    let milliseconds = over().replace(TIME, "1772330421000");
    let mut late = v3(&milliseconds);
    late["timeStamp"] = json!("1772330421000");
    first(&late.to_string(), Code::TimestampNotSeconds);
}

#[test]
fn wrong_texts_of_v2_are_recognised() {
    let md5 = |text: &str| v2("MD5", text, SignType::Md5).to_string();
    let right = v2_text("MD5");
    first(&md5(&right.replace("appId=wx0123456789abcdef&", "")), Code::AppIdMissing);
    first(&md5(&right.replace("appId", "appid")), Code::AppIdName);
    first(&md5(&right.replace("wx0123456789abcdef", "wx0123456789abcde0")), Code::AppIdOther);
    first(&md5(&right.replace("prepay_id=", "")), Code::PrepayIdPrefix);
    first(&md5(&right.replace("&signType=MD5", "")), Code::FieldNotSigned);
    first(&v2("MD5", &right, SignType::HmacSha256).to_string(), Code::HashNotOfSignType);
}

#[test]
fn without_the_app_id_the_configured_one_is_taken() {
    let mut parameters = v3(&over());
    parameters.as_object_mut().unwrap().remove("appId");
    let mut keys = keys();
    keys.merchants.retain(|merchant| merchant.mchid.as_ref().is_some_and(|mchid| mchid.as_str() == MCHID));
    assert!(explained_at(&parameters.to_string(), &keys, None).is_good());
    keys.merchants[0].appids.clear();
    assert_eq!(explained_at(&parameters.to_string(), &keys, None).first(), Some(Code::AppIdNeeded));
}
