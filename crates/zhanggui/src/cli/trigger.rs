//! `zhanggui trigger`: makes something happen at the running `zhanggui dev`, as customers and WeChat make it happen.
//!
//! Nothing is written past the server: orders are made with the API key, customers log in, pay and write at the simulated
//! WeChat, and the server learns of it on the usual ways.

use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    CliError,
    running_dev::{DevFolder, Loopback, RunningDev},
    serve::interruption,
};
use crate::clock::{random, system_entropy};

/// Arguments of `zhanggui trigger`.
#[derive(Debug, clap::Args)]
pub(super) struct TriggerArgs {
    /// What happens
    event: Event,
    /// How much is paid, in fen; decided by the seed if absent
    #[arg(long, value_name = "FEN")]
    amount: Option<u32>,
    /// Who it is; decided by the seed if absent
    #[arg(long, value_name = "NAME")]
    customer: Option<String>,
    /// What the customer writes
    #[arg(long, value_name = "TEXT", default_value = "你好，请问什么时候发货？")]
    text: String,
    /// What goes wrong on the way
    #[arg(long)]
    fault: Option<FaultName>,
    /// Decides amount and customer; the same number gives the same ones
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u32>,
    #[command(flatten)]
    dev: DevFolder,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Event {
    /// A customer orders and pays
    Payment,
    /// A customer orders and closes the payment sheet
    CancelledPayment,
    /// The shop closes an order, WeChat's answer is lost, and the customer pays meanwhile
    LatePayment,
    /// WeChat closes the first number of an order by itself, the customer pays a second one, and then the first, too
    DoublePayment,
    /// A customer orders and pays, and the shop gives the money back
    Refund,
    /// A customer presses the contact button and writes
    Message,
    /// The same, and WeChat pushes the message twice
    RepeatedPush,
}

/// What can go wrong, by a name that says it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum FaultName {
    /// The payment notification is lost
    LostNotification,
    /// The payment notification comes twice at once
    DoubleNotification,
    /// Somebody changed the payment notification
    TamperedNotification,
    /// The payment notification comes a minute later
    LateNotification,
    /// WeChat takes the order, and its answer is lost
    LostAnswer,
    /// WeChat refuses the first try: too frequent
    Busy,
    /// The push of a message is lost; WeChat pushes again
    LostPush,
}

impl FaultName {
    fn fault(self) -> Value {
        match self {
            Self::LostNotification => json!({ "path": "notification", "kind": "lost" }),
            Self::DoubleNotification => json!({ "path": "notification", "kind": "twice" }),
            Self::TamperedNotification => json!({ "path": "notification", "kind": "tampered_body" }),
            Self::LateNotification => json!({ "path": "notification", "kind": { "delay": 60 } }),
            Self::LostAnswer => json!({ "path": ORDERS, "kind": "no_answer_after" }),
            Self::Busy => {
                json!({ "path": ORDERS, "kind": { "v3_error": { "status": 429, "code": "FREQUENCY_LIMITED" } } })
            }
            Self::LostPush => push_fault("lost"),
        }
    }
}

/// Strikes the push of the message: the one before it tells that the customer has entered.
fn push_fault(kind: &str) -> Value {
    json!({ "path": "push", "kind": kind, "after": 1 })
}

const ORDERS: &str = "/v3/pay/transactions/jsapi";
const CLOSING: &str = "/v3/pay/transactions/out-trade-no/{out_trade_no}/close";

/// How often it is looked whether the server has heard of a payment before it is asked, as the mini program asks.
const HEARS_WITHIN: u32 = 20;

/// How often it is looked whether money is back. At the simulator a refund takes three seconds.
const BACK_WITHIN: u32 = 60;

/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// How often a press of "pay" is repeated when WeChat does not take it at once.
const PRESSES_MAX: u32 = 4;

pub(super) async fn run(arguments: &TriggerArgs) -> Result<(), CliError> {
    let dev = arguments.dev.find()?;
    let seed = arguments.seed.unwrap_or_else(|| u32::from_le_bytes(random(&system_entropy())) % 1_000_000);
    let customer = arguments.customer.clone().unwrap_or_else(|| format!("customer-{}", seed % 1_000));
    let (network, json) = (Loopback::new()?, arguments.json);
    let mut scene = Scene { dev, network, customer, json, steps: Vec::new(), armed: Vec::new() };
    let amount = arguments.amount.unwrap_or(100 + seed.wrapping_mul(7_919) % 9_900);
    // Listened to from the beginning: whoever stops the run stops its faults, too.
    let end = interruption();
    let result = tokio::select! {
        result = scene.play(arguments, amount) => result,
        () = end => Err(CliError::Usage("stopped before the end".to_owned())),
    };
    scene.disarm().await;
    let result = result?;
    if arguments.json {
        anstream::println!("{}", json!({ "seed": seed, "steps": scene.steps, "result": result }));
    } else {
        anstream::println!("again: --seed {seed}");
    }
    Ok(())
}

