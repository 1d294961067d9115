//! Refunds of both versions: what needs the certificate, and what a failure says about the refund.

use std::{net::IpAddr, time::Duration};

use jiff::SignedDuration;
use weixin::{
    ApiV2Key, Body, Fen, MchId, NotifyUrl, OrderAmount, OutRefundNo, RefundReason,
    pay::{
        PaymentNo, Refund, RefundRefusal, RefundState,
        v2::{
            Call as _, ErrCode, Rejection, SignType,
            refund::RefundRequest,
            refund_query::{RefundQuery, Which},
            rejection,
            request_payment::RequestPayment,
            unified_order::UnifiedOrder,
        },
        v3::{Code, ErrorBody},
    },
};
use weixin_client::{
    Answered, CallError, CallErrorV3, ClientCertificate, Hosts, MerchantKeyV2, NotAuthentic, PayV2Client, Transport,
    TransportOptions,
};
use weixin_simulator::{
    Choice, DEMO_API_V2_KEY, DEMO_MCHID, DEMO_MERCHANT_P12, DEMO_TLS_AUTHORITY_PEM, Fault, FaultKind, MerchantV3Setup,
    Options, Simulator,
};

use crate::{
    fixture::{TestClock, appid, assert_silent, mchid, merchant, nonce, out_trade_no, transport},
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

/// A shop with a paid order of 1280 fen, and a WeChat that remembers.
struct Shop {
    sim: Simulator,
    client: PayV2Client,
    merchant: MerchantKeyV2,
}

impl Shop {
    async fn open() -> Self {
        let sim = Simulator::start(Options::for_tests(1, TestClock::new().clock())).await.unwrap();
        let options = TransportOptions {
            extra_ca_pem: Some(DEMO_TLS_AUTHORITY_PEM.as_bytes().to_vec()),
            request_timeout: Duration::from_millis(500),
            ..TransportOptions::default()
        };
        let usual = PayV2Client::new(Transport::new(&options).unwrap(), Hosts::new(&sim.base_url(), None).unwrap());
        let certificate = ClientCertificate::from_p12(DEMO_MERCHANT_P12, DEMO_MCHID).unwrap();
        let tls = Hosts::new(&sim.tls_base_url().unwrap(), None).unwrap();
        let merchant = MerchantKeyV2 {
            mchid: MchId::parse(DEMO_MCHID).unwrap(),
            key: ApiV2Key::parse(DEMO_API_V2_KEY).unwrap(),
            sign_type: SignType::HmacSha256,
        };
        let shop = Self { client: usual.with_certificate(&certificate, Some(tls)).unwrap(), merchant, sim };
        shop.pay().await;
        shop
    }

    async fn pay(&self) {
        let phone = self.sim.phone(&self.sim.demo_appid(), "li").unwrap();
        let order = UnifiedOrder {
            appid: self.sim.demo_appid(),
            mchid: self.merchant.mchid.clone(),
            out_trade_no: out_trade_no(),
            body: Body::parse("茶叶").unwrap(),
            attach: None,
            total: OrderAmount::new(Fen::new(1280)).unwrap(),
            openid: phone.openid().clone(),
            client_ip: IpAddr::from([127, 0, 0, 1]),
            time_start: None,
            time_expire: None,
            notify_url: NotifyUrl::parse("http://127.0.0.1:9/wechat/pay").unwrap(),
        };
        let prepay_id = self.client.call(&self.merchant, &nonce(), &order).await.unwrap().prepay_id.clone();
        let MerchantKeyV2 { key, sign_type, .. } = &self.merchant;
        let now = self.sim.now();
        let parameters = RequestPayment::new(&order.appid, &prepay_id, *sign_type, now, nonce(), key);
        phone.request_payment(&parameters, Choice::Pay).unwrap();
    }

    async fn refund(&self, number: &str, refund_fen: i64) -> Result<Answered<Refund>, CallError> {
        let request = RefundRequest {
            appid: self.sim.demo_appid(),
            mchid: self.merchant.mchid.clone(),
            payment: PaymentNo::OutTradeNo(out_trade_no()),
            out_refund_no: OutRefundNo::parse(number).unwrap(),
            refund: OrderAmount::new(Fen::new(refund_fen)).unwrap(),
            total: OrderAmount::new(Fen::new(1280)).unwrap(),
            reason: Some(RefundReason::parse("退茶").unwrap()),
            notify_url: NotifyUrl::parse("http://127.0.0.1:9/wechat/pay").unwrap(),
        };
        self.client.call(&self.merchant, &nonce(), &request).await
    }

    async fn state(&self, number: &str) -> Result<RefundState, CallError> {
        let which = Which::OutRefundNo(OutRefundNo::parse(number).unwrap());
        let (appid, mchid) = (self.sim.demo_appid(), self.merchant.mchid.clone());
        let query = RefundQuery { appid, mchid, which, offset: None };
        let answered = self.client.call(&self.merchant, &nonce(), &query).await?;
        Ok(answered.refunds[0].state.clone())
    }
}

#[tokio::test]
async fn a_payment_is_refunded_with_the_certificate_and_asked_for_without() {
    let shop = Shop::open().await;
    let accepted = shop.refund("R-1|a*", 80).await.unwrap();
    assert_eq!((&accepted.state, accepted.refund.get(), accepted.total.get()), (&RefundState::Processing, 80, 1280));
    assert_eq!(shop.state("R-1|a*").await.unwrap(), RefundState::Processing);
    shop.sim.advance(SignedDuration::from_secs(3)).unwrap();
    assert_eq!(shop.state("R-1|a*").await.unwrap(), RefundState::Success);
    assert_eq!(shop.refund("R-1|a*", 80).await.unwrap().refund_id, accepted.refund_id);
    assert_eq!(shop.refund("R-1|a*", 81).await.unwrap_err().refund_refusal(), RefundRefusal::Query);
    assert_eq!(shop.state("R-2").await.unwrap_err().refund_refusal(), RefundRefusal::NotFound);
    assert_eq!(shop.sim.ledger().refunds.len(), 1);
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_sent_again_with_the_same_number_and_made_once() {
    let shop = Shop::open().await;
    for fault in [
        FaultKind::NoAnswerBefore,
        FaultKind::NoAnswerAfter,
        FaultKind::HalfAnswer,
        FaultKind::Hang(60_000),
        FaultKind::Unsigned,
        FaultKind::WrongSignature,
        FaultKind::Html,
        FaultKind::Status(502),
        FaultKind::Broken,
        FaultKind::ForeignMerchant,
        FaultKind::ForeignNumber,
        FaultKind::ErrCodeAfter("SYSTEMERROR".to_owned()),
        FaultKind::ErrCode("BIZERR_NEED_RETRY".to_owned()),
    ] {
        shop.sim.inject(Fault::on(RefundRequest::PATH, fault.clone()));
        let error = shop.refund("R-1", 80).await.unwrap_err();
        assert!(error.outcome_is_unknown(), "{fault:?} {error:?}");
        assert_eq!(error.refund_refusal(), RefundRefusal::TryAgain, "{fault:?}");
    }
    shop.refund("R-1", 80).await.unwrap();
    shop.sim.inject(Fault::on(RefundQuery::PATH, FaultKind::ForeignNumber));
    assert!(matches!(shop.state("R-1").await, Err(CallError::NotAuthentic(NotAuthentic::OtherParty))));
    assert_eq!(shop.sim.ledger().refunds.len(), 1);
}

#[tokio::test]
async fn lesson_28_a_certificate_that_wechat_does_not_know_is_told_apart() {
    let shop = Shop::open().await;
    let revoked = MerchantV3Setup { certificates: Vec::new(), ..MerchantV3Setup::demo() };
    shop.sim.add_merchant_v3(&revoked);
    assert!(matches!(shop.refund("R-1", 80).await.unwrap_err(), CallError::CertificateRefused));
    assert!(shop.sim.ledger().refunds.is_empty());
}

#[tokio::test]
async fn a_wechat_that_nobody_vouches_for_gets_no_refund() {
    let shop = Shop::open().await;
    let certificate = ClientCertificate::from_p12(DEMO_MERCHANT_P12, DEMO_MCHID).unwrap();
    let tls = Hosts::new(&shop.sim.tls_base_url().unwrap(), None).unwrap();
    let trusting_nobody = PayV2Client::new(transport(), tls).with_certificate(&certificate, None).unwrap();
    let shop = Shop { client: trusting_nobody, ..shop };
    let error = shop.refund("R-1", 80).await.unwrap_err();
    assert!(matches!(&error, CallError::NoAnswer(no) if !no.may_have_been_sent()), "{error:?}");
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
