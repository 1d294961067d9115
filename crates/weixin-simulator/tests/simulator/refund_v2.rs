//! Refunds of API v2: the certificate, what is accepted, what is told.

use weixin::{
    Fen, MchId, OutRefundNo,
    pay::{
        RefundState,
        v2::{
            Answer as _, SignType,
            refund_notification::{self, RefundNotification, RequestSource},
            refund_query::Refunds,
            verify,
        },
    },
    xml::Fields,
};
use weixin_simulator::{
    DEMO_APPID, DEMO_MCHID, Fault, FaultKind, KeyMode, MerchantCertificate, MerchantV3Setup, NOTIFICATION,
    NotificationState, Options, RefundEnding, RefundError, RefundSource, Standing,
};

use crate::{
    envelope::{failure, refusal},
    support::{GOOD, Merchant, Received, Reply, Stage, http_answer, key, mchid, options},
    tls::{DEMO, STRANGER},
    v3::REFUNDS,
};

const REFUND: &str = "/secapi/pay/refund";
const QUERY: &str = "/pay/refundquery";

/// A refund of an order of 3000 fen.
pub(crate) fn request(order: &str, number: &str, refund_fee: u32) -> Fields {
    let refund_fee = refund_fee.to_string();
    [
        ("appid", DEMO_APPID),
        ("mch_id", DEMO_MCHID),
        ("nonce_str", "6cefdb308e1e2e8aabd48cf79e546a02"),
        ("out_trade_no", order),
        ("out_refund_no", number),
        ("total_fee", "3000"),
        ("refund_fee", &refund_fee),
        ("refund_desc", "少做一杯"),
        ("notify_url", "http://127.0.0.1:9/notify"),
    ]
    .into_iter()
    .collect()
}

impl Stage {
    pub(crate) async fn refund_v2(&self, request: &Fields) -> Fields {
        let reply = self.secapi(REFUND, request, Some(DEMO)).await;
        Fields::parse(&reply.body).unwrap_or_else(|_| panic!("{reply:?}"))
    }

    /// WeChat's number of an accepted refund.
    async fn refunded_v2(&self, request: &Fields) -> String {
        let answer = self.refund_v2(request).await;
        assert_eq!(answer.get("result_code"), Some("SUCCESS"), "{}", answer.to_xml());
        verify(answer.clone(), &key(), SignType::Md5).unwrap();
        answer.get("refund_id").unwrap().to_owned()
    }

    async fn ask_refunds(&self, by: &[(&str, &str)]) -> Fields {
        let common = [("appid", DEMO_APPID), ("mch_id", DEMO_MCHID), ("nonce_str", "0b9f35f484df17a732e537c37708d1d0")];
        self.pay_call(QUERY, common.iter().chain(by).copied().collect()).await
    }

    async fn refunds(&self, by: &[(&str, &str)]) -> Refunds {
        let answer = self.ask_refunds(by).await;
        assert!(answer.iter().map(|(name, _)| name).is_sorted() || answer.get("return_code").is_some());
        Refunds::from_fields(&verify(answer, &key(), SignType::Md5).unwrap()).unwrap()
    }

    async fn refund_state(&self, number: &str) -> RefundState {
        self.refunds(&[("out_refund_no", number)]).await.refunds[0].state.clone()
    }
}

fn page(reply: &Reply) -> String {
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("text/html")));
    let text = String::from_utf8(reply.body.clone()).unwrap();
    let (_, rest) = text.split_once("<title>").unwrap();
    rest.split_once("</title>").unwrap().0.to_owned()
}

fn told(received: &Received) -> RefundNotification {
    refund_notification::read(&received.body, &mchid(), &key()).unwrap()
}

