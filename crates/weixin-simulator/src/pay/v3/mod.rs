//! WeChat Pay API v3: JSON, RSA-SHA256 and AES-256-GCM, for a direct merchant with mini programs.
//!
//! Answers of 2xx are signed by the key that the request's `Wechatpay-Serial` names; refusals are not signed. The
//! order book is the one of API v2: a number is used once, whatever the version.
//!
//! Source: <https://pay.weixin.qq.com/doc/v3/merchant/4012081606> (overview).

mod bill;
mod certificates;
mod checks;
mod echo;
mod endpoint;
mod json;
pub(super) mod notify;
mod order;
mod order_fields;
mod refund;
mod refusal;
mod schema;
pub(super) mod sign;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;

pub(crate) use echo::EchoToTell;
pub(crate) use endpoint::{pattern, patterns};

use self::{
    checks::Caller,
    endpoint::{Endpoint, Nobody},
    json::Json,
    notify::OTHER_MERCHANT,
    refusal::{Refusal, internal},
    schema::Field,
    sign::Unsigned,
};
use crate::{
    answer::Answer,
    fault::{Attempt, FaultKind},
    options::Strictness,
    pay::FOREIGN_NUMBER,
    server::Request,
    world::World,
};

const JSON_TYPE: &str = "application/json; charset=utf-8";

/// The headers of real answers that say nothing.
const HEADERS: [(&str, &str); 4] = [
    ("Server", "nginx"),
    ("Cache-Control", "no-cache, must-revalidate"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Language", "zh-CN"),
];

/// A request whose signature is good.
struct Call<'a> {
    now: Timestamp,
    strictness: &'a Strictness,
    request: &'a Request,
    caller: &'a Caller,
    /// The number in the path.
    number: &'a str,
    /// What the random values of the answer belong to.
    subject: &'a str,
}

/// What an endpoint answers on success.
enum Done {
    /// 200 and JSON.
    Json(String),
    /// 204.
    NoContent,
}

/// Answers a request to API v3.
pub(crate) fn answer(
    strictness: &Strictness,
    world: &mut World,
    now: Timestamp,
    request: &Request,
    fault: Option<&FaultKind>,
) -> Answer {
    let (endpoint, number) = match endpoint::find(&request.method, &request.path) {
        Ok(found) => found,
        Err(Nobody::NoSuchPath) => return Answer::new(404, "", ""),
        Err(Nobody::OtherMethod) => return Answer::new(405, "", ""),
    };
    // The same request at the same moment gets the same bytes; that is what makes a run repeatable.
    let subject = subject(request);
    let request_id = request_id(world, &subject, now);
    let caller = match checks::read(world, now, request, endpoint) {
        Ok(caller) => caller,
        Err(refusal) => return refused(&refusal, &request_id, endpoint),
    };
    let call = Call { now, strictness, request, caller: &caller, number: &number, subject: &subject };
    let told = match fault {
        Some(FaultKind::V3Error { status, code }) => Err(Refusal::told(*status, code)),
        _ => Ok(()),
    };
    let result = told.and_then(|()| process(world, endpoint, &call));
    let result = match fault {
        Some(FaultKind::V3ErrorAfter { status, code }) => Err(Refusal::told(*status, code)),
        _ => result,
    };
    match result {
        Ok(done) => signed(world, &call, done, fault, &request_id),
        Err(refusal) => refused(&refusal, &request_id, endpoint),
    }
}

/// What happens after the signature was found good.
fn process(world: &mut World, endpoint: Endpoint, call: &Call<'_>) -> Result<Done, Refusal> {
    match endpoint {
        Endpoint::Jsapi => world.jsapi_order(call),
        Endpoint::QueryByOutTradeNo => world.query_by_out_trade_no(call),
        Endpoint::QueryById => world.query_by_id(call),
        Endpoint::Close => world.close_v3(call),
        Endpoint::Refund => world.refund(call),
        Endpoint::RefundQuery => world.refund_query(call),
        Endpoint::TradeBill => world.bill(call, &bill::TRADE),
        Endpoint::FundFlowBill => world.bill(call, &bill::FUND_FLOW),
        Endpoint::Certificates => world.certificates(call),
        Endpoint::Echo => world.echo(call),
    }
}

/// Whether the request is the repeat of one whose answer was a probe.
pub(crate) fn attempt(world: &World, request: &Request) -> Attempt {
    match world.probed.is_empty() || !world.probed.contains(&subject(request)) {
        true => Attempt::First,
        false => Attempt::Repeat,
    }
}

/// What makes two requests the same, whenever and however they were signed.
fn subject(request: &Request) -> String {
    let head = format!("{}\n{}\n", request.method, request.path_and_query());
    hex::encode(digest(&SHA256, &[head.as_bytes(), &request.body].concat()))
}

