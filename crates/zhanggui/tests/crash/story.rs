//! What customers and the merchant do. Everybody repeats what got no answer, with the same `Idempotency-Key`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use weixin::OpenId;
use weixin_simulator::{Choice, Consent, DEMO_PAID_TEMPLATE_ID};

use super::{
    stage::Stage,
    support::{DEMO, Reply},
};

/// How often somebody looks who waits for something.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a customer waits before writing again.
const READ_WITHIN: Duration = Duration::from_secs(1);

/// What becomes of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// The customer pays and comes back to the mini program.
    Paid,
    /// The customer pays, and the merchant gives the money back in two parts.
    GivenBack,
    /// The merchant gives the order up.
    GivenUp,
    /// Nobody pays.
    LeftToExpire,
    /// The customer pays while the merchant gives the order up.
    Race,
    /// The customer pays on another phone after the order was closed.
    PaidTooLate,
    /// The customer asks something first, and the desk answers.
    Asked,
    /// WeChat closes the first try by itself; the customer pays the second one, and then the first one, too.
    PaidTwice,
}

/// What came of it, as the people in it know.
pub(crate) struct Told {
    pub(crate) order: String,
    pub(crate) openid: OpenId,
    /// The state in which the order has to end.
    pub(crate) state: Option<&'static str>,
    /// How many numbers WeChat has to know for it, however often somebody pressed "pay".
    pub(crate) tries: usize,
    pub(crate) refunds: Vec<String>,
    /// What was sent under a key, and the answer that somebody got.
    pub(crate) answers: Vec<Sent>,
}

/// A request under a key, and its answer.
pub(crate) struct Sent {
    /// The customer's session; the merchant's key if there is none.
    pub(crate) token: Option<String>,
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) body: Value,
    pub(crate) reply: Reply,
}

impl Story {
    /// Each once.
    pub(crate) const ALL: [Self; 8] = [
        Self::Paid,
        Self::GivenBack,
        Self::GivenUp,
        Self::LeftToExpire,
        Self::Race,
        Self::PaidTooLate,
        Self::Asked,
        Self::PaidTwice,
    ];

    /// A random one; most customers pay.
    pub(crate) fn drawn(luck: &super::stage::Luck) -> Self {
        match luck.below(100) {
            0..27 => Self::Paid,
            27..35 => Self::Asked,
            35..60 => Self::GivenBack,
            60..68 => Self::GivenUp,
            68..76 => Self::LeftToExpire,
            76..84 => Self::Race,
            84..92 => Self::PaidTooLate,
            _ => Self::PaidTwice,
        }
    }

    pub(crate) async fn happen(self, stage: &Stage, number: usize) -> Told {
        let mut actor = Actor::come(stage, number, self).await;
        match self {
            Self::Paid => {
                let sheet = actor.press().await;
                actor.pay(&sheet);
                actor.until("paid", "?refresh=true").await;
            }
            Self::GivenBack => {
                let sheet = actor.press().await;
                actor.pay(&sheet);
                actor.until("paid", "").await;
                actor.give_back(&json!({ "amount": 5000 })).await;
                actor.give_back(&json!({ "reason": "the tea was cold" })).await;
            }
            Self::GivenUp => {
                actor.press().await;
                actor.give_up().await;
            }
            Self::LeftToExpire => drop(actor.press().await),
            Self::Race => {
                let sheet = actor.press().await;
                let moment = Duration::from_millis(stage.luck.below(40));
                let paying = async {
                    tokio::time::sleep(moment).await;
                    actor.phone.request_payment(&sheet, Choice::Pay).is_ok()
                };
                let (paid, _) = tokio::join!(paying, actor.close());
                actor.told.state = Some(if paid { "paid" } else { "closed" });
            }
            Self::PaidTooLate => {
                let sheet = actor.press().await;
                let number = actor.number_of(&sheet).await;
                actor.give_up().await;
                actor.until("closed", "").await;
                stage.sim.pay_order(&DEMO.mchid(), &number).unwrap();
            }
            Self::Asked => {
                actor.ask_and_answer().await;
                let sheet = actor.press().await;
                actor.pay(&sheet);
                actor.until("paid", "").await;
            }
            Self::PaidTwice => {
                let sheet = actor.press().await;
                let first = actor.number_of(&sheet).await;
                stage.sim.close_order(&DEMO.mchid(), &first).unwrap();
                let sheet = loop {
                    actor.see("?refresh=true").await;
                    let sheet = actor.press().await;
                    // A sheet of a closed order does not open.
                    if actor.opened(&sheet).await.is_some_and(|number| number != first) {
                        break sheet;
                    }
                };
                actor.pay(&sheet);
                actor.until("paid", "").await;
                stage.sim.pay_order(&DEMO.mchid(), &first).unwrap();
            }
        }
        actor.told
    }
}

/// A customer, and the merchant's system that looks after the order.
struct Actor<'a> {
    stage: &'a Stage,
    phone: weixin_simulator::Phone,
    customer: String,
    /// The customer's id at the server.
    customer_id: String,
    token: String,
    number: usize,
    told: Told,
}