/// Who takes part, and what was done.
struct Scene {
    dev: RunningDev,
    network: Loopback,
    customer: String,
    json: bool,
    steps: Vec<Step>,
    /// Faults that may not have struck yet.
    armed: Vec<Value>,
}

#[derive(Serialize)]
struct Step {
    did: String,
}

impl Scene {
    fn tell(&mut self, did: String) {
        if !self.json {
            anstream::println!("{did}");
        }
        self.steps.push(Step { did });
    }

    async fn play(&mut self, arguments: &TriggerArgs, amount: u32) -> Result<Value, CliError> {
        if let Some(fault) = arguments.fault {
            self.arm(fault.fault()).await?;
            self.tell(format!("a fault waits: {}", fault.fault()));
        }
        match arguments.event {
            Event::Payment => self.payment(amount, "pay").await,
            Event::CancelledPayment => self.payment(amount, "cancel").await,
            Event::LatePayment => self.late_payment(amount).await,
            Event::DoublePayment => self.double_payment(amount).await,
            Event::Refund => self.refund(amount).await,
            Event::Message => self.message(&arguments.text).await,
            Event::RepeatedPush => {
                self.arm(push_fault("twice")).await?;
                self.message(&arguments.text).await
            }
        }
    }

    async fn arm(&mut self, fault: Value) -> Result<(), CliError> {
        self.armed.push(fault.clone());
        self.control("faults", fault).await.map(drop)
    }

    /// Takes the faults of this run back, or they would strike somebody else's.
    async fn disarm(&mut self) {
        let url = format!("{}faults", self.dev.control);
        for fault in self.armed.drain(..) {
            let request = self.network.request(Method::DELETE, &url).json(&fault);
            // Where nothing answers, no fault waits any more.
            let _ = self.network.answer_of(request, &url).await;
        }
    }

    async fn control(&self, path: &str, body: Value) -> Result<Value, CliError> {
        self.network.call(&format!("{}{path}", self.dev.control), None, Some(&body)).await
    }

    /// The server, called by the merchant's own system.
    async fn server(&self, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.network.call(&format!("{}{path}", self.dev.server), Some(&self.dev.api_key), body).await
    }

    fn who(&self) -> Value {
        json!({ "appid": self.dev.appid, "customer": self.customer })
    }

    fn by_customer(&self, mut call: Value) -> Value {
        call["appid"] = self.dev.appid.as_str().into();
        call["customer"] = self.customer.as_str().into();
        call
    }

    /// `wx.login` and `POST /v1/login`; gives the session and the customer's `openid`.
    async fn log_in(&mut self) -> Result<(String, String), CliError> {
        let code = self.control("wx/login", self.who()).await?;
        let body = json!({ "code": code["code"], "appid": self.dev.appid });
        let session = self.network.call(&format!("{}/v1/login", self.dev.server), None, Some(&body)).await?;
        let status = self.network.call(&format!("{}status", self.dev.control), None, None).await?;
        let mut known = status["customers"].as_array().into_iter().flatten();
        let openid = known.find(|known| known["customer"] == self.customer.as_str()).map(|known| text(known, "openid"));
        self.tell(format!("{} logs in", self.customer));
        Ok((text(&session, "token"), openid.unwrap_or_default()))
    }

    /// An order, and what `wx.requestPayment` takes.
    async fn order(&mut self, amount: u32) -> Result<(String, Value), CliError> {
        let (token, openid) = self.log_in().await?;
        self.order_of(amount, &token, &openid).await
    }

    async fn order_of(&mut self, amount: u32, token: &str, openid: &str) -> Result<(String, Value), CliError> {
        let wanted =
            json!({ "appid": self.dev.appid, "openid": openid, "amount": amount, "description": "zhanggui trigger" });
        let order = text(&self.server("/v1/orders", Some(&wanted)).await?, "id");
        self.tell(format!("{order} is made: {}.{:02} yuan", amount / 100, amount % 100));
        let parameters = self.press_pay(&order, token).await?;
        Ok((order, parameters))
    }

    async fn press_pay(&mut self, order: &str, token: &str) -> Result<Value, CliError> {
        let url = format!("{}/v1/orders/{order}/pay", self.dev.server);
        let mut presses = 0;
        loop {
            presses += 1;
            match self.network.call(&url, Some(token), Some(&json!({}))).await {
                Ok(parameters) => return Ok(parameters),
                Err(error) if presses == PRESSES_MAX => return Err(error),
                Err(error) => self.tell(format!("{} presses pay again, because {error}", self.customer)),
            }
        }
    }

    async fn sheet(&mut self, parameters: &Value, choice: &str) -> Result<(), CliError> {
        let call = self.by_customer(json!({ "parameters": parameters, "choice": choice }));
        let said = self.control("wx/requestPayment", call).await?;
        self.tell(format!("the phone says {}", text(&said, "errMsg")));
        Ok(())
    }

    async fn payment(&mut self, amount: u32, choice: &str) -> Result<Value, CliError> {
        let (order, parameters) = self.order(amount).await?;
        self.sheet(&parameters, choice).await?;
        self.await_end(&order, choice == "pay").await
    }

