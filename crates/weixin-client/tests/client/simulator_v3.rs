//! API v3 against a WeChat that remembers, in all ways in which it signs.

use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use weixin::{
    ApiV3Key, Body, Fen, MchId, NonceStr, NotifyUrl, OrderAmount, OutRefundNo, OutTradeNo, PrepayId,
    pay::{
        RefundState, RequestPayment, TradeState,
        v3::{
            Call, Code, Credential, KeyId, PublicKeyId, SerialNo, SignatureHeaders, SigningKey, VerifyError,
            VerifyingKey,
            certificates::PATH as CERTIFICATES,
            close::CloseOrder,
            jsapi::{JsapiAnswer, JsapiOrder, PATH as JSAPI},
            notification,
            query::QueryByOutTradeNo,
            refund::{FrozenRefund, PaymentNo, RefundAmount, RefundQuery, RefundRequest},
        },
    },
};
use weixin_client::{
    Answered, CallErrorV3, Hosts, MerchantV3, PayV3Client, Refreshed, Transport, TransportOptions, TrustStore,
};
use weixin_simulator::{
    Choice, DEMO_API_V3_KEY, DEMO_MCHID, DEMO_MERCHANT_KEY_PEM, DEMO_MERCHANT_SERIAL, DEMO_PUBLIC_KEY_ID,
    DEMO_PUBLIC_KEY_PEM, Fault, FaultKind, KeyMode, MerchantV3Setup, NOTIFICATION, Options, Phone, Rotation, Simulator,
};

use crate::{
    fixture::{TestClock, transport},
    peer::{Peer, Reply},
};

const NUMBER: &str = "20260122000001";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// A shop: one merchant, one customer, and WeChat with both hosts at one address.
struct Shop {
    sim: Simulator,
    clock: TestClock,
    phone: Phone,
    merchant: MerchantV3,
    client: PayV3Client,
}

impl Shop {
    /// WeChat signs in this mode, and the merchant has what it needs for it.
    async fn open(mode: KeyMode) -> Self {
        Self::open_with(mode, transport()).await
    }

    async fn open_with(mode: KeyMode, transport: Transport) -> Self {
        let clock = TestClock::new();
        let sim = Simulator::start(Options::for_tests(1, clock.clock())).await.unwrap();
        sim.add_merchant_v3(&MerchantV3Setup { key_mode: mode, ..MerchantV3Setup::demo() });
        let phone = sim.phone(&sim.demo_appid(), "li").unwrap();
        let merchant = MerchantV3 {
            credential: Arc::new(Credential {
                mchid: MchId::parse(DEMO_MCHID).unwrap(),
                serial_no: SerialNo::parse(DEMO_MERCHANT_SERIAL).unwrap(),
                key: SigningKey::from_pem(DEMO_MERCHANT_KEY_PEM).unwrap(),
            }),
            api_v3_key: ApiV3Key::parse(DEMO_API_V3_KEY).unwrap(),
            trust: Arc::new(TrustStore::new((mode != KeyMode::Certificates).then(public_key))),
        };
        let hosts = Hosts::new(&sim.base_url(), Some(&sim.base_url())).unwrap();
        let client = PayV3Client::new(transport, hosts, clock.clock());
        Self { sim, clock, phone, merchant, client }
    }

    async fn call<C: Call>(&self, call: &C) -> Result<Answered<C::Answer>, CallErrorV3> {
        // A number that no other call of the test has.
        let number = u128::try_from(self.sim.wire().len()).unwrap();
        self.client.call(&self.merchant, NonceStr::from_random(number.to_be_bytes()), call).await
    }

    fn order(&self) -> JsapiOrder {
        JsapiOrder {
            appid: self.sim.demo_appid(),
            mchid: self.merchant.credential.mchid.clone(),
            description: Body::parse("茶叶").unwrap(),
            out_trade_no: out_trade_no(),
            time_expire: None,
            attach: None,
            notify_url: NotifyUrl::parse("http://127.0.0.1:9/wechat/pay").unwrap(),
            total: OrderAmount::new(Fen::new(1280)).unwrap(),
            openid: self.phone.openid().clone(),
            client_ip: None,
        }
    }

    async fn place(&self) -> Result<Answered<JsapiAnswer>, CallErrorV3> {
        self.call(&self.order()).await
    }

    async fn state(&self) -> Result<TradeState, CallErrorV3> {
        let call = QueryByOutTradeNo { mchid: self.merchant.credential.mchid.clone(), out_trade_no: out_trade_no() };
        self.call(&call).await.map(|answered| answered.trade_state.clone())
    }

