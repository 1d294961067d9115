//! Events that arrive: every one, in order, signed, whatever the endpoint does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};
use zhanggui::{
    api_key::Scope,
    attention,
    database::DatabaseError,
    event::{self, Type},
    webhook,
};

use crate::support::{Behaviour, Merchant, Node, Receiver, World, on_both_databases};

on_both_databases!(
    an_event_arrives_signed_and_once,
    an_endpoint_gets_what_happens_after_it_was_made_and_what_it_wants,
    a_subject_that_is_stuck_holds_up_no_other_and_keeps_its_order,
    an_endpoint_that_is_away_for_three_days_misses_nothing,
    what_was_not_taken_in_all_that_time_is_a_dead_letter_and_can_be_sent_again,
    an_endpoint_that_flaps_gets_everything_in_order,
    gone_disables_the_endpoint_and_nothing_is_lost,
    what_an_old_address_answers_says_nothing_about_the_endpoint,
    an_answer_that_comes_after_the_lease_changes_nothing,
    an_endpoint_that_asks_for_a_pause_gets_it,
    a_redirect_is_not_followed_and_a_huge_answer_is_not_read,
    an_endpoint_that_answers_late_gets_the_same_event_again,
    a_slow_endpoint_delays_no_other,
    as_many_endpoints_as_there_may_be_are_told_at_once,
    a_node_that_dies_while_it_sends_leaves_nothing_unsent,
    an_endpoint_that_is_deleted_while_it_is_called_is_gone,
    one_event_or_a_range_is_sent_again_in_order,
    what_was_delivered_is_forgotten_after_a_month_and_dead_letters_are_not,
    an_event_of_a_killed_transaction_is_never_sent,
    ; on_postgres:
    two_nodes_send_every_event_once_and_in_order,
);

pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) owner: Merchant,
}

impl Endpoint {
    pub(crate) async fn new(world: &World, receiver: &Receiver, types: &[&str]) -> Self {
        let owner = world.merchant(&[Scope::Admin]).await;
        let made = owner.post("/v1/webhooks", &json!({ "url": receiver.url, "types": types })).await.json(201);
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        Self { id: text("id"), secret: text("secret"), owner }
    }

    pub(crate) fn path(&self, tail: &str) -> String {
        format!("/v1/webhooks/{}{tail}", self.id)
    }

    async fn see(&self) -> Value {
        self.owner.get(&self.path("")).await.json(200)
    }

    async fn delivery(&self, event: &str) -> Value {
        self.owner.get(&self.path(&format!("/deliveries/{event}"))).await.json(200)
    }

    async fn patch(&self, body: Value) -> Value {
        self.owner.send(Method::PATCH, &self.path(""), &body).await.json(200)
    }
}

/// Something happens; gives its id.
pub(crate) async fn happen(world: &World, kind: Type, subject: &'static str) -> String {
    happen_at(world.node(), kind, subject).await
}

async fn happen_at(node: &Node, kind: Type, subject: &'static str) -> String {
    let app = std::sync::Arc::clone(&node.app);
    let now = app.now();
    let written =
        node.app.database.write(move |tx| event::append(tx, &app, now, kind, subject, &json!({ "name": "明前龙井" })));
    let id = written.await.unwrap();
    node.app.event_wake.notify_waiters();
    id
}

async fn send(world: &World) -> usize {
    webhook::run_due(&world.node().app).await.unwrap()
}

