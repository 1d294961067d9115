//! Amounts that order a fault by themselves: ¥9990.NN, where NN says which. For whoever cannot reach the control API, a
//! tester with a phone for example. [`crate::Options::magic_amounts`] switches them on.
//!
//! An amount of an order strikes the order and its notification; an amount of a refund strikes the refund, so an order
//! that is to be refunded has the same amount or more.

use weixin::{Fen, pay::v2, xml::Fields};

use super::FaultKind;
use crate::{
    pay::{Api, RefundEnding},
    server::Request,
    world::World,
};

/// All magic amounts lie between this one and this one with 99 fen more.
const BASE_FEN: i64 = 999_000;

/// An amount that orders a fault.
#[derive(Clone, Copy, Debug)]
pub struct MagicAmount {
    /// The amount in fen.
    pub amount_fen: i64,
    /// What is struck.
    pub moment: MagicMoment,
    /// What goes wrong, for people.
    pub effect: &'static str,
    magic: Magic,
}

/// What a magic amount strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MagicMoment {
    /// The call that makes an order of this amount.
    Order,
    /// The notification of a payment of this amount.
    Notification,
    /// The call that asks for a refund of this amount.
    Refund,
    /// How a refund of this amount ends.
    RefundEnding,
}

#[derive(Clone, Copy, Debug)]
enum Magic {
    /// The first message about a number.
    Once(fn(Api) -> FaultKind),
    /// Every message.
    Always(fn(Api) -> FaultKind),
    Ends(RefundEnding),
    /// So many seconds.
    Takes(u32),
}

use Magic::{Always, Ends, Once, Takes};
use MagicMoment::{Notification, Order, Refund, RefundEnding as Ending};

/// All magic amounts.
pub const MAGIC_AMOUNTS: &[MagicAmount] = &[
    row(1, Order, Once(|api| refused(api, "SYSTEMERROR", 500, "SYSTEM_ERROR")), "first answer SYSTEM_ERROR, no effect"),
    row(2, Order, Once(refused_after), "first answer SYSTEM_ERROR, but the order is made"),
    row(3, Order, Once(|_| FaultKind::NoAnswerBefore), "first call without answer and effect"),
    row(4, Order, Once(|_| FaultKind::NoAnswerAfter), "first call without answer, but the order is made"),
    row(5, Order, Always(|api| refused(api, "NOAUTH", 403, "NO_AUTH")), "refused for good, the permission is missing"),
    row(6, Order, Once(|_| FaultKind::HalfAnswer), "first answer breaks in its middle"),
    row(7, Order, Once(|_| FaultKind::Status(502)), "first answer is a page of HTML with status 502"),
    row(8, Order, Once(|_| FaultKind::Unsigned), "first answer is not signed"),
    row(9, Order, Once(|_| FaultKind::WrongSignature), "first answer is wrongly signed"),
    row(10, Order, Once(|_| FaultKind::Hang(15_000)), "first answer comes after 15 real seconds"),
    row(
        11,
        Order,
        Once(|api| refused(api, "FREQUENCY_LIMITED", 429, "FREQUENCY_LIMITED")),
        "first call is one too many",
    ),
    row(20, Notification, Once(|_| FaultKind::Lost), "first notification is lost"),
    row(21, Notification, Once(|_| FaultKind::Twice), "first notification comes twice at the same moment"),
    row(22, Notification, Once(|_| FaultKind::Delay(600)), "first notification is ten minutes late"),
    row(23, Notification, Always(|_| FaultKind::Lost), "all notifications are lost"),
    row(24, Notification, Once(|_| FaultKind::WrongSignature), "first notification is wrongly signed"),
    row(25, Notification, Once(|_| FaultKind::WrongAmount), "first notification tells one fen more, properly signed"),
    row(40, Refund, Once(|api| refused(api, "NOTENOUGH", 403, "NOT_ENOUGH")), "first call finds the balance too low"),
    row(41, Refund, Once(refused_after), "first answer SYSTEM_ERROR, but the refund is made"),
    row(42, Refund, Once(|_| FaultKind::NoAnswerBefore), "first call without answer and effect"),
    row(43, Refund, Once(|_| FaultKind::NoAnswerAfter), "first call without answer, but the refund is made"),
    row(44, Refund, Always(no_account), "refused for good, the customer's account is closed"),
    row(50, Ending, Ends(RefundEnding::Abnormal), "the refund is abnormal"),
    row(51, Ending, Ends(RefundEnding::Closed), "the refund is closed"),
    row(52, Ending, Takes(86_400), "the refund takes a day"),
];