    async fn close(&self) -> Result<(), CallErrorV3> {
        let call = CloseOrder { mchid: self.merchant.credential.mchid.clone(), out_trade_no: out_trade_no() };
        self.call(&call).await.map(drop)
    }

    async fn pay(&self) {
        let prepay_id = self.place().await.unwrap().prepay_id.clone();
        self.pay_for(&prepay_id);
    }

    fn pay_for(&self, prepay_id: &PrepayId) {
        let nonce = NonceStr::from_random([4; 16]);
        let (appid, credential) = (self.sim.demo_appid(), &self.merchant.credential);
        let parameters = RequestPayment::new_v3(&appid, prepay_id, self.clock.now(), nonce, credential);
        self.phone.request_payment(&parameters, Choice::Pay).unwrap();
    }

    fn count(&self, path: &str) -> usize {
        self.sim.wire().iter().filter(|exchange| exchange.path.split('?').next() == Some(path)).count()
    }

    fn trusted(&self) -> BTreeSet<String> {
        self.merchant.trust.current().ids().map(KeyId::to_string).collect()
    }
}

fn public_key() -> VerifyingKey {
    let id = PublicKeyId::parse(DEMO_PUBLIC_KEY_ID).unwrap();
    VerifyingKey::from_public_key_pem(id, DEMO_PUBLIC_KEY_PEM).unwrap()
}

fn out_trade_no() -> OutTradeNo {
    OutTradeNo::parse(NUMBER).unwrap()
}

fn code(error: &CallErrorV3) -> Option<(u16, &Code)> {
    match error {
        CallErrorV3::Refused { status, error: Some(error), .. } => Some((*status, &error.code)),
        _ => None,
    }
}

#[tokio::test]
async fn lesson_15_an_order_is_made_paid_and_found_paid_in_every_key_mode() {
    for mode in [KeyMode::Certificates, KeyMode::PublicKey, KeyMode::Both] {
        let shop = Shop::open(mode).await;
        let error = shop.state().await.unwrap_err();
        assert_eq!(code(&error), Some((404, &Code::OrderNotExist)), "{mode:?}");
        shop.place().await.unwrap();
        assert_eq!(shop.state().await.unwrap(), TradeState::NotPay);
        shop.pay().await;
        assert_eq!(shop.state().await.unwrap(), TradeState::Success);
        assert!(code(&shop.close().await.unwrap_err()).is_some(), "{mode:?}");
        assert_eq!(shop.count(CERTIFICATES), usize::from(mode == KeyMode::Certificates), "{mode:?}");
        let refreshed = shop.client.refresh(&shop.merchant, SignedDuration::ZERO).await.unwrap();
        match mode {
            KeyMode::PublicKey => assert_eq!(refreshed, Refreshed::NoCertificates),
            KeyMode::Certificates | KeyMode::Both => assert_eq!(refreshed, Refreshed::Replaced { certificates: 1 }),
        }
        assert_eq!(shop.trusted().len(), if mode == KeyMode::Both { 2 } else { 1 });
        assert_eq!(shop.sim.ledger().payments.len(), 1);
    }
}

#[tokio::test]
async fn an_order_is_closed() {
    let shop = Shop::open(KeyMode::PublicKey).await;
    shop.place().await.unwrap();
    shop.close().await.unwrap();
    assert_eq!(shop.state().await.unwrap(), TradeState::Closed);
}

#[tokio::test]
async fn an_answer_about_another_payment_or_merchant_is_not_believed() {
    let shop = Shop::open(KeyMode::Both).await;
    shop.pay().await;
    for fault in [FaultKind::ForeignNumber, FaultKind::ForeignMerchant] {
        shop.sim.inject(Fault::on("query", fault));
        let error = shop.state().await.unwrap_err();
        assert!(matches!(error, CallErrorV3::OtherNumber) && error.outcome_is_unknown(), "{error:?}");
    }
    assert_eq!(shop.state().await.unwrap(), TradeState::Success);
}

