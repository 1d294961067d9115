//! WeChat Pay, API v2: what is believed, what is not, and what is sent again.

use std::net::{IpAddr, Ipv4Addr};

use weixin::{
    ApiV2Key, Body, Fen, MchId, NotifyUrl, OpenId, OrderAmount, PrepayId,
    pay::{
        TradeState, Transaction,
        v2::{
            Call as _, ErrCode, Rejection, SignType, SignatureError, communication_failure,
            order_query::{OrderQuery, Which},
            rejection, signed, success,
            unified_order::{UnifiedOrder, UnifiedOrderAnswer},
        },
    },
    xml::Fields,
};
use weixin_client::{Answered, CallError, Hosts, MerchantKeyV2, NotAuthentic, PayV2Client, Unreadable};

use crate::{
    fixture::{API_V2_KEY, appid, assert_silent, mchid, merchant, nonce, out_trade_no, print, transport},
    peer::{Peer, Received, Reply},
};

fn order() -> UnifiedOrder {
    UnifiedOrder {
        appid: appid(),
        mchid: mchid(),
        out_trade_no: out_trade_no(),
        body: Body::parse("掌柜测试-茶叶").unwrap(),
        attach: None,
        total: OrderAmount::new(Fen::new(100)).unwrap(),
        openid: OpenId::parse("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o").unwrap(),
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        time_start: None,
        time_expire: None,
        notify_url: NotifyUrl::parse("https://shop.example.com/wechat/pay/1900000109").unwrap(),
    }
}

fn query() -> OrderQuery {
    OrderQuery { appid: appid(), mchid: mchid(), which: Which::OutTradeNo(out_trade_no()) }
}

fn prepay_answer() -> UnifiedOrderAnswer {
    UnifiedOrderAnswer { prepay_id: PrepayId::parse("wx22143001234567890123456789012345").unwrap() }
}

/// The answer to the order, as WeChat signs it.
fn prepared() -> Fields {
    let MerchantKeyV2 { mchid, key, sign_type } = merchant();
    success(&prepay_answer(), (&appid(), &mchid), &nonce(), &key, sign_type)
}

fn rejected(code: &str) -> Fields {
    let MerchantKeyV2 { mchid, key, sign_type } = merchant();
    let refusal = Rejection { err_code: ErrCode::from_wire(code), err_code_des: "a sentence".to_owned() };
    rejection(&refusal, (&appid(), &mchid), &nonce(), &key, sign_type)
}

fn client(hosts: Hosts) -> PayV2Client {
    PayV2Client::new(transport(), hosts)
}

async fn place_at(peer: &Peer) -> Result<Answered<UnifiedOrderAnswer>, CallError> {
    client(peer.hosts()).call(&merchant(), &nonce(), &order()).await
}

/// Places an order with a WeChat that answers this.
async fn place(answer: impl Into<Vec<u8>>) -> Result<Answered<UnifiedOrderAnswer>, CallError> {
    let answer = answer.into();
    place_at(&Peer::start(move |_| Reply::Body(answer.clone()))).await
}