const fn row(nn: i64, moment: MagicMoment, magic: Magic, effect: &'static str) -> MagicAmount {
    MagicAmount { amount_fen: BASE_FEN + nn, moment, effect, magic }
}

fn refused(api: Api, v2: &str, status: u16, v3: &str) -> FaultKind {
    match api {
        Api::V2 => FaultKind::ErrCode(v2.to_owned()),
        Api::V3 => FaultKind::V3Error { status, code: v3.to_owned() },
    }
}

fn refused_after(api: Api) -> FaultKind {
    match api {
        Api::V2 => FaultKind::ErrCodeAfter("SYSTEMERROR".to_owned()),
        Api::V3 => FaultKind::V3ErrorAfter { status: 500, code: "SYSTEM_ERROR".to_owned() },
    }
}

fn no_account(api: Api) -> FaultKind {
    refused(api, "USER_ACCOUNT_ABNORMAL", 403, "USER_ACCOUNT_ABNORMAL")
}

/// The magic of a request.
pub(super) fn of_request(world: &mut World, request: &Request) -> Option<FaultKind> {
    if !world.switches.magic_amounts {
        return None;
    }
    let (moment, number, amount) = read(request)?;
    let api = if request.path.starts_with("/v3/") { Api::V3 } else { Api::V2 };
    of(world, (moment, amount), api, &number)
}

/// The magic of a notification of a payment, whose key `subject` is.
pub(super) fn of_notification(world: &mut World, api: Api, subject: &str) -> Option<FaultKind> {
    if !world.switches.magic_amounts {
        return None;
    }
    let amount = world.orders.get(subject)?.total;
    of(world, (Notification, amount), api, subject)
}

fn of(world: &mut World, what: (MagicMoment, Fen), api: Api, subject: &str) -> Option<FaultKind> {
    match find(what.0, what.1)?.magic {
        Always(kind) => Some(kind(api)),
        Once(kind) => world.magic_spent.insert(format!("{:?}/{subject}", what.0)).then(|| kind(api)),
        Ends(_) | Takes(_) => None,
    }
}

/// How a refund of this amount ends and how many seconds it takes, where it differs from the usual.
pub(crate) fn ending_of_refund(world: &World, refund: Fen) -> (Option<RefundEnding>, Option<u32>) {
    let magic = if world.switches.magic_amounts { find(Ending, refund) } else { None };
    match magic.map(|magic| magic.magic) {
        Some(Ends(ending)) => (Some(ending), None),
        Some(Takes(seconds)) => (None, Some(seconds)),
        _ => (None, None),
    }
}

fn find(moment: MagicMoment, amount: Fen) -> Option<&'static MagicAmount> {
    MAGIC_AMOUNTS.iter().find(|magic| magic.moment == moment && magic.amount_fen == amount.get())
}

/// What an order or a refund asks for: number and amount.
fn read(request: &Request) -> Option<(MagicMoment, String, Fen)> {
    use v2::Call as _;
    use weixin::pay::v3::{jsapi, refund};
    let v2_fields = |number: &str, amount: &str| {
        let fields = Fields::parse(&request.body).ok()?;
        Some((fields.get(number)?.to_owned(), Fen::from_wire(fields.get(amount)?).ok()?))
    };
    let v3_fields = |number: &str, amount: &str| {
        let body: serde_json::Value = serde_json::from_slice(&request.body).ok()?;
        Some((body[number].as_str()?.to_owned(), Fen::new(body["amount"][amount].as_i64()?)))
    };
    let (moment, (number, amount)) = match request.path.as_str() {
        v2::unified_order::UnifiedOrder::PATH => (Order, v2_fields("out_trade_no", "total_fee")?),
        v2::refund::RefundRequest::PATH => (Refund, v2_fields("out_refund_no", "refund_fee")?),
        jsapi::PATH => (Order, v3_fields("out_trade_no", "total")?),
        refund::PATH => (Refund, v3_fields("out_refund_no", "refund")?),
        _ => return None,
    };
    Some((moment, number, amount))
}