#[tokio::test]
async fn a_payment_is_refunded() {
    let shop = Shop::open(KeyMode::Both).await;
    shop.pay().await;
    let request = RefundRequest {
        payment: PaymentNo::OutTradeNo(out_trade_no()),
        out_refund_no: OutRefundNo::parse("R-1|a*").unwrap(),
        reason: None,
        notify_url: NotifyUrl::parse("http://127.0.0.1:9/wechat/pay").unwrap(),
        amount: RefundAmount {
            refund: OrderAmount::new(Fen::new(80)).unwrap(),
            total: OrderAmount::new(Fen::new(1280)).unwrap(),
            currency: "CNY".to_owned(),
        },
    };
    let asked = shop.call(&request).await.unwrap();
    assert_eq!(asked.state, RefundState::Processing);
    let query = RefundQuery { out_refund_no: request.out_refund_no.clone() };
    assert_eq!(shop.call(&query).await.unwrap().refund_id, asked.refund_id);
    let frozen = FrozenRefund(Call::body(&request));
    assert_eq!(shop.call(&frozen).await.unwrap().refund_id, asked.refund_id);
    for path in ["/v3/refund/domestic/refunds", "/v3/refund/domestic/refunds/{out_refund_no}"] {
        shop.sim.inject(Fault::on(path, FaultKind::ForeignNumber).times(2));
    }
    for error in [
        shop.call(&query).await.unwrap_err(),
        shop.call(&request).await.unwrap_err(),
        shop.call(&frozen).await.unwrap_err(),
    ] {
        assert!(matches!(error, CallErrorV3::OtherNumber) && error.outcome_is_unknown(), "{error:?}");
    }
    shop.call(&request).await.unwrap();
    assert_eq!(shop.sim.ledger().refunds.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_and_the_order_is_made_once() {
    for fault in [FaultKind::NoAnswerBefore, FaultKind::NoAnswerAfter, FaultKind::HalfAnswer, FaultKind::Probe] {
        let shop = Shop::open(KeyMode::PublicKey).await;
        shop.sim.inject(Fault::on(JSAPI, fault.clone()));
        shop.place().await.unwrap();
        assert_eq!(shop.count(JSAPI), 2, "{fault:?}");
        assert_eq!(shop.sim.ledger().payments.len(), 1, "{fault:?}");
    }
    let options = TransportOptions { request_timeout: std::time::Duration::from_millis(500), ..Default::default() };
    let shop = Shop::open_with(KeyMode::PublicKey, Transport::new(&options).unwrap()).await;
    shop.sim.inject(Fault::on(JSAPI, FaultKind::Hang(60_000)));
    shop.place().await.unwrap();
    assert_eq!(shop.sim.ledger().payments.len(), 1);
}

#[tokio::test]
async fn lesson_06_what_wechat_did_not_sign_is_neither_success_nor_failure() {
    let shop = Shop::open(KeyMode::Both).await;
    type Expected = fn(&CallErrorV3) -> bool;
    let cases: [(FaultKind, Expected); 9] = [
        (FaultKind::Unsigned, |error| matches!(error, CallErrorV3::NotAuthentic(VerifyError::MissingHeader(_)))),
        (FaultKind::WrongSignature, |error| matches!(error, CallErrorV3::NotAuthentic(VerifyError::Mismatch))),
        (FaultKind::Stale, |error| matches!(error, CallErrorV3::NotAuthentic(VerifyError::Untimely { .. }))),
        (FaultKind::UnknownSerial, |error| matches!(error, CallErrorV3::NotAuthentic(VerifyError::UnknownKey { .. }))),
        (FaultKind::Html, |error| matches!(error, CallErrorV3::NotAuthentic(VerifyError::MissingHeader(_)))),
        (FaultKind::Empty, |error| matches!(error, CallErrorV3::NotAuthentic(VerifyError::MissingHeader(_)))),
        (FaultKind::Status(502), |error| matches!(error, CallErrorV3::Refused { status: 502, error: None, .. })),
        (FaultKind::V3Error { status: 429, code: "FREQUENCY_LIMITED".to_owned() }, |error| {
            code(error) == Some((429, &Code::FrequencyLimited))
        }),
        (FaultKind::V3ErrorAfter { status: 500, code: "SYSTEM_ERROR".to_owned() }, |error| {
            code(error) == Some((500, &Code::SystemError))
        }),
    ];
    for (fault, expected) in cases {
        let before = shop.count(JSAPI);
        shop.sim.inject(Fault::on(JSAPI, fault.clone()));
        let error = shop.place().await.unwrap_err();
        assert!(expected(&error) && error.outcome_is_unknown(), "{fault:?} {error:?}");
        assert_eq!(shop.count(JSAPI), before + 1, "an answer is final: {fault:?}");
    }
    shop.place().await.unwrap();
    assert_eq!(shop.sim.ledger().payments.len(), 1);
    assert_eq!(shop.count(CERTIFICATES), 1, "for the unknown serial");
}

#[tokio::test]
async fn a_wrong_key_of_the_merchant_is_told_by_wechat_and_proves_nothing() {
    let mut shop = Shop::open(KeyMode::PublicKey).await;
    let serial_no = SerialNo::parse("1").unwrap();
    let key = SigningKey::from_pem(DEMO_MERCHANT_KEY_PEM).unwrap();
    let mchid = shop.merchant.credential.mchid.clone();
    shop.merchant.credential = Arc::new(Credential { mchid, serial_no, key });
    let error = shop.place().await.unwrap_err();
    assert_eq!(code(&error), Some((401, &Code::SignError)));
    assert!(error.outcome_is_unknown());
}

#[tokio::test]
async fn lesson_13_a_download_that_fails_leaves_everything_as_it_was() {
    let shop = Shop::open(KeyMode::Certificates).await;
    shop.place().await.unwrap();
    let before = shop.trusted();
    for fault in [
        FaultKind::Unsigned,
        FaultKind::WrongSignature,
        FaultKind::Stale,
        FaultKind::UnknownSerial,
        FaultKind::Html,
        FaultKind::Status(503),
    ] {
        shop.sim.inject(Fault::on(CERTIFICATES, fault.clone()));
        assert!(shop.client.refresh(&shop.merchant, SignedDuration::ZERO).await.is_err(), "{fault:?}");
        assert_eq!(shop.trusted(), before);
        assert_eq!(shop.state().await.unwrap(), TradeState::NotPay);
    }
    assert_eq!(shop.client.refresh(&shop.merchant, HOUR).await.unwrap(), Refreshed::Fresh);
}

#[tokio::test]
async fn a_change_of_certificates_is_followed_without_losing_an_answer() {
    let shop = Shop::open(KeyMode::Certificates).await;
    shop.place().await.unwrap();
    for (rotation, downloads) in [(Rotation::BothPublished, 1), (Rotation::SecondSigns, 2), (Rotation::SecondOnly, 2)] {
        shop.sim.set_rotation(rotation);
        shop.clock.advance_s(300);
        assert_eq!(shop.state().await.unwrap(), TradeState::NotPay, "{rotation:?}");
        assert_eq!(shop.count(CERTIFICATES), downloads, "{rotation:?}");
    }
    assert_eq!(shop.trusted().len(), 2);
    let refreshed = shop.client.refresh(&shop.merchant, SignedDuration::ZERO).await.unwrap();
    assert_eq!(refreshed, Refreshed::Replaced { certificates: 1 });
}

#[tokio::test]
async fn lesson_05_notifications_are_verified_as_they_arrive() {
    for mode in [KeyMode::Certificates, KeyMode::PublicKey] {
        let shop = Shop::open(mode).await;
        let server = Peer::start(|_| {
            Reply::Raw(b"HTTP/1.1 500 Again\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec())
        });
        let notify_url = NotifyUrl::parse(format!("{}/wechat/pay/{DEMO_MCHID}", server.url())).unwrap();
        let order = JsapiOrder { notify_url, ..shop.order() };
        let prepay_id = shop.call(&order).await.unwrap().prepay_id.clone();
        shop.pay_for(&prepay_id);
        let faults = [
            (None, None),
            (Some(FaultKind::WrongSignature), Some(VerifyError::Mismatch)),
            (Some(FaultKind::TamperedBody), Some(VerifyError::Mismatch)),
            (Some(FaultKind::Stale), Some(VerifyError::Untimely { skew_s: 600 })),
        ];
        for (fault, expected) in faults {
            if let Some(kind) = &fault {
                shop.sim.inject(Fault::on(NOTIFICATION, kind.clone()));
            }
            shop.clock.advance_s(1800);
            assert_eq!(shop.sim.deliver_due().await, 1, "{fault:?}");
            let received = server.received().pop().unwrap();
            let headers = SignatureHeaders::read(|name| received.header(name)).unwrap();
            let verified = shop.client.verify_callback(&shop.merchant, &headers, &received.body).await;
            let Ok(verified) = verified else {
                assert_eq!(verified.err(), expected, "{mode:?} {fault:?}");
                continue;
            };
            assert_eq!(expected, None);
            let mchid = &shop.merchant.credential.mchid;
            let notification = notification::read(verified, mchid, &shop.merchant.api_v3_key).unwrap();
            assert_eq!(notification.paid().unwrap().out_trade_no, out_trade_no());
        }
    }
}
