//! One order with two payments and two refunds, WeChat, a phone and a network, small enough to visit every state.
//!
//! The server's half are the real tables (`order::State`, `payment::State`, `refund::State`), put together as
//! `settle.rs` does. The network may lose, double, delay and reorder: what was sent once can arrive any number of times
//! and at any later moment, or never.

use jiff::{SignedDuration, Timestamp};
use weixin::{
    Fen, OrderAmount, PrepayId, TransactionId,
    pay::{RefundState, TradeState},
};
use zhanggui::{
    attention::Reason,
    order::{self, CloseReason, LateMoney, OnClose, OnSuccess},
    payment::{self, Absence},
    refund::{self, Claim, Claimed, reserve},
};

pub(super) const PAYMENTS: usize = 2;
/// One for each payment, and two that somebody asks for.
pub(super) const REFUNDS: usize = 4;

/// What the order costs.
pub(super) const FEN: i64 = 3;

/// How much somebody asks back: twice the larger one is more than was paid.
const WISHES_FEN: [i64; 2] = [1, 2];

/// A payment as the server has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pay {
    pub(super) state: payment::State,
    was_accepted: bool,
    /// Whether it was sent more than once.
    tried_again: bool,
    /// More than two hours have passed since it was sent.
    is_quiet: bool,
}

/// A refund as the server has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Back {
    pub(super) payment: usize,
    pub(super) fen: i64,
    pub(super) is_automatic: bool,
    pub(super) state: refund::State,
    in_doubt: bool,
}

/// A payment at WeChat, and everything that was ever true of it: any of that may be told late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct TheirPay {
    pub(super) is_known: bool,
    pub(super) is_closed: bool,
    pub(super) is_paid: bool,
    was_closed: bool,
    /// WeChat answered a call to close with success.
    closed_for_us: bool,
}

/// A refund at WeChat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct TheirBack {
    pub(super) now: Option<Progress>,
    was_abnormal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Progress {
    Processing,
    Success,
    Abnormal,
    Closed,
}

impl Progress {
    fn word(self) -> RefundState {
        match self {
            Self::Processing => RefundState::Processing,
            Self::Success => RefundState::Success,
            Self::Abnormal => RefundState::Abnormal,
            Self::Closed => RefundState::Closed,
        }
    }
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) order: order::State,
    pub(super) pays: [Option<Pay>; PAYMENTS],
    pub(super) backs: [Option<Back>; REFUNDS],
    pub(super) their_pays: [TheirPay; PAYMENTS],
    pub(super) their_backs: [TheirBack; REFUNDS],
    /// Whether the phone holds a `prepay_id`.
    sheets: [bool; PAYMENTS],
    /// Requests that are, or may still be, on their way.
    creating: [bool; PAYMENTS],
    closing: [bool; PAYMENTS],
    applying: [bool; REFUNDS],
    /// Somebody was told to look.
    pub(super) attention: bool,
}

