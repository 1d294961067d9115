//! Notifications that never come: the server asks by itself, on WeChat's schedule, and finds every payment.

use jiff::{SignedDuration, Timestamp};
use weixin::pay::v2::{Call as _, order_query::OrderQuery};
use weixin_simulator::{Choice, Fault, FaultKind, NOTIFICATION};
use zhanggui::{
    config::Api,
    database::Tx,
    job::{self, Kind},
};

use crate::support::{Phone, World, on_both_databases};

/// Not due while the test lasts.
const FAR: SignedDuration = SignedDuration::from_hours(24);

on_both_databases!(
    all_notifications_are_dropped_and_every_paid_order_is_known_by_polling,
    lesson_27_an_unpaid_order_is_asked_for_on_wechats_schedule_until_it_expires,
    lesson_27_the_customers_return_and_a_reader_make_the_server_ask,
    polling_begins_anew_when_the_customer_presses_again,
    readers_make_the_server_ask_at_most_once_in_ten_seconds,
    nobody_asks_for_what_is_known,
    a_days_outage_of_the_server_is_healed_after_its_start,
    a_days_outage_of_wechat_is_healed_when_it_answers_again,
    an_answer_from_before_the_success_is_no_contradiction,
    a_job_that_is_made_anew_cannot_be_ended_by_who_held_the_old_one,
);

/// Of two nodes one runs a job, whose cause ends it meanwhile; at once there is cause for a new one, and the other node
/// takes that.
async fn a_job_that_is_made_anew_cannot_be_ended_by_who_held_the_old_one(world: &mut World) {
    const FENCE: &str = "SELECT fence AS n FROM job WHERE subject = 'somebody'";
    let now = world.clock.now();
    let schedule = |at: Timestamp| {
        let schedule = move |tx: &mut Tx| job::schedule(tx, Kind::SendMessages, "somebody", at + FAR, at);
        world.database().write(schedule)
    };
    schedule(now).await.unwrap();
    let held = world.number(FENCE).await + 1;
    world.database().write(|tx| job::cancel(tx, Kind::SendMessages, "somebody")).await.unwrap();
    schedule(now + SignedDuration::from_millis(1)).await.unwrap();
    assert!(world.number(FENCE).await > held);
    world.database().write(|tx| job::cancel(tx, Kind::SendMessages, "somebody")).await.unwrap();
}

/// The jobs of so many seconds, as they become due.
async fn pass(world: &World, seconds: i64) {
    for _ in 0..seconds {
        world.clock.advance_s(1);
        world.run_jobs().await;
    }
}

async fn all_notifications_are_dropped_and_every_paid_order_is_known_by_polling(world: &mut World) {
    const ORDERS: usize = 20;
    for api in [Api::V2, Api::V3] {
        world.pay_by(api).await;
        let phone = world.phone("li").await;
        let mut orders = Vec::new();
        for _ in 0..ORDERS {
            let order = phone.order("tea").await;
            phone.pay(&order).await;
            orders.push(order);
        }
        world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost).times(1_000_000));
        world.deliver().await;
        assert_eq!(world.run_jobs().await, 0, "nobody was told");
        pass(world, 5).await;
        for order in &orders {
            assert_eq!(phone.see(order).await["state"], "paid");
        }
        println!("{ORDERS} of {ORDERS} payments of API {} known five seconds after the press", api.as_str());
    }
}

async fn lesson_27_an_unpaid_order_is_asked_for_on_wechats_schedule_until_it_expires(world: &mut World) {
    world.reconfigure(|shop| (shop.api, shop.expires_in_min) = (Api::V3, 100)).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.press(&order).await.json(200);
    let mut ages_s = Vec::new();
    let mut age_s = 0;
    while age_s < 100 * 60 - 1 {
        let step_s = if age_s < 600 { 1 } else { 60 };
        let step_s = step_s.min(100 * 60 - 1 - age_s);
        world.clock.advance_s(step_s);
        age_s += step_s;
        let before = world.queries();
        world.run_jobs().await;
        ages_s.extend(vec![age_s; world.queries() - before]);
    }
    assert_eq!(ages_s, [5, 30, 60, 180, 300, 600, 1800, 3600, 5400]);
    // At the end it is closed, first at WeChat.
    world.clock.advance_s(1);
    world.run_jobs().await;
    assert_eq!(world.order_state(&order).await, "closed");
    assert_eq!(world.sim.ledger().payments[0].trade_state.as_str(), "CLOSED");
    let quiet = world.queries();
    world.clock.advance_s(100_000);
    world.run_jobs().await;
    assert_eq!(world.queries(), quiet, "nobody asks for a closed order");
}