impl<'a> Actor<'a> {
    /// Logs in and orders: a tea, or what the merchant says and for five minutes.
    async fn come(stage: &'a Stage, number: usize, story: Story) -> Self {
        let customer = format!("customer {number}");
        let phone = stage.sim.phone(&DEMO.appid(), &customer).unwrap();
        let (token, customer_id) = stage.log_in(&phone).await;
        // Agreed more often than somebody may be told.
        for _ in 0..2 {
            phone.answer_subscribe_popup(&[(DEMO_PAID_TEMPLATE_ID, Consent::Accept)]).unwrap();
        }
        let (by, body) = match story {
            Story::LeftToExpire => {
                let tea =
                    json!({ "amount": 9900, "description": "tea", "openid": phone.openid(), "expires_in_min": 5 });
                (None, tea)
            }
            _ => (Some(token.clone()), json!({ "items": [{ "sku": "tea" }] })),
        };
        let state = match story {
            Story::Paid | Story::GivenBack | Story::Asked | Story::PaidTwice => Some("paid"),
            Story::GivenUp | Story::LeftToExpire | Story::PaidTooLate => Some("closed"),
            Story::Race => None,
        };
        let tries = if story == Story::PaidTwice { 2 } else { 1 };
        let openid = phone.openid().clone();
        let told = Told { order: String::new(), openid, state, tries, refunds: Vec::new(), answers: Vec::new() };
        let mut actor = Self { stage, phone, customer, customer_id, token, number, told };
        actor.told.order = actor.send_once(by, "/v1/orders".to_owned(), "order", body).await;
        actor
    }

    /// Sends under a key of this story, and gives the id of what was made.
    async fn send_once(&mut self, token: Option<String>, path: String, what: &str, body: Value) -> String {
        let key = format!("{what}-{}", self.number);
        let reply = match &token {
            Some(token) => self.stage.customer(token, Method::POST, &path, Some(&key), &body).await,
            None => self.stage.merchant(Method::POST, &path, Some(&key), &body).await,
        };
        let id = reply.json(201)["id"].as_str().unwrap().to_owned();
        self.told.answers.push(Sent { token, path, key, body, reply });
        id
    }

    /// Presses "pay" and gives what `wx.requestPayment` takes.
    async fn press(&self) -> Value {
        let path = format!("/v1/orders/{}/pay", self.told.order);
        self.stage.customer(&self.token, Method::POST, &path, None, &json!({})).await.json(200)
    }

    fn pay(&self, sheet: &Value) {
        self.phone.request_payment(sheet, Choice::Pay).unwrap();
    }

    /// The `out_trade_no` on the sheet, if it opens.
    async fn opened(&self, sheet: &Value) -> Option<String> {
        let call = json!({ "appid": DEMO.appid, "customer": self.customer, "parameters": sheet });
        let opened = self.stage.control("wx/paymentSheet", &call).await;
        opened["sheet"]["out_trade_no"].as_str().map(str::to_owned)
    }

    async fn number_of(&self, sheet: &Value) -> String {
        self.opened(sheet).await.expect("the sheet opens")
    }

    /// Looks at the order.
    async fn see(&self, how: &str) -> Value {
        let path = format!("/v1/orders/{}{how}", self.told.order);
        self.stage.customer(&self.token, Method::GET, &path, None, &json!({})).await.json(200)
    }

    /// Looks again and again until the order is in this state.
    async fn until(&self, state: &str, how: &str) {
        while self.see(how).await["state"] != state {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The merchant closes the order: it is closed, or on the way there, or paid.
    async fn close(&self) -> Reply {
        let path = format!("/v1/orders/{}/close", self.told.order);
        self.stage.merchant(Method::POST, &path, None, &json!({})).await
    }

    async fn give_up(&self) {
        let state = self.close().await.json(200)["state"].clone();
        assert!(state == "closed" || state == "closing", "{state}");
    }

    /// The customer writes, again if nobody seems to have read it, and the desk answers under one name.
    async fn ask_and_answer(&self) {
        let list = format!("/v1/conversations?customer={}", self.customer_id);
        let conversation = loop {
            self.phone.send_text("is the tea fresh?");
            tokio::time::sleep(READ_WITHIN).await;
            let page = self.stage.merchant(Method::GET, &list, None, &json!({})).await.json(200);
            if let Some(id) = page["conversations"][0]["id"].as_str() {
                break id.to_owned();
            }
        };
        let path = format!("/v1/conversations/{conversation}/messages");
        let answer = json!({ "client_id": "1", "type": "text", "text": "of this spring" });
        let reply = self.stage.merchant(Method::POST, &path, None, &answer).await;
        assert!(matches!(reply.status, 200..=202), "{}", reply.text());
    }

    async fn give_back(&mut self, body: &Value) {
        let path = format!("/v1/orders/{}/refunds", self.told.order);
        let what = format!("refund-{}", self.told.refunds.len());
        let refund = self.send_once(None, path, &what, body.clone()).await;
        self.told.refunds.push(refund);
    }
}