/// The part before the last hyphen. 44 characters that begin like real ones.
fn request_id(world: &World, subject: &str, now: Timestamp) -> String {
    let counter = now.as_millisecond().unsigned_abs();
    format!("08{}", world.seed().hexadecimal("request_id", subject, counter, 42).to_ascii_uppercase())
}

/// A success with its signature.
fn signed(world: &mut World, call: &Call<'_>, done: Done, fault: Option<&FaultKind>, request_id: &str) -> Answer {
    let (status, content_type, body) = match done {
        Done::Json(body) => (200, JSON_TYPE, foreign(body, fault)),
        Done::NoContent => (204, "", String::new()),
    };
    let (seed, counter) = (world.seed(), call.now.as_millisecond().unsigned_abs());
    let repeat = world.probed.remove(call.subject);
    let chance = seed.per_mille("probe an answer", call.subject, counter) < world.switches.probe_per_mille;
    let probe = fault == Some(&FaultKind::Probe) || (fault.is_none() && chance && !repeat);
    let fault = if probe { Some(&FaultKind::Probe) } else { fault };
    if probe {
        world.probed.insert(call.subject.to_owned());
    }
    let mut answer = Answer::new(status, content_type, body);
    let nonce = seed.hexadecimal("answer", call.subject, counter, 32);
    let unsigned = Unsigned { body: &answer.body, signer: &call.caller.signer, now: call.now, nonce };
    let signature = unsigned.sign(seed, fault);
    answer.headers = headers(request_id, internal::SUCCESS);
    answer.headers.extend(signature);
    answer.note = probe.then_some("probe");
    answer
}

/// The answer, or one that belongs to somebody or something else.
fn foreign(body: String, fault: Option<&FaultKind>) -> String {
    let (names, value): (&[&str], &str) = match fault {
        Some(FaultKind::ForeignMerchant) => (&["mchid"], OTHER_MERCHANT),
        Some(FaultKind::ForeignNumber) => (&["out_refund_no", "out_trade_no"], FOREIGN_NUMBER),
        Some(FaultKind::TradeState(word)) => (&["trade_state"], word),
        Some(FaultKind::RefundStatus(word)) => (&["status"], word),
        _ => return body,
    };
    let Ok(mut told) = serde_json::from_str::<serde_json::Value>(&body) else { return body };
    if let Some(name) = names.iter().find(|name| told.get(name).is_some()) {
        told[name] = value.into();
    }
    told.to_string()
}

/// A refusal. At the paths of orders a 401 has no `Request-ID`.
fn refused(refusal: &Refusal, request_id: &str, endpoint: Endpoint) -> Answer {
    let mut answer = Answer::new(refusal.status, JSON_TYPE, refusal.body.to_json());
    answer.headers = headers(request_id, refusal.internal);
    if refusal.status == 401 && endpoint.is_of_orders() {
        answer.headers.retain(|(name, _)| *name != "Request-ID");
    }
    answer
}

fn headers(request_id: &str, internal: u32) -> Vec<(&'static str, String)> {
    let request_id = ("Request-ID", format!("{request_id}-{internal}"));
    HEADERS.map(|(name, value)| (name, value.to_owned())).into_iter().chain([request_id]).collect()
}

impl Call<'_> {
    /// The body, after every check that does not depend on the state of things.
    fn body(&self, fields: &[Field]) -> Result<Json, Refusal> {
        let content_type = self.request.header("content-type").unwrap_or_default().to_ascii_lowercase();
        if content_type.split(';').next().map(str::trim) != Some("application/json") {
            // Needed says the page; what is answered without it is not published.
            return Err(Refusal::invalid_request("Http头Content-Type不正确，应为application/json"));
        }
        let body = Json::parse(&self.request.body).map_err(|issue| Refusal::parameters_wrong(&issue))?;
        if body.text(&["mchid"]).is_some_and(|mchid| mchid != self.caller.mchid.as_str()) {
            return Err(other_mchid("http header中的mchid与post payload中的mchid不匹配"));
        }
        schema::check(fields, &body)?;
        Ok(body)
    }

    /// Checks the `mchid` of the query.
    fn check_query_mchid(&self) -> Result<(), Refusal> {
        match self.request.query("mchid") {
            None => Err(schema::missing(refusal::Place::Query, "/mchid", "商户号")),
            Some(mchid) if mchid == self.caller.mchid.as_str() => Ok(()),
            Some(_) => Err(other_mchid("http header中的mchid与query中的mchid不匹配")),
        }
    }
}

fn other_mchid(message: &str) -> Refusal {
    Refusal::new(400, weixin::pay::v3::Code::ParamError, message, internal::OTHER_MCHID)
}
