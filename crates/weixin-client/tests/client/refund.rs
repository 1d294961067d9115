//! Refunds of both versions: what needs the certificate, and what a failure says about the refund.

use weixin::{
    Fen, MchId, NotifyUrl, OrderAmount, OutRefundNo,
    pay::{
        PaymentNo, RefundRefusal,
        v2::{
            Call as _, ErrCode, Rejection,
            refund::RefundRequest,
            refund_query::{RefundQuery, Which},
            rejection,
        },
        v3::{Code, ErrorBody},
    },
};
use weixin_client::{CallError, CallErrorV3, ClientCertificate, MerchantKeyV2, PayV2Client};
use weixin_simulator::{DEMO_MCHID, DEMO_MERCHANT_P12};

use crate::{
    fixture::{appid, assert_silent, mchid, merchant, nonce, out_trade_no, transport},
    peer::{Peer, Reply},
};

fn request() -> RefundRequest {
    RefundRequest {
        appid: appid(),
        mchid: mchid(),
        payment: PaymentNo::OutTradeNo(out_trade_no()),
        out_refund_no: OutRefundNo::parse("R-1").unwrap(),
        refund: OrderAmount::new(Fen::new(80)).unwrap(),
        total: OrderAmount::new(Fen::new(100)).unwrap(),
        reason: None,
        notify_url: NotifyUrl::parse("https://shop.example.com/wechat/pay/1900000109").unwrap(),
    }
}

fn query() -> RefundQuery {
    let number = OutRefundNo::parse("R-1").unwrap();
    RefundQuery { appid: appid(), mchid: mchid(), which: Which::OutRefundNo(number), offset: None }
}

fn client(peer: &Peer) -> PayV2Client {
    PayV2Client::new(transport(), peer.hosts())
}

fn certified(peer: &Peer) -> PayV2Client {
    let certificate = ClientCertificate::from_p12(DEMO_MERCHANT_P12, DEMO_MCHID).unwrap();
    client(peer).with_certificate(&certificate, None).unwrap()
}

/// WeChat refuses, signed, with this code.
fn refusing(code: &str) -> Peer {
    let MerchantKeyV2 { mchid, key, sign_type } = merchant();
    let refusal = Rejection { err_code: ErrCode::from_wire(code), err_code_des: "a sentence".to_owned() };
    let answer = rejection(&refusal, (&appid(), &mchid), &nonce(), &key, sign_type).to_xml();
    Peer::start(move |_| Reply::text(&answer))
}

#[tokio::test]
async fn lesson_28_a_refund_without_a_certificate_is_not_sent() {
    let peer = Peer::forbidden();
    let error = client(&peer).call(&merchant(), &nonce(), &request()).await.unwrap_err();
    assert!(matches!(error, CallError::NoCertificate), "{error:?}");
    assert!(error.outcome_is_unknown(), "it may have been sent earlier");
    assert_eq!(error.refund_refusal(), RefundRefusal::TryAgain);
    assert!(peer.received().is_empty());
}

#[tokio::test]
async fn lesson_28_a_gateway_that_does_not_take_the_certificate_is_told_apart() {
    let peer = Peer::start(|_| Reply::status("400 Bad Request"));
    let error = certified(&peer).call(&merchant(), &nonce(), &request()).await.unwrap_err();
    assert!(matches!(error, CallError::CertificateRefused), "{error:?}");
    assert!(error.outcome_is_unknown());
    assert_silent(&error);
    let error = certified(&peer).call(&merchant(), &nonce(), &query()).await.unwrap_err();
    assert!(matches!(error, CallError::Unreadable(_)), "a query needs none: {error:?}");
}

#[tokio::test]
async fn the_query_needs_no_certificate_and_has_the_usual_hosts() {
    let (usual, certified_only) = (refusing("REFUNDNOTEXIST"), Peer::forbidden());
    let certificate = ClientCertificate::from_p12(DEMO_MERCHANT_P12, DEMO_MCHID).unwrap();
    let client = client(&usual).with_certificate(&certificate, Some(certified_only.hosts())).unwrap();
    let error = client.call(&merchant(), &nonce(), &query()).await.unwrap_err();
    assert_eq!(error.refund_refusal(), RefundRefusal::NotFound);
    let error = client.call(&merchant(), &nonce(), &request()).await.unwrap_err();
    assert!(matches!(error, CallError::NoAnswer(_)), "{error:?}");
    assert_eq!((usual.count(RefundQuery::PATH), usual.count(RefundRequest::PATH)), (1, 0));
    assert_eq!((certified_only.count(RefundQuery::PATH), certified_only.count(RefundRequest::PATH)), (0, 1));
}