async fn an_event_arrives_signed_and_once(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    assert_eq!(send(world).await, 0);
    let id = happen(world, Type::PushReceived, "wx1").await;
    world.clock.advance_s(2);
    assert_eq!(send(world).await, 1);
    assert_eq!(send(world).await, 0);
    let received = receiver.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].id, id);
    assert_eq!(received[0].timestamp_s, world.clock.now().as_second());
    assert_eq!(received[0].signatures.len(), 1);
    assert!(received[0].is_signed_with(&endpoint.secret));
    assert!(!received[0].is_signed_with("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    // The same form as in the list.
    let reader = world.merchant(&[Scope::Read]).await;
    assert_eq!(received[0].event(), reader.get("/v1/events").await.json(200)["events"][0]);
    assert_eq!(received[0].event()["sequence"], 1);

    let seen = endpoint.delivery(&id).await;
    assert_eq!((&seen["state"], &seen["attempts"]), (&json!("delivered"), &json!(1)));
    assert_eq!(seen["tries"][0]["http_status"], 204);
    assert_eq!(endpoint.see().await["deliveries"], json!({ "waiting": 0, "exhausted": 0 }));
}

async fn an_endpoint_gets_what_happens_after_it_was_made_and_what_it_wants(world: &mut World) {
    let (all, some) = (Receiver::start().await, Receiver::start().await);
    happen(world, Type::PushReceived, "before").await;
    Endpoint::new(world, &all, &[]).await;
    Endpoint::new(world, &some, &["message.received", "message.sent"]).await;
    happen(world, Type::PushReceived, "a").await;
    happen(world, Type::MessageReceived, "a").await;
    happen(world, Type::MessageSent, "b").await;
    assert_eq!(send(world).await, 5);
    assert_eq!(all.sequences(), BTreeMap::from([("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![1])]));
    assert_eq!(some.sequences(), BTreeMap::from([("a".to_owned(), vec![2]), ("b".to_owned(), vec![1])]));
}

async fn a_subject_that_is_stuck_holds_up_no_other_and_keeps_its_order(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.behave(|letter| Behaviour::Status(if letter.subject() == "stuck" { 500 } else { 200 }));
    let first = happen(world, Type::PushReceived, "stuck").await;
    for _ in 0..3 {
        happen(world, Type::PushReceived, "stuck").await;
        happen(world, Type::PushReceived, "other").await;
    }
    assert_eq!(send(world).await, 4);
    let sequences = receiver.sequences();
    assert_eq!((&sequences["other"], &sequences["stuck"]), (&vec![1, 2, 3], &vec![1]));
    let tries = &endpoint.delivery(&first).await["tries"];
    assert_eq!((&tries[0]["http_status"], &tries[0]["answer"]), (&json!(500), &json!("answer of the endpoint")));
    receiver.take();
    receiver.always(Behaviour::Status(200));
    assert_eq!(send(world).await, 0, "not before the pause is over");
    world.clock.advance_s(6);
    assert_eq!(send(world).await, 4);
    assert_eq!(receiver.sequences()["stuck"], [1, 2, 3, 4]);
    assert!(receiver.received()[0].id == first, "the same id as at the first try");
}

/// Moves the clock until nothing waits any more, an hour at a time.
async fn live_on(world: &World, hours: i64) {
    for _ in 0..hours {
        world.clock.advance_s(3600);
        send(world).await;
    }
}

async fn an_endpoint_that_is_away_for_three_days_misses_nothing(world: &mut World) {
    let receiver = Receiver::start().await;
    Endpoint::new(world, &receiver, &[]).await;
    receiver.always(Behaviour::Status(503));
    for subject in ["a", "b", "a", "c", "a"] {
        happen(world, Type::PushReceived, subject).await;
    }
    send(world).await;
    live_on(world, 72).await;
    receiver.take();
    receiver.always(Behaviour::Status(200));
    live_on(world, 24).await;
    let expected = [("a", vec![1, 2, 3]), ("b", vec![1]), ("c", vec![1])];
    assert_eq!(receiver.sequences(), expected.map(|(subject, sequences)| (subject.to_owned(), sequences)).into());
    world.expect_attention("webhook_blocked");
}

async fn what_was_not_taken_in_all_that_time_is_a_dead_letter_and_can_be_sent_again(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.behave(|letter| Behaviour::Status(if letter.event()["sequence"] == 1 { 400 } else { 200 }));
    let first = happen(world, Type::PushReceived, "a").await;
    happen(world, Type::PushReceived, "a").await;
    send(world).await;
    live_on(world, 100).await;
    let sequences = &receiver.sequences()["a"];
    assert_eq!(sequences.iter().filter(|sequence| **sequence == 1).count(), 14);
    assert_eq!(sequences.last(), Some(&2), "the next one does not wait for ever");
    let seen = endpoint.delivery(&first).await;
    assert_eq!((&seen["state"], seen["tries"].as_array().unwrap().len()), (&json!("exhausted"), 14));
    assert_eq!(endpoint.see().await["deliveries"]["exhausted"], 1);
    let dead = endpoint.owner.get(&endpoint.path("/deliveries?state=exhausted")).await.json(200);
    assert_eq!(dead["deliveries"][0]["event"], first);

    receiver.take();
    receiver.always(Behaviour::Status(200));
    let again = endpoint.owner.post(&endpoint.path("/replay"), &json!({ "state": "exhausted" })).await;
    assert_eq!(again.json(202), json!({ "replayed": 1 }));
    assert_eq!(send(world).await, 1);
    assert_eq!(receiver.received()[0].id, first);
    assert_eq!(endpoint.delivery(&first).await["tries"][0]["number"], 15);
    world.expect_attention("webhook_blocked");
    world.expect_attention("webhook_exhausted");
}

async fn an_endpoint_that_flaps_gets_everything_in_order(world: &mut World) {
    let receiver = Receiver::start().await;
    Endpoint::new(world, &receiver, &[]).await;
    let flapping = Mutex::new((world.seed, BTreeMap::<String, u32>::new()));
    receiver.behave(move |letter| {
        let (mixed, tries) = &mut *flapping.lock().unwrap();
        *mixed = mixed.wrapping_add(0x9e37_79b9);
        let tries = tries.entry(letter.id.clone()).or_default();
        *tries += 1;
        // The fifth try is taken in any case: nothing becomes a dead letter, and the time below is enough.
        let status = [200, 500, 429, 302, 200][(mixed.rotate_left(17) % 5) as usize];
        Behaviour::Status(if *tries == 5 { 200 } else { status })
    });
    for _ in 0..6 {
        for subject in ["a", "b", "c", "d"] {
            happen(world, Type::PushReceived, subject).await;
        }
    }
    send(world).await;
    for _ in 0..400 {
        world.clock.advance_s(60);
        send(world).await;
    }
    // The first time that each one came; repetitions are allowed.
    for (subject, sequences) in receiver.sequences() {
        let mut seen = BTreeSet::new();
        let firsts: Vec<_> = sequences.into_iter().filter(|sequence| seen.insert(*sequence)).collect();
        assert_eq!(firsts, [1, 2, 3, 4, 5, 6], "{subject}");
    }
    let waiting = world.number("SELECT COUNT(*) AS n FROM webhook_delivery WHERE state <> 'delivered'").await;
    assert_eq!(waiting, 0);
    for mark in attention::open(world.database()).await.unwrap() {
        assert_eq!(mark.reason, "webhook_blocked");
        world.expect_attention("webhook_blocked");
    }
}

async fn gone_disables_the_endpoint_and_nothing_is_lost(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.always(Behaviour::Status(410));
    happen(world, Type::PushReceived, "a").await;
    assert_eq!(send(world).await, 1);
    let seen = endpoint.see().await;
    assert_eq!((&seen["state"], &seen["disabled_reason"]), (&json!("disabled"), &json!("gone")));
    happen(world, Type::PushReceived, "a").await;
    world.clock.advance_s(30 * 24 * 3600);
    assert_eq!(send(world).await, 0);
    receiver.take();
    receiver.always(Behaviour::Status(200));
    let seen = endpoint.patch(json!({ "state": "enabled" })).await;
    assert_eq!((&seen["state"], seen.get("disabled_reason")), (&json!("enabled"), None));
    assert_eq!(send(world).await, 2);
    assert_eq!(receiver.sequences()["a"], [1, 2]);
    // The merchant switches it off, too.
    endpoint.patch(json!({ "state": "disabled" })).await;
    happen(world, Type::PushReceived, "a").await;
    assert_eq!(send(world).await, 0);
    endpoint.patch(json!({ "state": "enabled" })).await;
    assert_eq!(send(world).await, 1);
    world.expect_attention("webhook_gone");
}

/// The try begins, `meanwhile` happens, and only then the endpoint answers.
async fn answer_late(world: &World, receiver: &Receiver, answer: Behaviour, meanwhile: impl AsyncFnOnce()) {
    receiver.always(Behaviour::HangAndThen(Box::new(answer)));
    let sending = tokio::spawn({
        let app = std::sync::Arc::clone(&world.node().app);
        async move { webhook::run_due(&app).await }
    });
    receiver.wait_for(1).await;
    receiver.always(Behaviour::Status(200));
    meanwhile().await;
    receiver.release();
    sending.await.unwrap().unwrap();
}

async fn what_an_old_address_answers_says_nothing_about_the_endpoint(world: &mut World) {
    let after_a_day = || Behaviour::Header(429, "retry-after", "86400".to_owned());
    for answer in [Behaviour::Status(410), after_a_day(), Behaviour::Status(500)] {
        let (old, new) = (Receiver::start().await, Receiver::start().await);
        let endpoint = Endpoint::new(world, &old, &[]).await;
        let id = happen(world, Type::PushReceived, "moved").await;
        // More than an hour ago, so that a failure would be shown to a person.
        world.clock.advance_s(3601);
        answer_late(world, &old, answer, async || drop(endpoint.patch(json!({ "url": new.url })).await)).await;
        let seen = endpoint.see().await;
        assert_eq!((&seen["state"], &seen["deliveries"]["waiting"]), (&json!("enabled"), &json!(0)));
        assert_eq!(new.received().len(), 1, "at once");
        assert_eq!(endpoint.delivery(&id).await["attempts"], 2);
        endpoint.owner.send(Method::DELETE, &endpoint.path(""), &json!({})).await;
        world.expect_attention("webhook_moved");
    }
    // Disabled by the merchant: that is why it is disabled, and nobody is told.
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    happen(world, Type::PushReceived, "off").await;
    world.clock.advance_s(3601);
    let disable = async || drop(endpoint.patch(json!({ "state": "disabled" })).await);
    answer_late(world, &receiver, Behaviour::Status(410), disable).await;
    assert_eq!(endpoint.see().await["disabled_reason"], "asked");
    endpoint.patch(json!({ "state": "enabled" })).await;
    assert_eq!(send(world).await, 1);
}

async fn an_answer_that_comes_after_the_lease_changes_nothing(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    let id = happen(world, Type::PushReceived, "a").await;
    answer_late(world, &receiver, Behaviour::Status(410), async || {
        // The lease ends, and somebody else delivers.
        world.clock.advance_s(120);
        assert_eq!(send(world).await, 1);
    })
    .await;
    let seen = endpoint.delivery(&id).await;
    assert_eq!((&seen["state"], &seen["attempts"]), (&json!("delivered"), &json!(2)));
    assert_eq!(endpoint.see().await["state"], "enabled");
}

async fn an_endpoint_that_asks_for_a_pause_gets_it(world: &mut World) {
    let receiver = Receiver::start().await;
    Endpoint::new(world, &receiver, &[]).await;
    receiver.always(Behaviour::Header(429, "retry-after", "600".to_owned()));
    happen(world, Type::PushReceived, "a").await;
    assert_eq!(send(world).await, 1);
    receiver.always(Behaviour::Status(200));
    // Also nothing else goes there.
    happen(world, Type::PushReceived, "b").await;
    world.clock.advance_s(599);
    assert_eq!(send(world).await, 0);
    world.clock.advance_s(1);
    assert_eq!(send(world).await, 2);
    let date = "Thu, 22 Jan 2026 07:30:00 GMT".to_owned();
    receiver.always(Behaviour::Header(503, "retry-after", date));
    happen(world, Type::PushReceived, "a").await;
    assert_eq!(send(world).await, 1);
    receiver.always(Behaviour::Status(200));
    world.clock.advance_s(3600 - 601);
    assert_eq!(send(world).await, 0);
    world.clock.advance_s(1);
    assert_eq!(send(world).await, 1);
}

async fn a_redirect_is_not_followed_and_a_huge_answer_is_not_read(world: &mut World) {
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.always(Behaviour::Header(307, "location", elsewhere.url.clone()));
    let id = happen(world, Type::PushReceived, "a").await;
    assert_eq!(send(world).await, 1);
    assert!(elsewhere.received().is_empty());
    assert_eq!(endpoint.delivery(&id).await["tries"][0]["http_status"], 307);
    receiver.always(Behaviour::Huge);
    world.clock.advance_s(60);
    assert_eq!(send(world).await, 1);
    let seen = endpoint.delivery(&id).await;
    assert_eq!(seen["state"], "delivered");
    assert_eq!(seen["tries"][0]["answer"].as_str().unwrap().len(), 1024);
}

async fn an_endpoint_that_answers_late_gets_the_same_event_again(world: &mut World) {
    world.reconfigure(|shop| shop.webhook_timeout_s = 1).await;
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.always(Behaviour::Hang);
    let id = happen(world, Type::PushReceived, "a").await;
    assert_eq!(send(world).await, 1);
    receiver.release();
    assert_eq!(endpoint.delivery(&id).await["tries"][0]["failure"], "timed_out");
    receiver.always(Behaviour::Status(200));
    world.clock.advance_s(60);
    assert_eq!(send(world).await, 1);
    let ids: Vec<_> = receiver.received().into_iter().map(|letter| letter.id).collect();
    assert_eq!(ids, [id.clone(), id.clone()]);
    // Nobody listens at all.
    let nobody = Receiver::start().await;
    endpoint.patch(json!({ "url": nobody.url })).await;
    drop(nobody);
    let id = happen(world, Type::PushReceived, "b").await;
    assert_eq!(send(world).await, 1);
    assert_eq!(endpoint.delivery(&id).await["tries"][0]["failure"], "not_connected");
    world.expect_attention("webhook_moved");
}

async fn a_slow_endpoint_delays_no_other(world: &mut World) {
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    Endpoint::new(world, &slow, &[]).await;
    Endpoint::new(world, &quick, &[]).await;
    slow.always(Behaviour::Hang);
    let runner = webhook::start(std::sync::Arc::clone(&world.node().app));
    const SUBJECTS: [&str; 20] =
        ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"];
    for subject in SUBJECTS {
        for _ in 0..3 {
            happen(world, Type::PushReceived, subject).await;
        }
    }
    let all = 3 * SUBJECTS.len();
    timeout(Duration::from_secs(10), quick.wait_for(all)).await.expect("the quick one waits for nobody");
    assert!(slow.received().len() <= 16, "and the slow one has a few places only");
    slow.always(Behaviour::Status(200));
    slow.release();
    timeout(Duration::from_secs(10), slow.wait_for(all)).await.expect("the slow one gets everything, too");
    runner.stop().await;
    for receiver in [&slow, &quick] {
        assert!(receiver.sequences().values().all(|sequences| *sequences == [1, 2, 3]));
    }
}

async fn as_many_endpoints_as_there_may_be_are_told_at_once(world: &mut World) {
    let receiver = Receiver::start().await;
    let owner = world.merchant(&[Scope::Admin]).await;
    for _ in 0..100 {
        owner.post("/v1/webhooks", &json!({ "url": receiver.url })).await.json(201);
    }
    const SUBJECTS: [&str; 16] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
    for subject in SUBJECTS {
        happen(world, Type::PushReceived, subject).await;
    }
    assert_eq!(send(world).await, 100 * SUBJECTS.len());
    assert_eq!(receiver.received().len(), 100 * SUBJECTS.len(), "no try was refused by the database");
}

async fn a_node_that_dies_while_it_sends_leaves_nothing_unsent(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.always(Behaviour::Hang);
    let id = happen(world, Type::PushReceived, "a").await;
    let sending = tokio::spawn({
        let app = std::sync::Arc::clone(&world.node().app);
        async move { webhook::run_due(&app).await }
    });
    receiver.wait_for(1).await;
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    receiver.release();
    receiver.always(Behaviour::Status(200));
    world.restart().await;
    assert_eq!(send(world).await, 0, "somebody may still be sending it");
    world.clock.advance_s(120);
    assert_eq!(send(world).await, 1);
    assert!(receiver.received().iter().all(|letter| letter.id == id));
    let seen = endpoint.delivery(&id).await;
    assert_eq!((&seen["state"], &seen["attempts"]), (&json!("delivered"), &json!(2)));
}

async fn two_nodes_send_every_event_once_and_in_order(world: &mut World) {
    let receiver = Receiver::start().await;
    Endpoint::new(world, &receiver, &[]).await;
    let second = world.second_node().await;
    let runners = [world.node(), &second].map(|node| webhook::start(std::sync::Arc::clone(&node.app)));
    for n in 0..10 {
        for subject in ["a", "b", "c"] {
            happen_at(if n % 2 == 0 { world.node() } else { &second }, Type::PushReceived, subject).await;
        }
    }
    timeout(Duration::from_secs(20), receiver.wait_for(30)).await.expect("everything arrives");
    for runner in runners {
        runner.stop().await;
    }
    assert_eq!(receiver.received().len(), 30);
    let in_order: Vec<i64> = (1..=10).collect();
    assert!(receiver.sequences().values().all(|sequences| *sequences == in_order));
    second.stop().await;
}

async fn an_endpoint_that_is_deleted_while_it_is_called_is_gone(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.always(Behaviour::Hang);
    happen(world, Type::PushReceived, "a").await;
    let sending = tokio::spawn({
        let app = std::sync::Arc::clone(&world.node().app);
        async move { webhook::run_due(&app).await }
    });
    receiver.wait_for(1).await;
    assert_eq!(endpoint.owner.send(Method::DELETE, &endpoint.path(""), &json!({})).await.status, 204);
    receiver.release();
    assert_eq!(sending.await.unwrap().unwrap(), 1);
    for table in ["webhook_endpoint", "webhook_delivery", "webhook_attempt"] {
        let sql = format!("SELECT COUNT(*) AS n FROM {table}");
        let rows = world.database().read(move |tx| tx.query_one(&sql, &[])).await.unwrap();
        assert_eq!(rows.int("n").unwrap(), 0, "{table}");
    }
}

async fn one_event_or_a_range_is_sent_again_in_order(world: &mut World) {
    let receiver = Receiver::start().await;
    let early = happen(world, Type::PushReceived, "a").await;
    let endpoint = Endpoint::new(world, &receiver, &["push.received"]).await;
    let mut ids = vec![early];
    for _ in 0..4 {
        ids.push(happen(world, Type::PushReceived, "a").await);
        happen(world, Type::MessageReceived, "a").await;
    }
    send(world).await;
    receiver.take();
    let replay = async |body: Value| endpoint.owner.post(&endpoint.path("/replay"), &body).await;
    for (body, expected) in [
        (json!({ "event": ids[2] }), &ids[2..3]),
        (json!({ "from": ids[1], "to": ids[3] }), &ids[1..4]),
        // Also from before the endpoint was made.
        (json!({ "from": ids[0] }), &ids[..]),
    ] {
        assert_eq!(replay(body.clone()).await.json(202), json!({ "replayed": expected.len() }), "{body}");
        send(world).await;
        let came: Vec<_> = receiver.take().into_iter().map(|letter| letter.id).collect();
        assert_eq!(came, expected, "{body}");
    }
    for body in [json!({}), json!({ "event": ids[0], "from": ids[0] }), json!({ "to": ids[0] })] {
        replay(body).await.problem(422, "webhook_invalid");
    }
    for body in [json!({ "event": "evt_1" }), json!({ "from": "evt_019be4d0602074368bd5513df6f80b32" })] {
        replay(body).await.problem(400, "cursor_unknown");
    }
}

async fn what_was_delivered_is_forgotten_after_a_month_and_dead_letters_are_not(world: &mut World) {
    let receiver = Receiver::start().await;
    let endpoint = Endpoint::new(world, &receiver, &[]).await;
    receiver.behave(|letter| Behaviour::Status(if letter.subject() == "dead" { 500 } else { 200 }));
    let dead = happen(world, Type::PushReceived, "dead").await;
    let good = happen(world, Type::PushReceived, "good").await;
    send(world).await;
    live_on(world, 30 * 24).await;
    let forget = async || webhook::forget_old(&world.node().app).await.unwrap();
    assert_eq!(forget().await, 0);
    world.clock.advance_s(1);
    assert_eq!(forget().await, 1);
    endpoint.owner.get(&endpoint.path(&format!("/deliveries/{good}"))).await.problem(404, "delivery_not_found");
    assert_eq!(endpoint.delivery(&dead).await["state"], "exhausted");
    assert_eq!(send(world).await, 0, "what is forgotten is not sent again");
    world.expect_attention("webhook_blocked");
    world.expect_attention("webhook_exhausted");
}

async fn an_event_of_a_killed_transaction_is_never_sent(world: &mut World) {
    let receiver = Receiver::start().await;
    Endpoint::new(world, &receiver, &[]).await;
    let app = std::sync::Arc::clone(&world.node().app);
    let now = world.clock.now();
    let failed = world.database().write(move |tx| {
        event::append(tx, &app, now, Type::PushReceived, "a", &json!({}))?;
        Err::<(), _>(DatabaseError::NotFound)
    });
    failed.await.unwrap_err();
    happen(world, Type::PushReceived, "a").await;
    assert_eq!(send(world).await, 1);
    assert_eq!(receiver.sequences()["a"], [1]);
}