fn mch(number: &str) -> MchId {
    MchId::parse(number).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_refund_without_a_certificate_that_wechat_knows() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let request = request("ORD000001", "R1", 1000);
    let plain = stage.http("POST", REFUND, &[], b"<xml></xml>").await;
    assert_eq!(page(&plain), "400 No required SSL certificate was sent", "without TLS nothing can be shown");
    let none = stage.secapi(REFUND, &request, None).await;
    assert_eq!(page(&none), "400 No required SSL certificate was sent");
    let stranger = stage.secapi(REFUND, &request, Some(STRANGER)).await;
    assert_eq!(page(&stranger), "400 The SSL certificate error");
    for standing in [Standing::Revoked, Standing::Replaced] {
        let certificate = MerchantCertificate::from_pem(DEMO.0).unwrap().standing(standing);
        stage.sim.add_merchant_v3(&MerchantV3Setup { certificates: vec![certificate], ..MerchantV3Setup::demo() });
        assert_eq!(page(&stage.secapi(REFUND, &request, Some(DEMO)).await), "400 The SSL certificate error");
    }
    assert!(stage.sim.ledger().refunds.is_empty());
    stage.sim.add_merchant_v3(&MerchantV3Setup::demo());
    stage.refunded_v2(&request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_merchant_or_an_expired_one_is_refused() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let certificate = MerchantCertificate::from_pem(STRANGER.0).unwrap();
    let other = MerchantV3Setup {
        mchid: mch("1900000109"),
        key: None,
        certificates: vec![certificate],
        key_mode: KeyMode::PublicKey,
    };
    stage.sim.add_merchant_v3(&other);
    let request = request("ORD000001", "R1", 1000);
    let answer = stage.secapi(REFUND, &request, Some(STRANGER)).await;
    assert_eq!(failure(&Fields::parse(&answer.body).unwrap()), "商户号与API证书不匹配");
    stage.advance_s(95 * 366 * 86_400);
    assert_eq!(failure(&stage.refund_v2(&request).await), "证书已过期");
    assert!(stage.sim.ledger().refunds.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_accepted_and_arrives_after_a_while() {
    let stage = Stage::new().await;
    stage.sim.set_refund_after_s(60);
    stage.paid(stage.order("ORD000001")).await;
    let answer = stage.refund_v2(&request("ORD000001", "R1@x", 1000)).await;
    let names: Vec<_> = answer.iter().map(|(name, _)| name).collect();
    let expected = [
        "return_code",
        "return_msg",
        "appid",
        "mch_id",
        "nonce_str",
        "sign",
        "result_code",
        "transaction_id",
        "out_trade_no",
        "out_refund_no",
        "refund_id",
        "refund_channel",
        "refund_fee",
        "coupon_refund_fee",
        "total_fee",
        "cash_fee",
        "coupon_refund_count",
        "cash_refund_fee",
    ];
    assert_eq!(names, expected);
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("REFUND"));
    stage.advance_s(59);
    assert_eq!(stage.refund_state("R1@x").await, RefundState::Processing);
    stage.advance_s(1);
    let refunds = stage.refunds(&[("out_refund_no", "R1@x")]).await.refunds;
    assert_eq!((&refunds[0].state, refunds[0].success_time), (&RefundState::Success, Some(stage.sim.now())));
    assert_eq!(refunds[0].refund_id, answer.get("refund_id").unwrap());
    let ledger = stage.sim.ledger();
    assert_eq!(ledger.refund("R1@x").unwrap().source, RefundSource::ApiV2);
    assert_eq!(ledger.refunded_fen("ORD000001"), Fen::new(1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_number_is_the_same_refund_and_never_another_amount() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let first = stage.refunded_v2(&request("ORD000001", "R1", 2000)).await;
    assert_eq!(stage.refunded_v2(&request("ORD000001", "R1", 2000)).await, first);
    let mut by_id = request("ORD000001", "R1", 2000);
    let transaction_id = stage.sim.ledger().payment("ORD000001").unwrap().transaction_id.clone().unwrap();
    by_id.remove("out_trade_no");
    by_id.set("transaction_id", transaction_id.as_str()).set("nonce_str", "another").set("sign_type", "MD5");
    assert_eq!(stage.refunded_v2(&by_id).await, first);
    assert_eq!(refusal(&stage.refund_v2(&request("ORD000001", "R1", 1999)).await).0, "REFUND_FEE_MISMATCH");
    let mut other_total = request("ORD000001", "R2", 1);
    other_total.set("total_fee", "2999");
    assert_eq!(refusal(&stage.refund_v2(&other_total).await).0, "REFUND_FEE_MISMATCH");
    // By API v3 it is the same refund, too.
    let body = serde_json::json!({
        "out_trade_no": "ORD000001", "out_refund_no": "R1", "reason": "another word",
        "notify_url": "http://127.0.0.1:9/notify", "amount": { "refund": 2000, "total": 3000, "currency": "CNY" },
    });
    let by_v3 = stage.good(&stage.v3("POST", REFUNDS, &body.to_string()).await);
    assert_eq!(by_v3["refund_id"], first);
    assert_eq!(stage.sim.ledger().refunds.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_goes_back_than_was_paid() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    assert_eq!(failure(&stage.refund_v2(&request("ORD000001", "R0", 3001)).await), "invalid refund_fee");
    stage.refunded_v2(&request("ORD000001", "R1", 1000)).await;
    stage.refunded_v2(&request("ORD000001", "R2", 1999)).await;
    let too_much = refusal(&stage.refund_v2(&request("ORD000001", "R3", 2)).await);
    assert_eq!(too_much, ("INVALID_REQUEST".to_owned(), "refund_fee大于可退金额".to_owned()));
    stage.refunded_v2(&request("ORD000001", "R4", 1)).await;
    let nothing_left = refusal(&stage.refund_v2(&request("ORD000001", "R5", 1)).await);
    assert_eq!(nothing_left, ("ERROR".to_owned(), "订单已全额退款".to_owned()));
    stage.advance_s(3);
    assert_eq!(stage.sim.ledger().refunded_fen("ORD000001"), Fen::new(3000));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_refunds_one_year_and_if_asked_for_one_minute() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    for number in 0..50 {
        stage.refunded_v2(&request("ORD000001", &format!("R{number}"), 1)).await;
    }
    assert_eq!(refusal(&stage.refund_v2(&request("ORD000001", "R50", 1)).await).0, "INVALID_REQUEST");
    stage.paid(stage.order("ORD000002")).await;
    stage.advance_s(365 * 86_400);
    stage.refunded_v2(&request("ORD000002", "S1", 1)).await;
    stage.advance_s(1);
    assert_eq!(refusal(&stage.refund_v2(&request("ORD000002", "S2", 1)).await).0, "TRADE_OVERDUE");

    let mut strict = options(1);
    strict.strictness.minute_between_refunds = true;
    let stage = Stage::with(strict).await;
    stage.paid(stage.order("ORD000001")).await;
    stage.refunded_v2(&request("ORD000001", "R1", 1)).await;
    stage.advance_s(59);
    assert_eq!(refusal(&stage.refund_v2(&request("ORD000001", "R2", 1)).await).0, "FREQUENCY_LIMITED");
    stage.refunded_v2(&request("ORD000001", "R1", 1)).await;
    stage.advance_s(1);
    stage.refunded_v2(&request("ORD000001", "R2", 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_paid_can_be_refunded() {
    let stage = Stage::new().await;
    stage.prepay(stage.order("ORD000001")).await;
    assert_eq!(refusal(&stage.refund_v2(&request("ORD000001", "R1", 1)).await).0, "INVALID_REQUEST");
    assert_eq!(refusal(&stage.refund_v2(&request("ORD000002", "R1", 1)).await).0, "ORDERNOTEXIST");
    let mut by_id = request("ORD000001", "R1", 1);
    by_id.set("transaction_id", "4200001234202601221234567890");
    assert_eq!(refusal(&stage.refund_v2(&by_id).await).0, "ORDERNOTEXIST");
    by_id.set("transaction_id", "not a number");
    assert_eq!(refusal(&stage.refund_v2(&by_id).await).0, "INVALID_TRANSACTIONID");
    assert_eq!(refusal(&stage.ask_refunds(&[("out_refund_no", "R1")]).await).0, "REFUNDNOTEXIST");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_checked_field_by_field() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let good = request("ORD000001", "R1", 1);
    for (name, value, expected) in [
        ("out_refund_no", "", "缺少参数out_refund_no"),
        ("refund_fee", "", "缺少参数refund_fee"),
        ("out_trade_no", "", "缺少参数"),
        ("out_refund_no", "R 1", "out_refund_no参数格式错误"),
        ("out_refund_no", &"R".repeat(65), "out_refund_no参数长度有误"),
        ("refund_desc", &"茶".repeat(27), "refund_desc参数长度有误"),
        ("refund_desc", "\u{1f375}", "refund_desc参数格式错误"),
        ("refund_fee", "0", "invalid refund_fee"),
        ("refund_fee", "1.0", "invalid refund_fee"),
        ("total_fee", "0", "invalid total_fee"),
        ("refund_fee_type", "USD", "refund_fee_type参数格式错误"),
        ("refund_account", "MINE", "refund_account参数格式错误"),
        ("notify_url", "/relative", "notify_url参数格式错误"),
    ] {
        let mut changed = good.clone();
        changed.set(name, value);
        assert_eq!(failure(&stage.refund_v2(&changed).await), expected, "{name}={value}");
    }
    assert!(stage.sim.ledger().refunds.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balance_that_is_too_low_is_topped_up_and_the_same_refund_sent_again() {
    let stage = Stage::new().await;
    stage.sim.set_balance(&mchid(), Some(Fen::ZERO));
    stage.paid(stage.order("ORD000001")).await;
    stage.sim.set_balance(&mchid(), Some(Fen::new(999)));
    let request = request("ORD000001", "R1", 1000);
    assert_eq!(refusal(&stage.refund_v2(&request).await).0, "NOTENOUGH");
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("SUCCESS"));
    let body = serde_json::json!({
        "out_trade_no": "ORD000001", "out_refund_no": "V3", "amount": { "refund": 1000, "total": 3000, "currency": "CNY" },
    });
    let by_v3 = stage.v3("POST", REFUNDS, &body.to_string()).await;
    assert_eq!(crate::v3::code(&by_v3), (403, "NOT_ENOUGH".to_owned()));
    // Another payment comes in, and the refund can be made.
    stage.paid(stage.order("ORD000002")).await;
    stage.refunded_v2(&request).await;
    stage.refunded_v2(&request).await;
    let mut second = self::request("ORD000001", "R2", 2000);
    second.set("refund_desc", "x");
    stage.refunded_v2(&second).await;
    assert_eq!(refusal(&stage.refund_v2(&self::request("ORD000002", "R3", 1000)).await).0, "NOTENOUGH", "999 are left");
    stage.sim.end_refund(&mchid(), "R2", RefundEnding::Closed).unwrap();
    stage.refunded_v2(&self::request("ORD000002", "R3", 1000)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_are_found_by_each_number_ten_at_a_time() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let mut ids = Vec::new();
    for number in 0..12 {
        ids.push(stage.refunded_v2(&request("ORD000001", &format!("R{number}"), 1)).await);
    }
    let by_id = stage.refunds(&[("refund_id", &ids[3]), ("out_refund_no", "R5")]).await;
    assert_eq!((by_id.refunds[0].out_refund_no.as_str(), by_id.refunds.len()), ("R3", 1), "WeChat's number wins");
    let first = stage.refunds(&[("out_trade_no", "ORD000001")]).await;
    assert_eq!((first.refunds.len(), first.total_count), (10, Some(12)));
    let rest = stage.refunds(&[("out_trade_no", "ORD000001"), ("offset", "10")]).await;
    assert_eq!((rest.refunds.len(), rest.total_count), (2, Some(12)));
    assert!(rest.find(&OutRefundNo::parse("R11").unwrap()).is_some());
    for offset in ["12", "x"] {
        let beyond = stage.ask_refunds(&[("out_trade_no", "ORD000001"), ("offset", offset)]).await;
        assert_eq!(refusal(&beyond).0, "PARAM_ERROR");
    }
    stage.paid(stage.order("ORD000002")).await;
    assert_eq!(refusal(&stage.ask_refunds(&[("out_trade_no", "ORD000002")]).await).0, "REFUNDNOTEXIST");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchant_is_told_sealed_and_without_a_signature() {
    let stage = Stage::new().await;
    let merchant = Merchant::answering([
        Some(http_answer("200 OK", "<xml><return_code>FAIL</return_code></xml>")),
        Some(http_answer("200 OK", GOOD)),
    ]);
    stage.paid(stage.order("ORD000001")).await;
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::Delay(1_000_000)));
    stage.sim.deliver_due().await;
    let mut request = request("ORD000001", "R1", 1000);
    request.set("notify_url", merchant.url.as_str());
    let refund_id = stage.refunded_v2(&request).await;
    assert_eq!(stage.sim.deliver_due().await, 0, "not before it has ended");
    stage.advance_s(3);
    assert_eq!(stage.sim.deliver_due().await, 1);
    stage.advance_s(15);
    assert_eq!(stage.sim.deliver_due().await, 1, "FAIL asks for a repeat");
    let received = merchant.received();
    let outer = received[1].fields();
    let names: Vec<_> = outer.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["return_code", "appid", "mch_id", "nonce_str", "req_info"]);
    assert!(received[1].head.contains("content-type: text/xml"));
    let told = told(&received[1]);
    assert_eq!((&told.refund.refund_id, &told.refund.state), (&refund_id, &RefundState::Success));
    assert_eq!((told.refund.refund.get(), told.request_source), (1000, RequestSource::Api));
    let ledger = stage.sim.ledger();
    let entry = ledger.refund("R1").unwrap();
    assert_eq!((entry.notification.as_ref(), entry.attempts.len()), (Some(&NotificationState::Accepted), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abnormal_refund_waits_for_somebody_and_success_is_never_taken_back() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    stage.sim.set_refund_ending(RefundEnding::Abnormal);
    stage.paid(stage.order("ORD000001")).await;
    let mut request = request("ORD000001", "R1", 3000);
    request.set("notify_url", merchant.url.as_str());
    stage.refunded_v2(&request).await;
    stage.advance_s(3);
    stage.sim.deliver_due().await;
    assert_eq!(stage.refund_state("R1").await, RefundState::Abnormal);
    assert_eq!(told(&merchant.received()[0]).refund.state, RefundState::Abnormal);
    assert_eq!(stage.sim.ledger().refunded_fen("ORD000001"), Fen::ZERO);
    stage.advance_s(86_400);
    stage.sim.end_refund(&mchid(), "R1", RefundEnding::Success).unwrap();
    stage.sim.deliver_due().await;
    let last = told(merchant.received().last().unwrap());
    assert_eq!((last.refund.state, last.refund.success_time), (RefundState::Success, Some(stage.sim.now())));
    let error = stage.sim.end_refund(&mchid(), "R1", RefundEnding::Closed).unwrap_err();
    assert_eq!(error, RefundError::Ended(RefundState::Success));
    assert_eq!(stage.sim.end_refund(&mchid(), "R2", RefundEnding::Closed), Err(RefundError::Unknown));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_refund_gives_the_amount_free_for_another_number() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    stage.sim.set_refund_ending(RefundEnding::Closed);
    stage.sim.set_balance(&mchid(), Some(Fen::ZERO));
    stage.paid(stage.order("ORD000001")).await;
    let mut first = request("ORD000001", "R1", 3000);
    first.set("notify_url", merchant.url.as_str());
    stage.refunded_v2(&first).await;
    assert_eq!(refusal(&stage.refund_v2(&request("ORD000001", "R2", 3000)).await).0, "ERROR", "still under way");
    stage.advance_s(3);
    stage.sim.deliver_due().await;
    assert_eq!(told(merchant.received().last().unwrap()).refund.state, RefundState::Closed);
    stage.sim.set_refund_ending(RefundEnding::Success);
    stage.refunded_v2(&request("ORD000001", "R2", 3000)).await;
    stage.advance_s(3);
    assert_eq!(stage.refund_state("R1").await, RefundState::Closed);
    assert_eq!(stage.refund_state("R2").await, RefundState::Success);
    assert_eq!(stage.sim.ledger().refunded_fen("ORD000001"), Fen::new(3000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_by_hand_is_told_at_the_address_of_the_platform() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    stage.paid_v3(&stage.order_v3("ORD000001")).await;
    let address = weixin::NotifyUrl::parse(merchant.url.as_str()).unwrap();
    stage.sim.set_refund_address(&mchid(), Some(address));
    let number = stage.sim.refund_at_platform(&mchid(), "ORD000001", Fen::new(500)).unwrap();
    // A refund of API v3 without an address of its own goes there, too.
    let body = serde_json::json!({
        "out_trade_no": "ORD000001", "out_refund_no": "R1", "amount": { "refund": 1000, "total": 3000, "currency": "CNY" },
    });
    stage.good(&stage.v3("POST", REFUNDS, &body.to_string()).await);
    stage.advance_s(3);
    stage.sim.deliver_due().await;
    let told: Vec<_> = merchant.received().iter().map(told).collect();
    let by = |number: &str| told.iter().find(|told| told.refund.out_refund_no.as_str() == number).unwrap();
    assert_eq!(by(number.as_str()).request_source, RequestSource::VendorPlatform);
    assert_eq!(by("R1").request_source, RequestSource::Api);
    assert_eq!(stage.sim.ledger().refund(number.as_str()).unwrap().source, RefundSource::Platform);
    let too_much = stage.sim.refund_at_platform(&mchid(), "ORD000001", Fen::new(1501));
    assert_eq!(too_much, Err(RefundError::Refused("less than that is left to refund")));
    assert!(stage.sim.refund_at_platform(&mchid(), "ORD000001", Fen::ZERO).is_err());
    assert!(stage.sim.refund_at_platform(&mchid(), "ORD000002", Fen::new(1)).is_err());
    let again = stage.sim.refund_at_platform(&mchid(), "ORD000001", Fen::new(500)).unwrap();
    assert_ne!(again, number);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_notification_can_be_spoilt_and_the_true_one_comes_later() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    stage.paid(stage.order("ORD000001")).await;
    stage.sim.inject(Fault::on(NOTIFICATION, FaultKind::Delay(1_000_000)));
    stage.sim.deliver_due().await;
    let kinds = [
        FaultKind::Unsigned,
        FaultKind::WrongSignature,
        FaultKind::TamperedBody,
        FaultKind::OtherMerchant,
        FaultKind::WrongAmount,
        FaultKind::UnknownField,
    ];
    for kind in kinds {
        stage.sim.inject(Fault::on(NOTIFICATION, kind));
    }
    let mut request = request("ORD000001", "R1", 1000);
    request.set("notify_url", merchant.url.as_str());
    stage.refunded_v2(&request).await;
    for pause_s in [3, 15, 15, 30, 180, 600, 1200] {
        stage.advance_s(pause_s);
        stage.sim.deliver_due().await;
    }
    let read = |received: &Received| refund_notification::read(&received.body, &mchid(), &key());
    let amounts: Vec<_> =
        merchant.received().iter().map(|it| read(it).ok().map(|told| told.refund.refund.get())).collect();
    assert_eq!(amounts, [None, None, None, None, Some(1001), Some(1000), Some(1000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn refunds_can_go_wrong_like_everything_else() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let request = request("ORD000001", "R1", 1000);
    stage.sim.inject(Fault::on(REFUND, FaultKind::NoAnswerBefore));
    assert_eq!(stage.secapi(REFUND, &request, Some(DEMO)).await.status, 0);
    assert!(stage.sim.ledger().refunds.is_empty());
    stage.sim.inject(Fault::on(REFUND, FaultKind::ErrCode("BIZERR_NEED_RETRY".to_owned())));
    assert_eq!(refusal(&stage.refund_v2(&request).await).0, "BIZERR_NEED_RETRY");
    assert!(stage.sim.ledger().refunds.is_empty());
    stage.sim.inject(Fault::on(REFUND, FaultKind::NoAnswerAfter));
    assert_eq!(stage.secapi(REFUND, &request, Some(DEMO)).await.status, 0);
    assert_eq!(stage.sim.ledger().refunds.len(), 1);
    stage.sim.inject(Fault::on(QUERY, FaultKind::WrongSignature));
    let answer = stage.ask_refunds(&[("out_refund_no", "R1")]).await;
    assert!(verify(answer, &key(), SignType::Md5).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_api_offers_the_same() {
    let stage = Stage::new().await;
    stage.paid(stage.order("ORD000001")).await;
    let post = async |path: &str, body: serde_json::Value| stage.post_json(path, body).await;
    let demo = |rest: serde_json::Value| {
        let mut body = serde_json::json!({ "mchid": DEMO_MCHID });
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let money = "/_sim/merchants/money";
    assert_eq!(post(money, demo(json(r#"{"balance_fen": 10}"#))).await.0, 200);
    let by_hand = demo(json(r#"{"out_trade_no": "ORD000001", "refund_fen": 11}"#));
    assert_eq!(post("/_sim/refunds/platform", by_hand.clone()).await.0, 409);
    assert_eq!(post(money, demo(json(r#"{"balance_fen": null}"#))).await.0, 200);
    assert_eq!(post("/_sim/platform", json(r#"{"refund_ending": "abnormal", "refund_after_s": 0}"#)).await.0, 200);
    let (status, made) = post("/_sim/refunds/platform", by_hand).await;
    assert_eq!(status, 200, "{made}");
    let number = made["out_refund_no"].as_str().unwrap();
    assert_eq!(stage.refund_state(number).await, RefundState::Abnormal);
    let end = demo(serde_json::json!({ "out_refund_no": number, "ending": "success" }));
    assert_eq!(post("/_sim/refunds/end", end.clone()).await.0, 200);
    assert_eq!(stage.refund_state(number).await, RefundState::Success);
    assert_eq!(post("/_sim/refunds/end", end).await.0, 409);
    let unknown = demo(json(r#"{"out_refund_no": "R9", "ending": "success"}"#));
    assert_eq!(post("/_sim/refunds/end", unknown).await.0, 404);
    let status = stage.get_json("/_sim/status").await;
    assert_eq!(status["tls_base_url"].as_str(), stage.sim.tls_base_url().as_deref());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tls_listener_refunds_of_api_v2_cannot_be_made() {
    let stage = Stage::with(Options { listen_tls: None, ..options(1) }).await;
    assert_eq!(stage.sim.tls_base_url(), None);
    assert_eq!(stage.http("POST", REFUND, &[], b"x").await.status, 400);
    let outside = Options { listen_tls: Some("0.0.0.0:0".parse().unwrap()), ..options(1) };
    let refused = weixin_simulator::Simulator::start(outside).await.unwrap_err();
    assert!(matches!(refused, weixin_simulator::StartError::NotLoopback(_)), "{refused}");
}
