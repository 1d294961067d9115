//! Whatever somebody makes of a genuine notification: if it does not say the same, it is not believed.

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use weixin::{
    pay::v2::{SignType, notification},
    xml::Fields,
};

use crate::support::{DEMO, Letter, ManualClock, Signer, Told, World, figure, on_both_databases};

on_both_databases!(a_changed_notification_changes_nothing, changed_notifications_of_both_versions_are_never_believed,);

/// One change to the bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Insert(Index, &'static str),
    Cut(Index, usize),
    Repeat(Index, usize),
    Swap(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let pieces =
        ["0", "1", "9", " ", "\0", "&", "<", "]]>", "<total_fee>1</total_fee>", "<!--", "&amp;", "&#48;", "\u{feff}"];
    let index = any::<Index>;
    prop_oneof![
        (index(), 1..=u8::MAX).prop_map(|(at, mask)| Change::Flip(at, mask)),
        (index(), select(pieces.to_vec())).prop_map(|(at, piece)| Change::Insert(at, piece)),
        (index(), 1..80_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        (index(), 1..200_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (index(), index()).prop_map(|(left, right)| Change::Swap(left, right)),
    ]
}

fn apply(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        match change {
            Change::Flip(at, mask) => bytes[at.index(length)] ^= mask,
            Change::Insert(at, piece) => drop(bytes.splice(at.index(length)..at.index(length), piece.bytes())),
            Change::Cut(at, count) => drop(bytes.drain(at.index(length)..(at.index(length) + count).min(length))),
            Change::Repeat(at, count) => {
                let from = at.index(length);
                let copy = bytes[from..(from + count).min(length)].to_vec();
                drop(bytes.splice(from..from, copy));
            }
            Change::Swap(left, right) => bytes.swap(left.index(length), right.index(length)),
        }
    }
    bytes
}

/// What a message says, whatever its form; empty fields say nothing.
fn said(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let fields = Fields::parse(bytes).ok()?;
    let mut said: Vec<_> = fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    said.retain(|(_, value)| !value.is_empty());
    said.sort();
    Some(said)
}

fn genuine(sign_type: SignType) -> Vec<u8> {
    let told = Told {
        out_trade_no: "019be4d0602074368bd5513df6f80b32",
        total_fen: 12_800,
        openid: "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
        transaction_id: "4200001234202601221234567890",
        success_time: ManualClock::new().now(),
    };
    Letter::new(&DEMO, sign_type, &told).xml().into_bytes()
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn what_is_believed_says_what_was_signed(
        sign_type in select(vec![SignType::HmacSha256, SignType::Md5]),
        changes in vec(change(), 1..5),
    ) {
        let letter = genuine(sign_type);
        let changed = apply(letter.clone(), &changes);
        if notification::read(&changed, &DEMO.mchid(), &DEMO.key(), sign_type).is_ok() {
            prop_assert_eq!(said(&changed), said(&letter));
        }
    }
}

#[test]
fn what_was_not_changed_is_believed() {
    for sign_type in [SignType::HmacSha256, SignType::Md5] {
        notification::read(&genuine(sign_type), &DEMO.mchid(), &DEMO.key(), sign_type).unwrap();
    }
}

async fn a_changed_notification_changes_nothing(world: &mut World) {
    let phone = world.phone("li").await;
    let order = phone.order("tea").await;
    phone.parameters(&order).await;
    let letter = world.letter(&order).await.xml().into_bytes();
    let (attacker, before) = (world.attacker(), world.state().await);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&world.seed.to_be_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let mut sent = 0;
    while sent < 50 {
        let changes = vec(change(), 1..5).new_tree(&mut runner).unwrap().current();
        let changed = apply(letter.clone(), &changes);
        if said(&changed) != said(&letter) {
            let reply = attacker.notify(DEMO.mchid, changed).await;
            assert_eq!(reply.status, 400, "{changes:?}");
            sent += 1;
        }
    }
    assert!(world.state().await == before);
    phone.pay(&order).await;
    world.settle().await;
    assert_eq!(phone.see(&order).await["state"], "paid");
}

/// A payment and a refund, told in both versions; `ZHANGGUI_TEST_MUTATIONS` says how many changed copies of each are
/// posted. 1250 make ten thousand on two databases.
async fn changed_notifications_of_both_versions_are_never_believed(world: &mut World) {
    let each = figure("ZHANGGUI_TEST_MUTATIONS", 250);
    let phone = world.phone("li").await;
    let waiting = phone.order("tea").await;
    phone.parameters(&waiting).await;
    let paid = world.paid_order(&phone, "tea").await;
    let refund = world.refund_told(&world.out_trade_no(&paid).await, "019be4d0602074368bd5513df6f80b32", 100);
    let letters = [
        ("payment, v2", world.letter(&waiting).await.xml().into_bytes()),
        ("refund, v2", world.refund_letter(&refund).into_bytes()),
    ];
    let v3 = world.letter_v3(&waiting).await;
    let sealed = [("payment, v3", v3.signed_by(Signer::PublicKey)), ("refund, v3", v3.refund(&refund))];
    let (attacker, before) = (world.attacker(), money(world).await);
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&world.seed.to_be_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let mut mutate = |original: &[u8]| loop {
        let changes = vec(change(), 1..5).new_tree(&mut runner).unwrap().current();
        let changed = apply(original.to_vec(), &changes);
        if changed != original {
            return changed;
        }
    };
    let mut taken = 0;
    for _ in 0..each {
        for (name, letter) in &letters {
            let changed = mutate(letter);
            let same = said(&changed) == said(letter);
            let reply = attacker.notify(DEMO.mchid, changed).await;
            // Another form of the same, and a sealed refund that can still be opened, are only hints: WeChat is asked.
            assert!(reply.status == 400 || (reply.status == 200 && (same || *name == "refund, v2")), "{name}");
            taken += usize::from(reply.status == 200);
        }
        for (name, letter) in &sealed {
            let body = String::from_utf8_lossy(&mutate(letter.body.as_bytes())).into_owned();
            let reply = attacker.notify_v3(DEMO.mchid, &letter.clone().with_body(body)).await;
            assert_eq!(reply.status, 401, "{name}");
        }
    }
    world.run_jobs().await;
    assert!(money(world).await == before);
    println!("{} changed notifications, seed {}: none believed, {taken} asked for at WeChat", 4 * each, world.seed);
    phone.pay(&waiting).await;
    world.settle().await;
    assert_eq!(phone.see(&waiting).await["state"], "paid");
}

/// How all orders, payments and refunds stand.
async fn money(world: &World) -> [Vec<zhanggui::database::Row>; 4] {
    [
        world.rows("SELECT id, state, paid_payment_id, refunded_fen FROM shop_order ORDER BY id", &[]).await,
        world.rows("SELECT id, state, transaction_id FROM payment ORDER BY id", &[]).await,
        world.rows("SELECT id, state, amount_fen FROM refund ORDER BY id", &[]).await,
        world.rows("SELECT id, subject, reason FROM attention ORDER BY id", &[]).await,
    ]
}
