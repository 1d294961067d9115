//! The customer against the clock and against somebody who gives the order up: whoever is faster at WeChat wins, and the
//! server says the same in the end.
//!
//! Each order goes its own way, drawn from the seed, while notifications and jobs go on beside it. `ZHANGGUI_TEST_RACES`
//! says how many orders there are; the whole figure is 10000.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use weixin::pay::RequestPayment;
use weixin_simulator::Choice;
use zhanggui::config::Api;

use crate::support::{Phone, World, figure, on_both_databases};

on_both_databases!(paying_against_closing_ends_as_wechat_says, paying_against_the_expiry_ends_as_wechat_says);

/// How many orders a batch has; they race at the same time.
const BATCH: usize = 25;

/// A stream of numbers that the seed decides.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        // xorshift64*: <https://en.wikipedia.org/wiki/Xorshift>.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    async fn hesitate(&mut self) {
        for _ in 0..self.throw(6) {
            tokio::task::yield_now().await;
        }
    }
}

/// What somebody does with an order.
#[derive(Clone, Copy)]
enum Step {
    Pay,
    Cancel,
    Return,
    Press,
    GiveUp,
}

/// One order and what happens to it.
struct Racer {
    phone: Phone,
    order: String,
    /// What the phone got before the race, if it pressed "pay" before.
    sheet: Option<RequestPayment>,
    dice: Dice,
    steps: Vec<Step>,
}

impl Racer {
    async fn new(phone: &Phone, seed: u64, steps: &[Step]) -> Self {
        let (phone, order) = (phone.clone(), phone.order("tea").await);
        let mut dice = Dice(seed | 1);
        let mut steps = steps.to_vec();
        for left in (1..steps.len()).rev() {
            steps.swap(left, usize::try_from(dice.throw(left as u64 + 1)).unwrap());
        }
        Self { phone, order, sheet: None, dice, steps }
    }

    async fn run(mut self) {
        let sheet = match self.sheet.take() {
            Some(sheet) => sheet,
            None => self.phone.parameters(&self.order).await,
        };
        for step in std::mem::take(&mut self.steps) {
            self.dice.hesitate().await;
            match step {
                Step::Pay => drop(self.phone.wechat.request_payment(&sheet, Choice::Pay)),
                Step::Cancel => drop(self.phone.wechat.request_payment(&sheet, Choice::Cancel)),
                Step::Return => drop(self.phone.refresh(&self.order).await),
                Step::Press => drop(self.phone.press(&self.order).await),
                Step::GiveUp => drop(self.phone.close(&self.order).await),
            }
        }
    }
}

/// Lets the racers of a batch run while WeChat tells and the server works.
async fn race(world: &World, racers: Vec<Racer>) {
    let over = Arc::new(AtomicBool::new(false));
    let running = async {
        let mut tasks = tokio::task::JoinSet::new();
        racers.into_iter().for_each(|racer| drop(tasks.spawn(racer.run())));
        tasks.join_all().await;
        over.store(true, Ordering::Relaxed);
    };
    let working = async {
        while !over.load(Ordering::Relaxed) {
            world.settle().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(running, working);
}

/// Everything that was begun comes to its end; then both books say the same of every order.
async fn judge(world: &World, name: &str, orders: usize) {
    for _ in 0..8 {
        world.clock.advance_s(1800);
        world.settle().await;
    }
    let mut ends: BTreeMap<(String, String), usize> = BTreeMap::new();
    const SQL: &str = "
        SELECT shop_order.state, payment.out_trade_no
        FROM shop_order
        JOIN payment ON payment.order_id = shop_order.id";
    let ledger = world.sim.ledger();
    for row in &world.rows(SQL, &[]).await {
        let theirs = ledger.payment(row.text("out_trade_no").unwrap()).unwrap().trade_state.to_string();
        *ends.entry((row.text("state").unwrap().to_owned(), theirs)).or_default() += 1;
    }
    println!("{name}: {orders} orders, seed {}: {ends:?}", world.seed);
    for (here, there) in ends.keys() {
        assert!(matches!((here.as_str(), there.as_str()), ("paid", "SUCCESS") | ("closed", "CLOSED")), "{ends:?}");
    }
    assert_eq!(ends.values().sum::<usize>(), orders);
    assert_eq!(ends.len(), 2, "each of the two ends was reached: {ends:?}");
}

async fn paying_against_closing_ends_as_wechat_says(world: &mut World) {
    let orders = figure("ZHANGGUI_TEST_RACES", 100).div_ceil(BATCH) * BATCH;
    world.pay_by(Api::V3).await;
    let phone = world.phone("li").await;
    let steps = [Step::Pay, Step::GiveUp, Step::Return, Step::Press, Step::Cancel, Step::GiveUp];
    for batch in 0..orders / BATCH {
        let mut racers = Vec::new();
        for at in 0..BATCH {
            let seed = world.seed.wrapping_add((batch * BATCH + at) as u64 * 0x9E37_79B9);
            racers.push(Racer::new(&phone, seed, &steps).await);
        }
        race(world, racers).await;
    }
    judge(world, "pay against close", orders).await;
}

async fn paying_against_the_expiry_ends_as_wechat_says(world: &mut World) {
    let orders = figure("ZHANGGUI_TEST_RACES", 100).div_ceil(BATCH) * BATCH;
    world.reconfigure(|shop| (shop.api, shop.expires_in_min) = (Api::V3, 5)).await;
    let phone = world.phone("li").await;
    let steps = [Step::Pay, Step::Return, Step::Cancel, Step::Return, Step::Press, Step::Return];
    for batch in 0..orders / BATCH {
        let mut racers = Vec::new();
        for at in 0..BATCH {
            let seed = world.seed.wrapping_add((batch * BATCH + at) as u64 * 0x9E37_79B9);
            let mut racer = Racer::new(&phone, seed, &steps).await;
            // Everybody has the sheet before the time is over; WeChat lets them pay for another minute.
            racer.sheet = Some(phone.parameters(&racer.order).await);
            racers.push(racer);
        }
        world.clock.advance_s(300);
        race(world, racers).await;
    }
    judge(world, "pay against expiry", orders).await;
}
