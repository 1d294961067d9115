//! Amounts that order faults by themselves.

use weixin::pay::{RefundState, TradeState};
use weixin_simulator::{MAGIC_AMOUNTS, MagicMoment, Options};

use crate::{
    refund_v2,
    support::{Merchant, Reply, Stage, options},
    tls::DEMO,
    v3::REFUNDS,
};

async fn stage() -> Stage {
    Stage::with(Options { magic_amounts: true, ..options(1) }).await
}

fn amounts(moment: MagicMoment) -> impl Iterator<Item = i64> {
    MAGIC_AMOUNTS.iter().filter(move |magic| magic.moment == moment).map(|magic| magic.amount_fen)
}

fn is_success_v2(reply: &Reply) -> bool {
    String::from_utf8_lossy(&reply.body).contains("<result_code><![CDATA[SUCCESS]]></result_code>")
}

/// Makes a refund of that amount of an order of twenty thousand yuan, twice.
async fn refund_twice(stage: &Stage, api: &str, number: &str, amount_fen: i64) -> [u16; 2] {
    let order = format!("ORDER-{number}");
    let mut fields = stage.order(&order);
    fields.set("total_fee", "2000000");
    stage.paid(fields).await;
    let mut statuses = [0; 2];
    for status in &mut statuses {
        *status = if api == "v2" {
            let mut request = refund_v2::request(&order, number, u32::try_from(amount_fen).unwrap());
            request.set("total_fee", "2000000");
            let reply = stage.secapi("/secapi/pay/refund", &request, Some(DEMO)).await;
            if is_success_v2(&reply) { 200 } else { 400 }
        } else {
            let body = serde_json::json!({
                "out_trade_no": order, "out_refund_no": number,
                "amount": { "refund": amount_fen, "total": 2_000_000, "currency": "CNY" },
            });
            stage.v3("POST", REFUNDS, &body.to_string()).await.status
        };
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn every_magic_amount_of_an_order_strikes_the_first_call_in_both_versions() {
    let stage = stage().await;
    for (index, amount_fen) in amounts(MagicMoment::Order).enumerate() {
        // The one that hangs is whole in the end; ten real seconds are not worth it.
        let hangs = amount_fen == 999_010;
        if hangs {
            continue;
        }
        let always = amount_fen == 999_005;
        let mut fields = stage.order(&format!("V2-{index:06}"));
        fields.set("total_fee", amount_fen.to_string());
        let body = weixin::pay::v2::signed(fields, &crate::support::key(), weixin::pay::v2::SignType::Md5).to_xml();
        let place_v2 = async || stage.http("POST", "/pay/unifiedorder", &[], body.as_bytes()).await;
        let intact = |reply: &Reply| {
            is_success_v2(reply)
                && reply.body.ends_with(b"</xml>")
                && weixin::xml::Fields::parse(&reply.body).is_ok_and(|fields| {
                    weixin::pay::v2::verify(fields, &crate::support::key(), weixin::pay::v2::SignType::Md5).is_ok()
                })
        };
        assert!(!intact(&place_v2().await), "{amount_fen}");
        assert_eq!(intact(&place_v2().await), !always, "{amount_fen}");
        let mut order = stage.order_v3(&format!("V3-{index:06}"));
        order["amount"]["total"] = amount_fen.into();
        let first = stage.place_v3(&order).await;
        assert!(first.status != 200 || stage.verify(&first).is_err(), "{amount_fen}");
        assert_eq!(stage.place_v3(&order).await.status == 200, !always, "{amount_fen}");
    }
    let states: Vec<_> = stage.sim.ledger().payments.iter().map(|payment| payment.trade_state.clone()).collect();
    assert!(!states.is_empty() && states.iter().all(|state| *state == TradeState::NotPay));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_magic_amount_of_a_refund_strikes_the_first_call_in_both_versions() {
    let stage = stage().await;
    for api in ["v2", "v3"] {
        for amount_fen in amounts(MagicMoment::Refund) {
            let [first, second] = refund_twice(&stage, api, &format!("{api}-{amount_fen}"), amount_fen).await;
            assert_ne!(first, 200, "{api} {amount_fen}");
            assert_eq!(second == 200, amount_fen != 999_044, "{api} {amount_fen}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_a_magic_amount_ends_as_it_says() {
    let stage = stage().await;
    for amount_fen in amounts(MagicMoment::RefundEnding) {
        assert_eq!(refund_twice(&stage, "v3", &amount_fen.to_string(), amount_fen).await, [200, 200]);
    }
    stage.advance_s(3);
    let state = |amount_fen: i64| stage.sim.ledger().refund(&amount_fen.to_string()).unwrap().state.clone();
    assert_eq!(state(999_050), RefundState::Abnormal);
    assert_eq!(state(999_051), RefundState::Closed);
    assert_eq!(state(999_052), RefundState::Processing);
    stage.advance_s(86_400);
    assert_eq!(state(999_052), RefundState::Success);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_a_magic_amount_is_told_as_it_says() {
    let stage = stage().await;
    let told = async |amount_fen: i64| {
        let merchant = Merchant::bad();
        let mut fields = stage.order(&format!("ORD-{amount_fen}"));
        fields.set("total_fee", amount_fen.to_string()).set("notify_url", merchant.url.as_str());
        stage.paid(fields).await;
        stage.sim.deliver_due().await;
        let at_once = merchant.received();
        stage.advance_s(600);
        stage.sim.deliver_due().await;
        (at_once, merchant.received().len())
    };
    for amount_fen in amounts(MagicMoment::Notification) {
        let (at_once, later) = told(amount_fen).await;
        let total_fee = at_once.first().and_then(|received| received.fields().get("total_fee").map(str::to_owned));
        match amount_fen {
            999_020 => assert_eq!((at_once.len(), later), (0, 1)),
            999_021 => assert_eq!((at_once.len(), later), (2, 3)),
            999_022 => assert_eq!((at_once.len(), later), (0, 1)),
            999_023 => assert_eq!((at_once.len(), later), (0, 0)),
            999_024 => assert_eq!((at_once.len(), later), (1, 2)),
            999_025 => assert_eq!(total_fee.as_deref(), Some("999026")),
            other => panic!("{other} is not tested"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_order_nothing_unless_they_may() {
    let stage = Stage::new().await;
    let mut fields = stage.order("ORD000001");
    fields.set("total_fee", "999003");
    stage.prepay(fields.clone()).await;
    stage.post_json("/_sim/platform", serde_json::json!({ "magic_amounts": true })).await;
    fields.set("out_trade_no", "ORD000002");
    let body = weixin::pay::v2::signed(fields, &crate::support::key(), weixin::pay::v2::SignType::Md5).to_xml();
    assert_eq!(stage.http("POST", "/pay/unifiedorder", &[], body.as_bytes()).await.status, 0);
}

#[test]
fn every_magic_amount_is_documented() {
    let documented = include_str!("../../../../docs/simulator.md");
    for magic in MAGIC_AMOUNTS {
        let of = match magic.moment {
            MagicMoment::Order => "order",
            MagicMoment::Notification => "notification",
            MagicMoment::Refund | MagicMoment::RefundEnding => "refund",
        };
        let row = format!("| 9990.{:02} | {of} | {} |", magic.amount_fen % 100, magic.effect);
        assert!(documented.contains(&row), "docs/simulator.md lacks: {row}");
    }
}