/// What kind of WeChat takes part, and what the operator decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) late_money: LateMoney,
    /// Whether a payment may succeed although WeChat has said that it is closed.
    pub(super) closed_may_be_paid: bool,
    /// How many refunds somebody asks for.
    pub(super) wishes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// The customer presses pay: a new payment, or the same bytes again.
    Press,
    PrepayExpires(usize),
    GiveUp,
    Pays(usize),
    /// Somebody closes it on the merchant platform.
    ClosedElsewhere(usize),
    CreateArrives(usize),
    PrepayAnswered(usize),
    CreateRefused(usize),
    TwoHoursPass(usize),
    ToldPaid(usize),
    ToldClosed(usize),
    ToldUnknown(usize),
    SendClose(usize),
    CloseArrives(usize),
    CloseAnswered(usize),
    Wish(i64),
    SendRefund(usize),
    RefundArrives(usize),
    BalanceTooLow(usize),
    RefundRefused(usize),
    DoubtPasses(usize),
    Progresses(usize, Progress),
    ToldRefund(usize, Progress),
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            order: order::State::Open,
            pays: [None, None],
            backs: Default::default(),
            their_pays: Default::default(),
            their_backs: Default::default(),
            sheets: [false; PAYMENTS],
            creating: [false; PAYMENTS],
            closing: [false; PAYMENTS],
            applying: [false; REFUNDS],
            attention: false,
        }
    }

    /// Whether WeChat has the payment closed, or never had it and never will.
    pub(super) fn is_closed_there(&self, at: usize) -> bool {
        let theirs = self.their_pays[at];
        if theirs.is_known { theirs.is_closed } else { !self.creating[at] }
    }

    /// Everything that can happen next, including what changes nothing.
    pub(super) fn actions(&self, rules: Rules) -> Vec<Action> {
        use Action as A;
        let mut actions = vec![A::Press, A::GiveUp];
        if self.backs.iter().flatten().filter(|back| !back.is_automatic).count() < rules.wishes {
            actions.extend(WISHES_FEN.map(A::Wish));
        }
        for at in 0..PAYMENTS {
            actions.extend([A::PrepayExpires(at), A::Pays(at), A::ClosedElsewhere(at), A::CreateArrives(at)]);
            actions.extend([A::PrepayAnswered(at), A::CreateRefused(at), A::TwoHoursPass(at), A::ToldPaid(at)]);
            actions.extend([A::ToldClosed(at), A::ToldUnknown(at), A::SendClose(at), A::CloseArrives(at)]);
            actions.push(A::CloseAnswered(at));
        }
        for at in 0..REFUNDS {
            actions.extend([A::SendRefund(at), A::RefundArrives(at), A::BalanceTooLow(at), A::RefundRefused(at)]);
            actions.push(A::DoubtPasses(at));
            for progress in [Progress::Processing, Progress::Success, Progress::Abnormal, Progress::Closed] {
                actions.extend([A::Progresses(at, progress), A::ToldRefund(at, progress)]);
            }
        }
        actions
    }

    /// What comes of it; `None` if it cannot happen now.
    pub(super) fn after(&self, action: Action, rules: Rules) -> Option<Self> {
        let mut next = self.clone();
        if !next.act(action, rules) {
            return None;
        }
        next.forget();
        (next != *self).then_some(next)
    }

    /// Drops what cannot make a difference any more, so that fewer states are visited.
    fn forget(&mut self) {
        for at in 0..PAYMENTS {
            let theirs = &mut self.their_pays[at];
            let Some(pay) = &mut self.pays[at] else { continue };
            pay.tried_again |= pay.was_accepted;
            pay.is_quiet &= !pay.was_accepted;
            if theirs.is_known {
                self.creating[at] = false;
            }
            if theirs.is_paid || theirs.closed_for_us {
                self.closing[at] = false;
            }
            if has_succeeded(&pay.state) {
                (theirs.was_closed, theirs.closed_for_us) = (false, false);
                (pay.was_accepted, pay.tried_again, pay.is_quiet) = (true, true, false);
            }
        }
        for at in 0..REFUNDS {
            let Some(back) = &mut self.backs[at] else { continue };
            if self.their_backs[at].now.is_some() {
                (self.applying[at], back.in_doubt) = (false, false);
            }
            if back.state.claim() != Claim::Reserved {
                self.their_backs[at].was_abnormal = false;
            }
        }
    }

    fn act(&mut self, action: Action, rules: Rules) -> bool {
        match action {
            Action::Press => self.press(),
            Action::GiveUp => self.give_up(),
            Action::PrepayExpires(at) => self.on_payment(at, payment::Event::PrepayExpired, rules),
            Action::Pays(at) => self.customer_pays(at, rules),
            Action::ClosedElsewhere(at) => self.close_there(at),
            Action::CreateArrives(at) => {
                self.creating[at] && !std::mem::replace(&mut self.their_pays[at].is_known, true)
            }
            Action::PrepayAnswered(at) => self.prepay_answered(at, rules),
            Action::CreateRefused(at) => self.create_refused(at, rules),
            Action::TwoHoursPass(at) => self.two_hours_pass(at),
            Action::ToldPaid(at) => self.their_pays[at].is_paid && self.on_payment(at, paid(at), rules),
            Action::ToldClosed(at) => {
                // A message that is older than the success is stale, and the server sees that.
                let succeeded = self.pays[at].as_ref().is_some_and(|pay| has_succeeded(&pay.state));
                let closed = payment::Event::NotPaid(TradeState::Closed);
                self.their_pays[at].was_closed && !succeeded && self.on_payment(at, closed, rules)
            }
            Action::ToldUnknown(at) => !self.their_pays[at].is_known && self.told_unknown(at, rules),
            Action::SendClose(at) => {
                let is_closing = self.pays[at].as_ref().is_some_and(|pay| pay.state == payment::State::Closing);
                is_closing && !std::mem::replace(&mut self.closing[at], true)
            }
            Action::CloseArrives(at) => self.close_arrives(at),
            Action::CloseAnswered(at) => {
                self.their_pays[at].closed_for_us && self.on_payment(at, payment::Event::CloseAnswered, rules)
            }
            Action::Wish(fen) => self.wish(fen),
            Action::SendRefund(at) => self.send_refund(at),
            Action::RefundArrives(at) => self.refund_arrives(at),
            Action::BalanceTooLow(at) => self.applying[at] && self.on_refund(at, refund::Event::BalanceTooLow),
            Action::RefundRefused(at) => self.refund_refused(at),
            Action::DoubtPasses(at) => self.doubt_passes(at),
            Action::Progresses(at, progress) => self.progresses(at, progress),
            Action::ToldRefund(at, progress) => self.told_refund(at, progress),
        }
    }

    fn press(&mut self) -> bool {
        if self.order != order::State::Open {
            return false;
        }
        if let Some(at) = self.live() {
            let Some(pay) = self.pays[at].as_mut().filter(|pay| pay.state == payment::State::Submitting) else {
                return false;
            };
            let before = (pay.clone(), self.creating[at]);
            (pay.tried_again, pay.is_quiet, self.creating[at]) = (true, false, true);
            return before != (pay.clone(), true);
        }
        let Some(at) = self.pays.iter().position(Option::is_none) else { return false };
        let state = payment::State::Submitting;
        self.pays[at] = Some(Pay { state, was_accepted: false, tried_again: false, is_quiet: false });
        self.creating[at] = true;
        true
    }

    fn live(&self) -> Option<usize> {
        self.pays.iter().position(|pay| pay.as_ref().is_some_and(|pay| pay.state.is_live()))
    }

    fn give_up(&mut self) -> bool {
        let OnClose::Begins(closing) = self.order.on_close(CloseReason::Cancelled) else { return false };
        self.order = closing;
        self.close_live_payment();
        self.close_if_nothing_is_payable();
        true
    }

    fn close_live_payment(&mut self) {
        if let Some(pay) = self.live().and_then(|at| self.pays[at].as_mut())
            && let payment::Next::To(state) = pay.state.on(payment::Event::OrderCloses)
        {
            pay.state = state;
        }
    }

    fn close_if_nothing_is_payable(&mut self) {
        if self.live().is_none()
            && let Some(closed) = self.order.on_nothing_payable()
        {
            self.order = closed;
        }
    }

    fn customer_pays(&mut self, at: usize, rules: Rules) -> bool {
        let theirs = &mut self.their_pays[at];
        let open = !theirs.is_closed || rules.closed_may_be_paid;
        let pays = self.sheets[at] && theirs.is_known && open && !theirs.is_paid;
        (theirs.is_paid, theirs.is_closed) = (theirs.is_paid || pays, theirs.is_closed && !pays);
        pays
    }

    fn close_there(&mut self, at: usize) -> bool {
        let theirs = &mut self.their_pays[at];
        let closes = theirs.is_known && !theirs.is_paid && !theirs.is_closed;
        (theirs.is_closed, theirs.was_closed) = (theirs.is_closed || closes, theirs.was_closed || closes);
        closes
    }

    fn close_arrives(&mut self, at: usize) -> bool {
        let theirs = self.their_pays[at];
        if !self.closing[at] || !theirs.is_known || theirs.is_paid || theirs.closed_for_us {
            return false;
        }
        self.close_there(at);
        self.their_pays[at].closed_for_us = true;
        true
    }

    fn prepay_answered(&mut self, at: usize, rules: Rules) -> bool {
        let Some(pay) = self.pays[at].as_mut() else { return false };
        if !self.their_pays[at].is_known {
            return false;
        }
        let was_accepted = std::mem::replace(&mut pay.was_accepted, true);
        let prepay_id = PrepayId::parse(format!("wx{at}")).unwrap();
        let changed = self.on_payment(at, payment::Event::PrepayIssued { prepay_id, until: time() }, rules);
        let pay = self.pays[at].as_ref().unwrap();
        self.sheets[at] |= matches!(pay.state, payment::State::Awaiting { .. });
        changed || !was_accepted
    }

    /// Somebody on the way says no, with or without effect: such an answer is not signed.
    fn create_refused(&mut self, at: usize, rules: Rules) -> bool {
        let Some(pay) = &self.pays[at] else { return false };
        let attempts = if pay.tried_again { 2 } else { 1 };
        self.on_payment(at, payment::Event::Refused { code: "PARAM_ERROR".to_owned(), attempts }, rules)
    }

    /// No request lives that long.
    fn two_hours_pass(&mut self, at: usize) -> bool {
        let Some(pay) = self.pays[at].as_mut().filter(|pay| pay.state.is_live() && !pay.is_quiet) else { return false };
        pay.is_quiet = true;
        self.creating[at] = false;
        true
    }

    fn told_unknown(&mut self, at: usize, rules: Rules) -> bool {
        let Some(pay) = &self.pays[at] else { return false };
        let since_last_try = SignedDuration::from_hours(if pay.is_quiet { 3 } else { 1 });
        let absence = Absence { was_accepted: pay.was_accepted, since_last_try };
        self.on_payment(at, payment::Event::NotKnown(absence), rules)
    }

    /// What `settle.rs` does with a statement about a payment.
    fn on_payment(&mut self, at: usize, event: payment::Event, rules: Rules) -> bool {
        let Some(pay) = &mut self.pays[at] else { return false };
        let state = match pay.state.on(event) {
            payment::Next::Same => return false,
            payment::Next::Attention(_) => return !std::mem::replace(&mut self.attention, true),
            payment::Next::To(state) => state,
        };
        pay.state = state.clone();
        if has_succeeded(&state) {
            match self.order.on_success(&id(at), rules.late_money) {
                OnSuccess::BecomesPaid(paid, _) => {
                    self.order = paid;
                    self.close_live_payment();
                }
                OnSuccess::Unchanged => {}
                OnSuccess::SecondPayment | OnSuccess::LatePayment => self.give_back(at),
            }
        } else if state == payment::State::Closed {
            self.close_if_nothing_is_payable();
        }
        true
    }

    fn give_back(&mut self, at: usize) {
        self.attention = true;
        let slot = self.backs.iter().position(Option::is_none).expect("there is room for every payment");
        self.backs[slot] =
            Some(Back { payment: at, fen: FEN, is_automatic: true, state: refund::State::NEW, in_doubt: false });
    }

    /// Somebody wants money back.
    fn wish(&mut self, fen: i64) -> bool {
        let order::State::Paid { payment_id } = &self.order else { return false };
        let kept = usize::from(*payment_id == id(1));
        let Some(slot) = self.backs.iter().position(Option::is_none) else { return false };
        let (total, count) = self.claimed(kept);
        let claimed = Claimed { total: Fen::new(total), count };
        let wanted = OrderAmount::new(Fen::new(fen)).ok();
        let Ok(amount) = reserve(Fen::new(FEN), time(), claimed, wanted, time()) else { return false };
        let fen = amount.fen().get();
        self.backs[slot] =
            Some(Back { payment: kept, fen, is_automatic: false, state: refund::State::NEW, in_doubt: false });
        true
    }

    /// What is reserved and gone of a payment's money, and in how many refunds.
    pub(super) fn claimed(&self, payment: usize) -> (i64, i64) {
        let of = self.backs.iter().flatten().filter(|back| back.payment == payment);
        let claimed = of.filter(|back| back.state.claim() != Claim::Released);
        claimed.fold((0, 0), |(fen, count), back| (fen + back.fen, count + 1))
    }

    /// A second try makes the outcome of the first a doubt.
    fn send_refund(&mut self, at: usize) -> bool {
        let Some(back) = &mut self.backs[at] else { return false };
        if !matches!(back.state, refund::State::Submitting { .. }) {
            return false;
        }
        let flag = if self.applying[at] { &mut back.in_doubt } else { &mut self.applying[at] };
        !std::mem::replace(flag, true)
    }

    fn refund_arrives(&mut self, at: usize) -> bool {
        let Some(back) = &self.backs[at] else { return false };
        let given: i64 = (0..REFUNDS)
            .filter_map(|other| self.backs[other].as_ref().map(|of| (of, self.their_backs[other].now)))
            .filter(|(of, now)| of.payment == back.payment && now.is_some_and(|now| now != Progress::Closed))
            .map(|(of, _)| of.fen)
            .sum();
        let is_new = self.their_backs[at].now.is_none();
        if !self.applying[at] || !is_new || !self.their_pays[back.payment].is_paid || given + back.fen > FEN {
            return false;
        }
        self.their_backs[at].now = Some(Progress::Processing);
        true
    }

    /// WeChat says no, and then that it does not know the number. If it was the only try, its request is used up.
    fn refund_refused(&mut self, at: usize) -> bool {
        if self.their_backs[at].now.is_some() {
            return false;
        }
        let Some(back) = &self.backs[at] else { return false };
        let doubt = back.in_doubt.then(|| SignedDuration::from_mins(1));
        let tried = self.applying[at];
        self.applying[at] &= back.in_doubt;
        tried && self.on_refund(at, refund::Event::Refused { code: "PARAM_ERROR".to_owned(), doubt })
    }

    /// Ten minutes: no request is on its way any more.
    fn doubt_passes(&mut self, at: usize) -> bool {
        let applying = std::mem::replace(&mut self.applying[at], false);
        let Some(back) = &mut self.backs[at] else { return false };
        std::mem::replace(&mut back.in_doubt, false) || applying
    }

    fn progresses(&mut self, at: usize, to: Progress) -> bool {
        use Progress::{Abnormal, Closed, Processing, Success};
        let theirs = &mut self.their_backs[at];
        let goes = matches!(
            (theirs.now, to),
            (Some(Processing), Success | Abnormal | Closed) | (Some(Abnormal), Success | Closed)
        );
        if goes {
            theirs.now = Some(to);
            theirs.was_abnormal |= to == Abnormal;
        }
        goes
    }

    /// Whatever was true once may be told late, and twice.
    fn told_refund(&mut self, at: usize, told: Progress) -> bool {
        let theirs = self.their_backs[at];
        let was_true = match told {
            Progress::Processing => theirs.now.is_some(),
            Progress::Abnormal => theirs.was_abnormal,
            end => theirs.now == Some(end),
        };
        let success_time = (told == Progress::Success).then(time);
        was_true && self.on_refund(at, refund::Event::Told { state: told.word(), success_time })
    }

    fn on_refund(&mut self, at: usize, event: refund::Event) -> bool {
        let Some(back) = &mut self.backs[at] else { return false };
        match back.state.on(event) {
            refund::Next::Same => false,
            refund::Next::Attention(Reason::RefundContradiction) => panic!("WeChat contradicts itself: {self:?}"),
            refund::Next::Attention(_) => !std::mem::replace(&mut self.attention, true),
            refund::Next::To(state) => {
                back.state = state;
                true
            }
        }
    }
}

pub(super) fn has_succeeded(state: &payment::State) -> bool {
    matches!(state, payment::State::Succeeded { .. })
}

pub(super) fn id(at: usize) -> String {
    format!("pay_{at}")
}

fn paid(at: usize) -> payment::Event {
    let transaction_id = TransactionId::parse(format!("42{at}")).unwrap();
    payment::Event::Paid { transaction_id, success_time: time() }
}

fn time() -> Timestamp {
    "2026-01-22T06:30:00Z".parse().unwrap()
}
