//! Every state that one order with two payments and two refunds can reach, under loss, duplication and reordering: the
//! invariants hold in each, and from each the server finds the truth as soon as WeChat can be reached.

mod model;

use std::collections::{HashMap, VecDeque};

use zhanggui::{
    order::{self, LateMoney},
    payment,
    refund::{self, Claim},
};

use model::{Action, FEN, PAYMENTS, Progress, REFUNDS, Rules, World, has_succeeded, id};

#[test]
fn one_order_with_two_payments_and_two_refunds_keeps_every_invariant() {
    let faithful = Rules { late_money: LateMoney::Refund, closed_may_be_paid: false, wishes: 2 };
    explore("a faithful WeChat", faithful);
}

#[test]
fn lesson_19_whatever_wechat_lets_a_customer_pay_twice_goes_back_once() {
    let rules = Rules { late_money: LateMoney::Refund, closed_may_be_paid: true, wishes: 1 };
    explore("a WeChat that lets customers pay what it called closed, money goes back", rules);
    let rules = Rules { late_money: LateMoney::Accept, ..rules };
    explore("the same, late money is accepted", rules);
}

/// The states in the order of discovery; an edge leads from the number of a state to the number of the next.
struct Explored {
    numbers: HashMap<World, usize>,
    healing: Vec<Option<usize>>,
}

fn explore(name: &str, rules: Rules) {
    let mut explored = Explored { numbers: HashMap::new(), healing: Vec::new() };
    let mut waiting = VecDeque::from([World::new()]);
    explored.numbers.insert(World::new(), 0);
    explored.healing.push(None);
    let mut steps = 0_usize;
    while let Some(world) = waiting.pop_front() {
        check(&world, rules);
        let mut number_of = |next: World| match explored.numbers.get(&next) {
            Some(number) => *number,
            None => {
                let number = explored.healing.len();
                explored.healing.push(None);
                explored.numbers.insert(next.clone(), number);
                waiting.push_back(next);
                number
            }
        };
        for action in world.actions(rules) {
            if let Some(next) = world.after(action, rules) {
                check_step(&world, &next, action);
                number_of(next);
                steps += 1;
            }
        }
        let healed = heal(&world, rules).map(number_of);
        if healed.is_none() {
            check_healed(&world);
        }
        let number = explored.numbers[&world];
        explored.healing[number] = healed;
    }
    explored.check_that_healing_ends();
    println!("{name}: {} states, {steps} steps", explored.numbers.len());
}

impl Explored {
    /// Following the healing steps never goes round in a circle.
    fn check_that_healing_ends(&self) {
        let mut ends = vec![false; self.healing.len()];
        for start in 0..self.healing.len() {
            let (mut at, mut path) = (start, Vec::new());
            while let (false, Some(next)) = (ends[at], self.healing[at]) {
                assert!(path.len() <= self.healing.len(), "healing goes round in a circle");
                path.push(at);
                at = next;
            }
            ends[at] = true;
            path.into_iter().for_each(|passed| ends[passed] = true);
        }
    }
}