    /// Closing is told to WeChat, but nobody hears whether it took it; and it did not.
    async fn late_payment(&mut self, amount: u32) -> Result<Value, CliError> {
        let (order, parameters) = self.order(amount).await?;
        self.arm(json!({ "path": CLOSING, "kind": "no_answer_before", "times": 2 })).await?;
        match self.server(&format!("/v1/orders/{order}/close"), Some(&json!({}))).await {
            Ok(closing) => self.tell(format!("the shop closes the order: {}", text(&closing, "state"))),
            Err(error) => self.tell(format!("the shop closes the order, and WeChat does not answer: {error}")),
        }
        self.sheet(&parameters, "pay").await?;
        self.await_end(&order, true).await
    }

    /// The second number is paid as usual. Money for the first one has to go back.
    async fn double_payment(&mut self, amount: u32) -> Result<Value, CliError> {
        let (token, openid) = self.log_in().await?;
        let (order, first) = self.order_of(amount, &token, &openid).await?;
        let sheet = self.control("wx/paymentSheet", self.by_customer(json!({ "parameters": first }))).await?;
        let number = json!({ "mchid": sheet["sheet"]["mchid"], "out_trade_no": sheet["sheet"]["out_trade_no"] });
        self.control("orders/close", number.clone()).await?;
        self.server(&format!("/v1/orders/{order}?refresh=true"), None).await?;
        self.tell(format!("WeChat closes {} by itself", text(&number, "out_trade_no")));
        let second = self.press_pay(&order, &token).await?;
        self.sheet(&second, "pay").await?;
        self.await_end(&order, true).await?;
        self.control("orders/pay", number.clone()).await?;
        self.tell("the first number is paid, too, on another phone".to_owned());
        for _ in 0..BACK_WITHIN {
            let ledger = self.network.call(&format!("{}ledger", self.dev.control), None, None).await?;
            let mut refunds = ledger["refunds"].as_array().into_iter().flatten();
            if let Some(refund) = refunds.find(|refund| refund["out_trade_no"] == number["out_trade_no"]) {
                self.tell(format!("the server gives {} fen of it back by itself", refund["refund_fen"]));
                return Ok(
                    json!({ "order": self.server(&format!("/v1/orders/{order}"), None).await?, "refund": refund }),
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(CliError::Usage(format!("the second money for {order} did not go back; look at `zhanggui attention`")))
    }

    async fn refund(&mut self, amount: u32) -> Result<Value, CliError> {
        let order = self.payment(amount, "pay").await?;
        let path = format!("/v1/orders/{}/refunds", text(&order, "id"));
        let refund = text(&self.server(&path, Some(&json!({ "reason": "zhanggui trigger" }))).await?, "id");
        self.tell(format!("{refund} is asked for"));
        for _ in 0..BACK_WITHIN {
            let now = self.server(&format!("/v1/refunds/{refund}"), None).await?;
            if now["state"] == "succeeded" {
                self.tell("the money is back".to_owned());
                return Ok(now);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let now = self.server(&format!("/v1/refunds/{refund}"), None).await?;
        self.tell(format!("the refund is {}", text(&now, "state")));
        Ok(now)
    }

    /// Waits for the server to hear of it; after a while it is asked, as the mini program asks.
    async fn await_end(&mut self, order: &str, paid: bool) -> Result<Value, CliError> {
        for _ in 0..HEARS_WITHIN {
            let now = self.server(&format!("/v1/orders/{order}"), None).await?;
            if !paid || now["state"] == "paid" {
                self.tell(format!("the order is {}", text(&now, "state")));
                return Ok(now);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let asked = self.server(&format!("/v1/orders/{order}?refresh=true"), None).await?;
        self.tell(format!("no notification came; asked, the server says that the order is {}", text(&asked, "state")));
        Ok(asked)
    }

    async fn message(&mut self, content: &str) -> Result<Value, CliError> {
        self.control("chat/enter", self.by_customer(json!({ "session_from": "zhanggui trigger" }))).await?;
        self.tell(format!("{} presses the contact button", self.customer));
        let sent = self.control("chat/text", self.by_customer(json!({ "content": content }))).await?;
        self.tell(format!("{} writes: {content}", self.customer));
        self.await_strike().await?;
        Ok(sent)
    }

    /// WeChat pushes a moment after the customer wrote. Until then the faults of a push are needed.
    async fn await_strike(&self) -> Result<(), CliError> {
        let of_push = |fault: &&Value| fault["path"] == "push";
        for _ in 0..HEARS_WITHIN {
            let waiting = self.network.call(&format!("{}faults", self.dev.control), None, None).await?;
            let waits = |fault: &Value| {
                let mut waiting = waiting["faults"].as_array().into_iter().flatten();
                waiting.any(|known| known["path"] == fault["path"] && known["kind"] == fault["kind"])
            };
            if !self.armed.iter().filter(of_push).any(waits) {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}
