//! Telling the merchant: once at the payment, then by the schedule, and only on this machine.

use weixin::pay::v2::{
    SignType,
    notification::{self, Notification, RETRY_PAUSES_S},
    verify,
};
use weixin_simulator::{Choice, Delivery, Fault, FaultKind, NOTIFICATION, NotificationState};

use crate::support::{GOOD, Merchant, Stage, http_answer, key, mchid, options, start_time};

pub(crate) async fn paid_at(stage: &Stage, number: &str, merchant: &Merchant) {
    let mut order = stage.order(number);
    order.set("notify_url", merchant.url.as_str());
    stage.paid(order).await;
}

pub(crate) fn state(stage: &Stage, number: &str) -> NotificationState {
    stage.sim.ledger().payment(number).unwrap().notification.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_merchant_is_told_of_a_payment_at_once() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    paid_at(&stage, "ORD000001", &merchant).await;
    assert_eq!(merchant.received().len(), 0, "on demand nothing is sent by itself");
    assert_eq!(stage.sim.deliver_due().await, 1);
    let received = merchant.received();
    let head = &received[0].head;
    assert!(head.starts_with("post /wechat/pay/1600000001 http/1.1"), "{head}");
    for line in ["content-type: text/xml", "user-agent: mozilla/4.0", "accept: */*", "content-length: "] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert_eq!(received[0].fields().get("sign_type"), None, "the order had none");
    let told = notification::read(&received[0].body, &mchid(), &key(), SignType::Md5).unwrap();
    let Notification::Paid(paid) = &*told else { panic!("{told:?}") };
    assert_eq!(paid.total.unwrap().get(), 3000);
    assert_eq!(paid.success_time, Some(start_time()));
    assert_eq!(state(&stage, "ORD000001"), NotificationState::Accepted);
    stage.advance_s(100_000);
    assert_eq!(stage.sim.deliver_due().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_has_the_sign_type_of_the_order() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    let mut order = stage.order("ORD000001");
    order.set("sign_type", "HMAC-SHA256").set("notify_url", merchant.url.as_str()).set("attach", "shop=7");
    let prepay_id = stage.prepay(order).await;
    stage.li.request_payment(&stage.parameters(&prepay_id, SignType::HmacSha256), Choice::Pay).unwrap();
    stage.sim.deliver_due().await;
    let fields = merchant.received()[0].fields();
    assert_eq!(fields.get("sign_type"), Some("HMAC-SHA256"));
    assert_eq!(fields.get("attach"), Some("shop=7"));
    let names: Vec<_> = fields.iter().map(|(name, _)| name.to_owned()).collect();
    assert!(names.is_sorted(), "{names:?}");
    verify(fields, &key(), SignType::HmacSha256).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schedule_is_kept_to_the_second_and_then_given_up() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    paid_at(&stage, "ORD000001", &merchant).await;
    assert_eq!(stage.sim.deliver_due().await, 1);
    for pause_s in RETRY_PAUSES_S {
        stage.advance_s(i64::from(pause_s) - 1);
        assert_eq!(stage.sim.deliver_due().await, 0, "too early");
        stage.advance_s(1);
        assert_eq!(stage.sim.deliver_due().await, 1);
    }
    let ledger = stage.sim.ledger();
    let attempts = &ledger.payment("ORD000001").unwrap().attempts;
    let offsets: Vec<_> = attempts.iter().map(|attempt| (attempt.at - start_time()).get_seconds()).collect();
    let hour = 3600;
    let expected = [
        0,
        15,
        30,
        60,
        240,
        14 * 60,
        34 * 60,
        64 * 60,
        94 * 60,
        124 * 60,
        184 * 60,
        6 * hour + 240,
        9 * hour + 240,
        12 * hour + 240,
        18 * hour + 240,
        24 * hour + 240,
    ];
    assert_eq!(offsets, expected);
    assert!(attempts.iter().all(|attempt| attempt.http_status == Some(500) && !attempt.accepted));
    assert_eq!(state(&stage, "ORD000001"), NotificationState::GivenUp);
    stage.advance_s(100_000);
    assert_eq!(stage.sim.deliver_due().await, 0);
    assert_eq!(merchant.received().len(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_xml_with_success_and_status_200_ends_the_repeats() {
    let stage = Stage::new().await;
    let redirect = format!(
        "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        Merchant::good().url
    );
    let mut answers = vec![redirect];
    for (status, body) in [
        ("200 OK", ""),
        ("200 OK", "success"),
        ("200 OK", r#"{"code":"SUCCESS"}"#),
        ("200 OK", "<html>login</html>"),
        ("200 OK", "<xml><return_code>FAIL</return_code></xml>"),
        ("200 OK", "<xml><return_code>success</return_code></xml>"),
        ("204 No Content", ""),
        ("201 Created", GOOD),
        ("500 Internal Server Error", GOOD),
    ] {
        answers.push(http_answer(status, body));
    }
    let count = answers.len();
    answers.push(http_answer("200 OK", GOOD));
    let merchant = Merchant::answering(answers.into_iter().map(Some));
    paid_at(&stage, "ORD000001", &merchant).await;
    stage.sim.deliver_due().await;
    for pause_s in &RETRY_PAUSES_S[..count] {
        assert!(matches!(state(&stage, "ORD000001"), NotificationState::Pending { .. }));
        stage.advance_s(i64::from(*pause_s));
        assert_eq!(stage.sim.deliver_due().await, 1);
    }
    assert_eq!(state(&stage, "ORD000001"), NotificationState::Accepted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_left_after_five_seconds() {
    let (stage, merchant) = (Stage::new().await, Merchant::answering([None]));
    paid_at(&stage, "ORD000001", &merchant).await;
    assert_eq!(stage.sim.deliver_due().await, 1);
    let ledger = stage.sim.ledger();
    let attempt = &ledger.payment("ORD000001").unwrap().attempts[0];
    assert_eq!(attempt.error.as_deref(), Some("no reply within 5 s"));
    assert_eq!(attempt.http_status, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_beyond_this_machine_is_ever_called() {
    let stage = Stage::new().await;
    for (number, url) in [("ORD000001", "https://shop.example.com/notify"), ("ORD000002", "http://10.0.0.1/notify")] {
        let mut order = stage.order(number);
        order.set("notify_url", url);
        stage.paid(order).await;
        assert_eq!(stage.sim.deliver_due().await, 0);
        assert_eq!(state(&stage, number), NotificationState::NotLoopback);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_server_is_a_failed_attempt() {
    let stage = Stage::new().await;
    // Port 9 of `Stage::order`: nobody listens.
    stage.paid(stage.order("ORD000001")).await;
    assert_eq!(stage.sim.deliver_due().await, 1);
    let ledger = stage.sim.ledger();
    assert!(ledger.payment("ORD000001").unwrap().attempts[0].error.is_some());
    assert_eq!(stage.sim.next_due(), Some(start_time() + jiff::SignedDuration::from_secs(15)));
}

#[tokio::test(flavor = "multi_thread")]
async fn automatic_delivery_needs_nobody() {
    let mut options = options(1);
    options.delivery = Delivery::Automatic;
    let (stage, merchant) = (Stage::with(options).await, Merchant::bad());
    paid_at(&stage, "ORD000001", &merchant).await;
    // The first exchange is the order, the second its notification.
    stage.sim.follow_wire().wait_for(|sequence| *sequence >= 2).await.unwrap();
    stage.advance_s(15);
    merchant.wait_for(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_can_be_lost_doubled_and_late() {
    let (stage, merchant) = (Stage::new().await, Merchant::good());
    for kind in [FaultKind::Lost, FaultKind::Twice, FaultKind::Delay(40)] {
        stage.sim.inject(Fault::on(NOTIFICATION, kind));
    }
    paid_at(&stage, "LOST000001", &merchant).await;
    assert_eq!(stage.sim.deliver_due().await, 1);
    assert_eq!(merchant.received().len(), 0);
    paid_at(&stage, "TWICE00001", &merchant).await;
    assert_eq!(stage.sim.deliver_due().await, 1);
    assert_eq!(merchant.received().len(), 2);
    assert_eq!(merchant.received()[0].body, merchant.received()[1].body);
    paid_at(&stage, "LATE000001", &merchant).await;
    assert_eq!(stage.sim.deliver_due().await, 0);
    stage.advance_s(15);
    assert_eq!(stage.sim.deliver_due().await, 1, "the lost one again");
    stage.advance_s(25);
    assert_eq!(stage.sim.deliver_due().await, 1, "the late one");
    assert!(stage.sim.faults().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_can_be_forged_and_the_true_one_comes_later() {
    let (stage, merchant) = (Stage::new().await, Merchant::bad());
    let kinds = [FaultKind::TamperedAmount, FaultKind::Unsigned, FaultKind::WrongSignature, FaultKind::UnknownField];
    for kind in kinds {
        stage.sim.inject(Fault::on(NOTIFICATION, kind));
    }
    paid_at(&stage, "ORD000001", &merchant).await;
    stage.sim.deliver_due().await;
    for pause_s in [15, 15, 30, 180] {
        stage.advance_s(pause_s);
        stage.sim.deliver_due().await;
    }
    let good = merchant.received().into_iter().map(|received| verify(received.fields(), &key(), SignType::Md5).is_ok());
    assert_eq!(good.collect::<Vec<_>>(), [false, false, false, true, true]);
    assert_eq!(merchant.received()[0].fields().get("total_fee"), Some("3001"));
    assert_eq!(merchant.received()[3].fields().get("zz_unknown_field"), Some("1"));
}