#[tokio::test]
async fn an_order_gets_its_prepay_id_and_the_bytes_that_prove_it() {
    let answer = prepared().to_xml();
    let raw = format!("HTTP/1.1 200 OK\r\nRequest-ID: 08F7\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
    let peer = Peer::start(move |_| Reply::Raw(raw.clone().into_bytes()));
    let answered = place_at(&peer).await.unwrap();
    assert_eq!(*answered.answer, prepay_answer());
    let sent = peer.received().remove(0).body;
    assert_eq!(answered.evidence.request_body, sent);
    assert_eq!(answered.evidence.answer_body, answer);
    assert_eq!(answered.evidence.request_id.as_deref(), Some("08F7"));
    let merchant = merchant();
    let expected = signed(order().unsigned(merchant.sign_type, &nonce()), &merchant.key, merchant.sign_type);
    assert_eq!(Fields::parse(&sent).unwrap(), expected);
}

#[tokio::test]
async fn a_query_tells_the_state_of_the_payment() {
    let transaction = Transaction {
        appid: appid(),
        mchid: mchid(),
        out_trade_no: out_trade_no(),
        trade_state: TradeState::NotPay,
        transaction_id: None,
        openid: None,
        total: Some(Fen::new(100)),
        payer_total: None,
        currency: None,
        bank_type: None,
        attach: None,
        success_time: None,
    };
    let MerchantKeyV2 { mchid, key, sign_type } = merchant();
    let answer = success(&transaction, (&appid(), &mchid), &nonce(), &key, sign_type).to_xml();
    let peer = Peer::start(move |_| Reply::text(&answer));
    let answered = client(peer.hosts()).call(&merchant(), &nonce(), &query()).await.unwrap();
    assert_eq!(answered.trade_state, TradeState::NotPay);
    assert!(!answered.trade_state.is_paid(), "two words SUCCESS are no payment");
}

#[tokio::test]
async fn a_frozen_message_goes_out_with_the_same_bytes_each_time() {
    let peer = Peer::start(|_| Reply::text(prepared().to_xml()));
    let frozen = order().unsigned(SignType::HmacSha256, &nonce()).to_xml();
    for _ in 0..2 {
        let unsigned = Fields::parse(frozen.as_bytes()).unwrap();
        client(peer.hosts()).send_frozen::<UnifiedOrder>(&merchant(), &unsigned).await.unwrap();
    }
    let received = peer.received();
    assert_eq!(received[0].body, received[1].body);
}

#[tokio::test]
async fn a_frozen_message_keeps_its_sign_type_when_the_merchant_changes_it() {
    let MerchantKeyV2 { mchid, key, .. } = merchant();
    let answer = success(&prepay_answer(), (&appid(), &mchid), &nonce(), &key, SignType::Md5).to_xml();
    let peer = Peer::start(move |_| Reply::text(&answer));
    let unsigned = order().unsigned(SignType::Md5, &nonce());
    client(peer.hosts()).send_frozen::<UnifiedOrder>(&merchant(), &unsigned).await.unwrap();
    let sent = Fields::parse(&peer.received()[0].body).unwrap();
    assert_eq!((sent.get("sign_type"), sent.get("sign").unwrap().len()), (Some("MD5"), 32));
}

#[tokio::test]
async fn a_message_of_another_merchant_or_another_call_is_not_sent() {
    let peer = Peer::forbidden();
    let other = MerchantKeyV2 { mchid: MchId::parse("1900000110").unwrap(), ..merchant() };
    let error = client(peer.hosts()).call(&other, &nonce(), &order()).await.unwrap_err();
    assert!(matches!(&error, CallError::NotSendable(error) if error.field == "mch_id"), "{error:?}");
    assert!(error.outcome_is_unknown(), "it may have been sent earlier");
    let unsigned = query().unsigned(SignType::Md5, &nonce());
    let error = client(peer.hosts()).send_frozen::<UnifiedOrder>(&merchant(), &unsigned).await.unwrap_err();
    assert!(matches!(error, CallError::NotSendable(_)), "{error:?}");
    let mut unsigned = order().unsigned(SignType::Md5, &nonce());
    unsigned.set("sign_type", "SHA1");
    let error = client(peer.hosts()).send_frozen::<UnifiedOrder>(&merchant(), &unsigned).await.unwrap_err();
    assert!(matches!(&error, CallError::NotSendable(error) if error.field == "sign_type"), "{error:?}");
    assert!(peer.received().is_empty());
}

#[tokio::test]
async fn a_signed_refusal_is_known_unless_its_code_proves_nothing() {
    for (code, unknown) in [
        ("ORDERPAID", false),
        ("PARAM_ERROR", false),
        ("NOAUTH", false),
        ("OUT_TRADE_NO_USED", false),
        ("SYSTEMERROR", true),
        ("BIZERR_NEED_RETRY", true),
        ("FREQUENCY_LIMITED", true),
        ("A_NEW_CODE", true),
    ] {
        let body = rejected(code).to_xml();
        let error = place(body.clone()).await.unwrap_err();
        let CallError::Rejected(rejection) = &error else { panic!("{error:?}") };
        assert_eq!(rejection.err_code.as_str(), code);
        assert_eq!(rejection.evidence.answer_body, body, "a refusal is evidence, too");
        assert_eq!(error.outcome_is_unknown(), unknown, "{code}");
        assert_silent(&error);
    }
}

#[tokio::test]
async fn lesson_06_unsigned_answers_are_never_success() {
    let mut unsigned = prepared();
    unsigned.remove("sign");
    let error = place(unsigned.to_xml()).await.unwrap_err();
    let missing = NotAuthentic::Signature(SignatureError::Missing);
    assert!(matches!(&error, CallError::NotAuthentic(why) if *why == missing), "{error:?}");
    assert!(error.outcome_is_unknown());

    let mut refusal = rejected("ORDERPAID");
    refusal.remove("sign");
    let error = place(refusal.to_xml()).await.unwrap_err();
    assert!(matches!(&error, CallError::NotAuthentic(why) if *why == missing), "{error:?}");
    assert!(error.outcome_is_unknown(), "an unsigned refusal proves nothing");

    let mut without_return_code = prepared();
    without_return_code.remove("return_code");
    let error = place(without_return_code.to_xml()).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreadable(Unreadable::Field(error)) if error.field == "return_code"));
}

#[tokio::test]
async fn lesson_06_a_signed_success_with_another_http_status_is_no_success() {
    for status in ["202 Accepted", "400 Bad Request", "500 Internal Server Error"] {
        let body = prepared().to_xml();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let peer = Peer::start(move |_| Reply::Raw(answer.clone().into_bytes()));
        let error = place_at(&peer).await.unwrap_err();
        assert!(matches!(error, CallError::Unreadable(Unreadable::Status(_))), "{error:?}");
    }
}

