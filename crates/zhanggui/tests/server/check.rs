//! `zhanggui check` finds what breaks a promise: a good database is spoilt in each way and repaired again.

use serde_json::json;
use weixin_simulator::{Choice, Fault, FaultKind};
use zhanggui::{
    api_key::Scope,
    check::{self, Report},
    config::Api,
};

use crate::support::{World, on_both_databases};

on_both_databases!(a_good_database_keeps_every_promise_and_a_spoilt_one_is_found_out);

/// How to spoil, how to repair, and the promises that are broken meanwhile.
const SPOILT: &[(&str, &str, &[&str])] = &[
    (
        "UPDATE payment SET amount_fen = amount_fen + 1 WHERE state = 'succeeded'",
        "UPDATE payment SET amount_fen = amount_fen - 1 WHERE state = 'succeeded'",
        &["M2: a paid order keeps", "M2: a payment that is not kept", "M4: a success has evidence"],
    ),
    (
        "UPDATE refund SET cause = 'requested' WHERE cause = 'second_payment'",
        "UPDATE refund SET cause = 'second_payment' WHERE amount_fen = 12800",
        &["M2: a payment that is not kept"],
    ),
    (
        "UPDATE attention SET subject = 'x' || subject",
        "UPDATE attention SET subject = substr(subject, 2)",
        &["M2: a payment that is not kept"],
    ),
    (
        "UPDATE refund SET amount_fen = amount_fen + 12800 WHERE state = 'succeeded'",
        "UPDATE refund SET amount_fen = amount_fen - 12800 WHERE state = 'succeeded'",
        &[
            "M2: a payment that is not kept",
            "M3: no more of a payment is reserved",
            "M3: no more of a payment was given back",
            "M3: an order tells",
            "M4: money that went back",
        ],
    ),
    (
        "UPDATE shop_order SET refunded_fen = refunded_fen + 1 WHERE refunded_fen > 0",
        "UPDATE shop_order SET refunded_fen = refunded_fen - 1 WHERE refunded_fen > 0",
        &["M3: an order tells"],
    ),
    (
        "UPDATE evidence SET transaction_id = '9' || transaction_id WHERE refund_id IS NULL",
        "UPDATE evidence SET transaction_id = substr(transaction_id, 2) WHERE refund_id IS NULL",
        &["M4: a success has evidence"],
    ),
    (
        "UPDATE evidence SET refund_fen = refund_fen + 1",
        "UPDATE evidence SET refund_fen = refund_fen - 1",
        &["M4: money that went back"],
    ),
    (
        "UPDATE job SET kind = 'x' || kind",
        "UPDATE job SET kind = substr(kind, 2)",
        &["M5: a payment that can still", "M5: an open order expires", "M5: a refund under way"],
    ),
    (
        "UPDATE payment SET state = 'closing' WHERE state = 'closed'",
        "UPDATE payment SET state = 'closed' WHERE state = 'closing'",
        &["M5: a payment that can still", "S2: an order that is closed", "S1: the fold over the evidence of a payment"],
    ),
    (
        "UPDATE shop_order SET state = 'closing' WHERE state = 'closed'",
        "UPDATE shop_order SET state = 'closed' WHERE state = 'closing'",
        &["S2: a closing order has"],
    ),
    (
        "UPDATE evidence SET verdict = 'quarantined' WHERE verdict = 'believed' AND source <> 'close'",
        "UPDATE evidence SET verdict = 'believed' WHERE verdict = 'quarantined'",
        &[
            "M4: a success has evidence",
            "M4: money that went back",
            "S1: the fold over the evidence of a payment",
            "S1: the fold over the evidence of a refund",
        ],
    ),
    (
        "UPDATE event SET sequence = sequence + 1000 WHERE type = 'order.paid'",
        "UPDATE event SET sequence = sequence - 1000 WHERE type = 'order.paid'",
        &["E1: the events of a subject"],
    ),
    (
        "UPDATE event SET type = 'x' || type WHERE type <> 'order.created'",
        "UPDATE event SET type = substr(type, 2) WHERE type <> 'order.created'",
        &["E1: an order that became paid", "E1: an order that is closed was told", "E1: each refund that succeeded"],
    ),
    (
        "UPDATE event SET type = 'refund.failed' WHERE type = 'refund.succeeded'",
        "UPDATE event SET type = 'refund.succeeded' WHERE type = 'refund.failed'",
        &["E1: each refund that succeeded", "E1: each refund that failed"],
    ),
    (
        "UPDATE payment SET frozen_sha256 = '0' || frozen_sha256",
        "UPDATE payment SET frozen_sha256 = substr(frozen_sha256, 2)",
        &["M6: the request of a payment"],
    ),
    (
        "UPDATE refund SET frozen_request = frozen_request || ' '",
        "UPDATE refund SET frozen_request = substr(frozen_request, 1, length(frozen_request) - 1)",
        &["M6: the request of a refund"],
    ),
];

async fn a_good_database_keeps_every_promise_and_a_spoilt_one_is_found_out(world: &mut World) {
    fill(world).await;
    let good = look(world).await;
    assert!(good.ok, "{:#?}", good.broken());
    for checked in &good.invariants {
        assert!(checked.examined > 0 || checked.rule.starts_with("a closing"), "{} {}", checked.number, checked.rule);
    }
    for (spoil, repair, expected) in SPOILT {
        change(world, spoil).await;
        let spoilt = look(world).await;
        let broken = spoilt.broken();
        assert!(!spoilt.ok && broken.len() == expected.len(), "{spoil}: {broken:#?}");
        for (line, expected) in broken.iter().zip(*expected) {
            assert!(line.starts_with(expected), "{spoil}: {line}");
        }
        let all = spoilt.invariants.iter().filter(|checked| checked.violations > 0);
        assert!(all.into_iter().all(|checked| !checked.examples.is_empty()), "{spoil}");
        change(world, repair).await;
        let repaired = look(world).await;
        assert!(repaired.ok, "{repair}: {:#?}", repaired.broken());
    }
}

async fn look(world: &World) -> Report {
    check::run(world.database()).await.unwrap()
}

async fn change(world: &World, sql: &'static str) {
    let changed = world.database().write(move |tx| tx.execute(sql, &[])).await.unwrap();
    assert!(changed > 0, "{sql}");
}

/// One of everything: a paid order of which a part went back, an open one, a closed one, one that was paid twice, and a
/// refund that is under way.
async fn fill(world: &mut World) {
    world.pay_by(Api::V3).await;
    let (phone, till) = (world.phone("li").await, world.merchant(Scope::ALL).await);
    let paid = world.paid_order(&phone, "tea").await;
    till.refund_fen(&paid, 500).await;
    phone.parameters(&phone.order("cup").await).await;
    let closed = phone.order("cup").await;
    phone.parameters(&closed).await;
    assert_eq!(phone.close(&closed).await.json(200)["state"], "closed");
    let twice = phone.order("tea").await;
    let first = phone.parameters(&twice).await;
    world.sim.inject(Fault::on("query", FaultKind::TradeState("CLOSED".to_owned())));
    phone.refresh(&twice).await;
    world.clock.advance_s(1);
    let second = phone.parameters(&twice).await;
    for sheet in [first, second] {
        phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    }
    for _ in 0..3 {
        world.settle().await;
        world.clock.advance_s(3);
    }
    world.expect_attention("second_payment");
    world.sim.set_refund_after_s(3600);
    let other = world.paid_order(&phone, "tea").await;
    assert_eq!(till.refund(&other, &json!({ "amount": 1 })).await.status, 201);
    world.run_jobs().await;
}