/// What must hold in every state.
fn check(world: &World, rules: Rules) {
    let wrong = |what: &str| panic!("{what}: {world:#?}");
    for (at, pay) in world.pays.iter().enumerate() {
        let succeeded = pay.as_ref().is_some_and(|pay| has_succeeded(&pay.state));
        if succeeded && !world.their_pays[at].is_paid {
            wrong("a payment succeeded here and not at WeChat");
        }
        let kept = world.order == order::State::Paid { payment_id: id(at) };
        if kept && !succeeded {
            wrong("the order is paid by a payment that has not succeeded");
        }
        let closed = pay.as_ref().is_some_and(|pay| pay.state == payment::State::Closed);
        if closed && !rules.closed_may_be_paid && !world.is_closed_there(at) {
            wrong("a payment is closed here and not at WeChat");
        }
        let given_back = world.backs.iter().flatten().filter(|back| back.payment == at && back.is_automatic).count();
        if given_back != usize::from(succeeded && !kept) {
            wrong("money is kept twice, or given back twice");
        }
        if world.claimed(at).0 > FEN {
            wrong("more goes back than was paid");
        }
    }
    if !rules.closed_may_be_paid && matches!(world.order, order::State::Closed { .. }) {
        let payable = (0..PAYMENTS).any(|at| world.after(Action::Pays(at), rules).is_some());
        if payable || world.their_pays.iter().any(|theirs| theirs.is_paid) {
            wrong("the order is closed here and not at WeChat");
        }
    }
    if world.pays.iter().flatten().filter(|pay| pay.state.is_live()).count() > 1 {
        wrong("two payments of one order can be paid");
    }
    for (at, back) in world.backs.iter().enumerate() {
        let state = back.as_ref().map(|back| &back.state);
        let theirs = world.their_backs[at].now;
        if matches!(state, Some(refund::State::Succeeded { .. })) && theirs != Some(Progress::Success) {
            wrong("a refund succeeded here and not at WeChat");
        }
        let released = state.is_some_and(|state| state.claim() == Claim::Released);
        if released && theirs.is_some_and(|theirs| theirs != Progress::Closed) {
            wrong("a refund was released that WeChat pays out");
        }
    }
}

/// What no step may undo.
fn check_step(before: &World, after: &World, action: Action) {
    for (before, after) in before.pays.iter().flatten().zip(after.pays.iter().flatten()) {
        if has_succeeded(&before.state) {
            assert_eq!(before.state, after.state, "{action:?} takes a success back");
        }
    }
    for (before, after) in before.backs.iter().flatten().zip(after.backs.iter().flatten()) {
        if before.state.claim() != Claim::Reserved {
            assert_eq!(before.state, after.state, "{action:?} takes the end of a refund back");
        }
        assert_eq!((before.payment, before.fen), (after.payment, after.fen), "{action:?} changes a refund");
    }
    if !before.order.waits_for_money() && !matches!(before.order, order::State::Closed { .. }) {
        assert_eq!(before.order, after.order, "{action:?} takes the end of an order back");
    }
}

/// What the server's jobs do next when WeChat can be reached, nobody presses anything and time passes.
fn heal(world: &World, rules: Rules) -> Option<World> {
    let mut jobs = Vec::new();
    for at in 0..PAYMENTS {
        jobs.extend([Action::ToldPaid(at), Action::ToldClosed(at), Action::ToldUnknown(at)]);
        if matches!(world.pays[at].as_ref().map(|pay| &pay.state), Some(payment::State::Closing)) {
            jobs.extend([Action::SendClose(at), Action::CloseArrives(at), Action::CloseAnswered(at)]);
            jobs.push(Action::TwoHoursPass(at));
        }
    }
    for at in 0..REFUNDS {
        jobs.extend([Action::SendRefund(at), Action::RefundArrives(at)]);
        let told = [Progress::Processing, Progress::Success, Progress::Closed];
        jobs.extend(told.map(|progress| Action::ToldRefund(at, progress)));
        jobs.push(Action::Progresses(at, Progress::Success));
    }
    jobs.into_iter().find_map(|job| world.after(job, rules))
}

/// When the jobs have nothing more to do, the books agree.
fn check_healed(world: &World) {
    let wrong = |what: &str| panic!("{what}: {world:#?}");
    if matches!(world.order, order::State::Closing { .. }) {
        wrong("an order stays closing for ever");
    }
    for (at, theirs) in world.their_pays.iter().enumerate() {
        let state = world.pays[at].as_ref().map(|pay| &pay.state);
        if theirs.is_paid && !state.is_some_and(has_succeeded) && !world.attention {
            wrong("money was forgotten");
        }
    }
    for (at, back) in world.backs.iter().enumerate() {
        let theirs = world.their_backs[at].now;
        match back.as_ref().map(|back| &back.state) {
            Some(refund::State::Submitting { .. } | refund::State::Processing | refund::State::Abnormal) => {
                wrong("a refund stays under way for ever");
            }
            Some(refund::State::Succeeded { .. }) if theirs != Some(Progress::Success) => wrong("refund books differ"),
            _ => {}
        }
    }
}