#[tokio::test]
async fn lesson_22_a_communication_failure_is_not_a_failed_payment() {
    let error = place(communication_failure("签名错误，请检查后再试").to_xml()).await.unwrap_err();
    assert!(matches!(&error, CallError::Refused { return_msg } if return_msg.starts_with("签名错误")), "{error:?}");
    assert!(error.outcome_is_unknown());
}

#[tokio::test]
async fn lesson_03_a_wrong_or_weaker_signature_is_not_believed() {
    let MerchantKeyV2 { mchid, key, sign_type } = merchant();
    let other_key = ApiV2Key::parse("00000000000000000000000000000000").unwrap();
    let md5 = success(&prepay_answer(), (&appid(), &mchid), &nonce(), &key, SignType::Md5);
    let forged = success(&prepay_answer(), (&appid(), &mchid), &nonce(), &other_key, sign_type);
    let mut tampered = prepared();
    tampered.set("prepay_id", "wx00000000000000000000000000000000");
    for (answer, why) in
        [(md5, SignatureError::OtherType), (forged, SignatureError::Mismatch), (tampered, SignatureError::Mismatch)]
    {
        let error = place(answer.to_xml()).await.unwrap_err();
        let CallError::NotAuthentic(NotAuthentic::Signature(got)) = &error else { panic!("{error:?}") };
        assert_eq!(*got, why);
        assert!(error.outcome_is_unknown());
        assert_silent(&error);
    }
}

#[tokio::test]
async fn an_answer_for_somebody_else_is_not_believed() {
    let MerchantKeyV2 { mchid, key, sign_type } = merchant();
    let other_appid = weixin::AppId::parse("wx00000000000000ff").unwrap();
    let other_mchid = MchId::parse("1900000110").unwrap();
    for echo in [(&other_appid, &mchid), (&appid(), &other_mchid)] {
        let answer = success(&prepay_answer(), echo, &nonce(), &key, sign_type);
        let error = place(answer.to_xml()).await.unwrap_err();
        assert!(matches!(error, CallError::NotAuthentic(NotAuthentic::OtherParty)), "{error:?}");
        assert!(error.outcome_is_unknown());
    }
}

#[tokio::test]
async fn what_is_not_xml_of_the_dialect_is_unreadable() {
    let whole = prepared().to_xml();
    let half = whole[..whole.len() / 2].to_owned();
    let doctype = format!("<!DOCTYPE xml [<!ENTITY e 'x'>]>{whole}");
    let large = format!("<xml>{}</xml>", " ".repeat(100_000));
    for answer in ["", "OK", "<html><body>502 Bad Gateway</body></html>", &half, &doctype, &large, "{\"errcode\":0}"] {
        let error = place(answer).await.unwrap_err();
        assert!(matches!(error, CallError::Unreadable(Unreadable::Xml(_))), "{answer:.40} {error:?}");
        assert!(error.outcome_is_unknown());
    }
    let error = place([b"<xml>", &[0xff, 0xfe][..], b"</xml>"].concat()).await.unwrap_err();
    assert!(matches!(error, CallError::Unreadable(Unreadable::Xml(_))), "{error:?}");
}

#[tokio::test]
async fn a_signed_success_without_its_prepay_id_is_unreadable() {
    let MerchantKeyV2 { key, sign_type, .. } = merchant();
    let mut answer = prepared();
    answer.remove("prepay_id");
    let error = place(signed(answer, &key, sign_type).to_xml()).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreadable(Unreadable::Field(error)) if error.field == "prepay_id"));
}

#[tokio::test]
async fn after_half_an_answer_the_backup_host_decides() {
    let main = Peer::start(|_| Reply::half(&prepared().to_xml()));
    let backup = Peer::start(|_| Reply::text(rejected("ORDERPAID").to_xml()));
    let hosts = main.hosts_with_backup(&backup);
    let error = client(hosts).call(&merchant(), &nonce(), &order()).await.unwrap_err();
    assert!(matches!(&error, CallError::Rejected(rejection) if rejection.err_code == ErrCode::Orderpaid), "{error:?}");
}

#[tokio::test]
async fn nothing_prints_the_key_or_the_customer() {
    let hostile: [fn(&Received) -> Reply; 4] = [
        |_| Reply::Close,
        |request| Reply::half(&String::from_utf8_lossy(&request.body)),
        |request| Reply::Body(request.body.clone()),
        |request| Reply::Raw(request.body.clone()),
    ];
    for peer in hostile.map(Peer::start) {
        let error = place_at(&peer).await.unwrap_err();
        assert_silent(&error);
        assert!(!print(&error).contains(order().openid.as_str()), "{error:?}");
    }
    let answered = place(prepared().to_xml()).await.unwrap();
    let text = format!("{:?} {:?}", answered.evidence, merchant());
    assert!(!text.contains(API_V2_KEY) && !text.contains(order().openid.as_str()), "{text}");
}