#[tokio::test]
async fn a_lost_answer_to_a_refund_is_asked_for_again_with_the_same_bytes() {
    let (main, backup) = (Peer::forbidden(), refusing("SYSTEMERROR"));
    let certificate = ClientCertificate::from_p12(DEMO_MERCHANT_P12, DEMO_MCHID).unwrap();
    let client = PayV2Client::new(transport(), main.hosts_with_backup(&backup));
    let client = client.with_certificate(&certificate, None).unwrap();
    let error = client.call(&merchant(), &nonce(), &request()).await.unwrap_err();
    assert!(error.outcome_is_unknown() && error.refund_refusal() == RefundRefusal::TryAgain, "{error:?}");
    assert_eq!(main.received()[0].body, backup.received()[0].body);
}

#[tokio::test]
async fn a_refusal_of_api_v2_says_what_became_of_the_refund() {
    for (code, expected) in [
        ("NOTENOUGH", RefundRefusal::NotEnough),
        ("ORDERNOTEXIST", RefundRefusal::NotFound),
        ("REFUND_FEE_MISMATCH", RefundRefusal::Query),
        ("ERROR", RefundRefusal::Query),
        ("TRADE_OVERDUE", RefundRefusal::Definitive),
        ("USER_ACCOUNT_ABNORMAL", RefundRefusal::Definitive),
        ("BIZERR_NEED_RETRY", RefundRefusal::TryAgain),
        ("FREQUENCY_LIMITED", RefundRefusal::TryAgain),
        ("A_NEW_CODE", RefundRefusal::TryAgain),
    ] {
        let error = certified(&refusing(code)).call(&merchant(), &nonce(), &request()).await.unwrap_err();
        assert_eq!(error.refund_refusal(), expected, "{code}");
    }
    // For another merchant: nobody's business but that merchant's.
    let other = RefundRequest { mchid: MchId::parse("1600000002").unwrap(), ..request() };
    let error = certified(&refusing("TRADE_OVERDUE")).call(&merchant(), &nonce(), &other).await.unwrap_err();
    assert!(matches!(error, CallError::NotSendable(_)), "{error:?}");
}

#[test]
fn a_refusal_of_api_v3_says_what_became_of_the_refund() {
    let refused = |status, code: &str| {
        let error = ErrorBody { code: Code::from_wire(code), message: String::new(), detail: None };
        CallErrorV3::Refused { status, error: Some(error), request_id: None }.refund_refusal()
    };
    for (status, code, expected) in [
        (403, "NOT_ENOUGH", RefundRefusal::NotEnough),
        (403, "NOTENOUGH", RefundRefusal::NotEnough),
        (404, "RESOURCE_NOT_EXISTS", RefundRefusal::NotFound),
        (400, "INVALID_REQUEST", RefundRefusal::Query),
        (400, "PARAM_ERROR", RefundRefusal::Definitive),
        (403, "USER_ACCOUNT_ABNORMAL", RefundRefusal::Definitive),
        (403, "NO_AUTH", RefundRefusal::Definitive),
        // The status decides: what is busy, broken or not signed proves nothing.
        (401, "PARAM_ERROR", RefundRefusal::TryAgain),
        (429, "PARAM_ERROR", RefundRefusal::TryAgain),
        (500, "PARAM_ERROR", RefundRefusal::TryAgain),
        (403, "A_NEW_CODE", RefundRefusal::TryAgain),
    ] {
        assert_eq!(refused(status, code), expected, "{status} {code}");
    }
    assert_eq!(
        CallErrorV3::Refused { status: 404, error: None, request_id: None }.refund_refusal(),
        RefundRefusal::TryAgain
    );
    assert_eq!(CallErrorV3::Unfinished.refund_refusal(), RefundRefusal::TryAgain);
}