async fn lesson_27_the_customers_return_and_a_reader_make_the_server_ask(world: &mut World) {
    let phone = world.phone("li").await;
    let returned = phone.order("tea").await;
    phone.pay(&returned).await;
    assert_eq!(phone.refresh(&returned).await["state"], "paid", "at the customer's return");

    let read = phone.order("tea").await;
    phone.parameters(&read).await;
    pass(world, 600).await;
    let sheet = phone.parameters(&read).await;
    pass(world, 31).await;
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    assert_eq!(phone.see(&read).await["state"], "open", "a reader does not wait for WeChat");
    world.run_jobs().await;
    assert_eq!(phone.see(&read).await["state"], "paid", "but the next one sees what it said");
}

async fn polling_begins_anew_when_the_customer_presses_again(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    pass(world, 400).await;
    let sheet = phone.parameters(&order).await;
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    pass(world, 5).await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

async fn readers_make_the_server_ask_at_most_once_in_ten_seconds(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    pass(world, 310).await;
    let before = world.queries();
    for _ in 0..100 {
        // A hundred seconds with twenty readers.
        for _ in 0..20 {
            phone.see(&order).await;
        }
        pass(world, 1).await;
    }
    let asked = world.queries() - before;
    assert!((9..=11).contains(&asked), "{asked}");
}

async fn nobody_asks_for_what_is_known(world: &mut World) {
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
    world.clock.advance_s(100_000);
    phone.see(&order).await;
    assert_eq!(world.run_jobs().await, 0);
    assert_eq!(world.queries(), 0);
    assert_eq!(world.number("SELECT COUNT(*) AS n FROM job").await, 0);
}

async fn a_days_outage_of_the_server_is_healed_after_its_start(world: &mut World) {
    let mut orders = Vec::new();
    let phone = world.phone("li").await;
    for api in [Api::V2, Api::V3] {
        world.pay_by(api).await;
        for _ in 0..3 {
            let order = phone.order("tea").await;
            let sheet = phone.parameters(&order).await;
            phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
            orders.push(order);
        }
    }
    let unpaid = phone.order("cup").await;
    phone.parameters(&unpaid).await;
    world.stop().await;
    // WeChat gives up telling us after a day and four minutes.
    for _ in 0..27 * 60 {
        world.deliver().await;
        world.clock.advance_s(60);
    }
    assert_eq!(world.sim.next_due(), None, "WeChat will not come again");
    world.restart().await;
    world.run_jobs().await;
    let phone = Phone { http: world.node().http.clone(), ..phone };
    for order in &orders {
        assert_eq!(phone.see(order).await["state"], "paid");
    }
    assert_eq!(phone.see(&unpaid).await["state"], "closed", "its time ended while the server was away");
    println!("{} of {} payments known after a day's outage", orders.len(), orders.len());
}

async fn a_days_outage_of_wechat_is_healed_when_it_answers_again(world: &mut World) {
    let phone = world.phone("li").await;
    let (paid, unpaid) = (phone.order("tea").await, phone.order("cup").await);
    phone.parameters(&unpaid).await;
    phone.pay(&paid).await;
    world.sim.inject(Fault::on(NOTIFICATION, FaultKind::Lost).times(1_000_000));
    for path in [OrderQuery::PATH, "/pay/closeorder"] {
        world.sim.inject(Fault::on(path, FaultKind::Status(503)).times(1_000_000));
    }
    for _ in 0..25 * 4 {
        world.clock.advance_s(900);
        world.settle().await;
    }
    assert_eq!(world.order_state(&paid).await, "closing", "nobody knows");
    assert_eq!(world.order_state(&unpaid).await, "closing", "not closed here before it is closed at WeChat");
    world.sim.clear_faults();
    world.clock.advance_s(1800);
    world.run_jobs().await;
    assert_eq!(world.order_state(&paid).await, "paid");
    assert_eq!(world.order_state(&unpaid).await, "closed");
}

/// The server asks, WeChat says "not paid", the customer pays, the notification is faster than the answer.
async fn an_answer_from_before_the_success_is_no_contradiction(world: &mut World) {
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    let sheet = phone.parameters(&order).await;
    let query = "/v3/pay/transactions/out-trade-no/{out_trade_no}";
    world.sim.inject(Fault::on(query, FaultKind::Hang(300)));
    let asking = tokio::spawn({
        let (phone, order) = (phone.clone(), order.clone());
        async move { phone.refresh(&order).await }
    });
    // The fault is taken when the question has arrived.
    while !world.sim.faults().is_empty() {
        tokio::task::yield_now().await;
    }
    phone.wechat.request_payment(&sheet, Choice::Pay).unwrap();
    world.clock.advance_s(1);
    world.deliver().await;
    assert_eq!(world.order_state(&order).await, "paid");
    assert_eq!(asking.await.unwrap()["state"], "paid");
    assert_eq!(world.queries(), 1);
}
