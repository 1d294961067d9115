//! The story: what happens, and what must come out of it.

use serde_json::{Value, json};
use weixin::{
    ApiV2Key, AppId, Fen, MchId, NonceStr, OutTradeNo, TransactionId,
    pay::{
        TradeState, Transaction,
        v2::{SignType, notification},
        v3,
    },
};
use weixin_simulator::{Choice, DEMO_API_V2_KEY, DEMO_APPID, DEMO_MCHID, Exchange};

use super::{
    Report, Stage,
    stage::{Answer, Customer},
};

/// Notes how a step ended and goes on with what it gave; a story without it cannot go on.
macro_rules! step {
    ($report:expr, $stage:expr, $name:literal, $ending:expr) => {{
        let ending = $ending;
        let (told, value) = match ending {
            Ok((told, value)) => (Ok(told), Some(value)),
            Err(wrong) => (Err(wrong), None),
        };
        $report.step($stage, $name, told);
        match value {
            Some(value) => value,
            None => return,
        }
    }};
}

pub(super) use step;

/// What a step says and what the next ones need; or what is wrong.
pub(super) type Ending<T> = Result<(String, T), String>;

/// Tells the story until a step without which it cannot go on has gone wrong.
pub(super) async fn tell(stage: &Stage, report: &mut Report) {
    let (li, code) = step!(report, stage, "Li opens the mini program: js_code becomes a session", log_in(stage).await);
    step!(report, stage, "The same js_code a second time is refused", code_again(stage, &li, &code).await);
    let order = step!(report, stage, "Li orders two coffees; the price comes from the shop", order(stage, &li).await);
    step!(report, stage, "Li sends a price of their own: refused", own_price(stage, &li).await);
    let sheet = step!(
        report,
        stage,
        "Li presses pay: WeChat is asked for a prepay_id, the server signs for the phone",
        press(stage, &li, &order).await
    );
    step!(
        report,
        stage,
        "Li presses pay again: the same prepay_id, signed afresh, and WeChat is not asked",
        press_again(stage, &li, &order, &sheet).await
    );
    step!(
        report,
        stage,
        "Somebody changes the parameters: the phone's WeChat refuses them",
        changed_sheet(&li, &sheet)
    );
    step!(report, stage, "Li closes the payment sheet: nothing is lost", cancel(stage, &li, &order, &sheet).await);
    step!(
        report,
        stage,
        "Somebody forges a notification without the key: refused",
        forge(stage, &li, &order, &sheet).await
    );
    step!(report, stage, "Li pays; WeChat notifies; the order is paid", pay(stage, &li, &order, &sheet).await);
    step!(report, stage, "Li presses pay once more: the order is paid already", press_paid(stage, &li, &order).await);
    step!(
        report,
        stage,
        "A second order is paid, and the notification is lost: the customer's return heals it",
        lost(stage, &li).await
    );
    step!(report, stage, "WeChat's late notification of it changes nothing", late(stage).await);
    step!(report, stage, "Wang looks at Li's order: for Wang there is no such order", stranger(stage, &order).await);
    step!(report, stage, "The books of WeChat and of the server agree to the fen", books(stage).await);
}

pub(super) fn expect(condition: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(wrong()) }
}

pub(super) fn expect_answer(answer: &Answer, status: u16) -> Result<(), String> {
    expect(answer.status == status, || format!("expected {status}, got {}: {}", answer.status, answer.body))
}

async fn log_in(stage: &Stage) -> Ending<(Customer, String)> {
    let mut li = stage.customer("Li")?;
    let (code, answer) = li.log_in(stage).await?;
    expect_answer(&answer, 200)?;
    expect(!answer.body.to_string().contains("session_key"), || "the session_key left the server".to_owned())?;
    Ok((format!("session for {}; the session_key stays on the server", answer.text("customer")), (li, code)))
}

async fn code_again(stage: &Stage, li: &Customer, code: &str) -> Ending<()> {
    let answer = li.send_code(stage, code).await?;
    expect_answer(&answer, 400)?;
    expect(answer.code() == "js_code_used", || format!("code {}", answer.code()))?;
    Ok((format!("{}: {}", answer.code(), answer.text("detail")), ()))
}

async fn order(stage: &Stage, li: &Customer) -> Ending<String> {
    let answer = li.order(stage, json!({ "items": [{ "sku": "coffee", "quantity": 2 }] })).await?;
    expect_answer(&answer, 201)?;
    expect(answer.body["amount"] == 5600, || format!("amount {}", answer.body["amount"]))?;
    Ok((format!("{} for {}", answer.text("id"), Fen::new(5600)), answer.text("id").to_owned()))
}

async fn own_price(stage: &Stage, li: &Customer) -> Ending<()> {
    let answer = li.order(stage, json!({ "amount": 1, "description": "cheap coffee" })).await?;
    expect_answer(&answer, 403)?;
    Ok((format!("{}: {}", answer.code(), answer.text("detail")), ()))
}

async fn press(stage: &Stage, li: &Customer, order: &str) -> Ending<Value> {
    let answer = li.press_pay(stage, order).await?;
    expect_answer(&answer, 200)?;
    Ok((format!("for wx.requestPayment: {}", answer.body), answer.body))
}

async fn press_again(stage: &Stage, li: &Customer, order: &str, sheet: &Value) -> Ending<()> {
    let asked_before = orders_asked_for(stage);
    let answer = li.press_pay(stage, order).await?;
    expect_answer(&answer, 200)?;
    expect(answer.body["package"] == sheet["package"], || "another prepay_id".to_owned())?;
    expect(answer.body["nonceStr"] != sheet["nonceStr"], || "the same nonce".to_owned())?;
    expect(orders_asked_for(stage) == asked_before, || "WeChat was asked again".to_owned())?;
    Ok((answer.text("package").to_owned(), ()))
}

/// How often WeChat was asked for a `prepay_id`, in either version.
fn orders_asked_for(stage: &Stage) -> usize {
    let asks = |exchange: &&Exchange| ["/pay/unifiedorder", v3::jsapi::PATH].contains(&exchange.path.as_str());
    stage.wire_since(0).iter().filter(asks).count()
}

fn changed_sheet(li: &Customer, sheet: &Value) -> Ending<()> {
    let mut changed = sheet.clone();
    changed["timeStamp"] = "1".into();
    let message = li.request_payment(&changed, Choice::Pay);
    expect(message.contains("支付验证签名失败"), || message.clone())?;
    Ok((message, ()))
}

async fn cancel(stage: &Stage, li: &Customer, order: &str, sheet: &Value) -> Ending<()> {
    let message = li.request_payment(sheet, Choice::Cancel);
    let answer = li.look(stage, order, "?refresh=true").await?;
    expect_answer(&answer, 200)?;
    expect(answer.text("state") == "open", || format!("state {}", answer.text("state")))?;
    Ok((format!("{message}; WeChat says NOTPAY; the order stays open"), ()))
}

async fn forge(stage: &Stage, li: &Customer, order: &str, sheet: &Value) -> Ending<()> {
    let number = stage.ledger().payments.first().map(|payment| payment.out_trade_no.clone()).unwrap_or_default();
    let forged = forged_notification(li, &number).ok_or_else(|| format!("no payment for {sheet}"))?;
    let (status, xml) = stage.post_callback(DEMO_MCHID, forged).await?;
    expect(status != 200 && xml.contains("FAIL"), || format!("{status} {xml}"))?;
    let answer = li.look(stage, order, "").await?;
    expect(answer.text("state") == "open", || format!("state {}", answer.text("state")))?;
    Ok((format!("{status} {xml}"), ()))
}

/// All fields are right; only the key is not WeChat's and the merchant's.
fn forged_notification(li: &Customer, number: &str) -> Option<String> {
    let transaction = Transaction {
        appid: AppId::parse(DEMO_APPID).ok()?,
        mchid: MchId::parse(DEMO_MCHID).ok()?,
        out_trade_no: OutTradeNo::parse(number).ok()?,
        trade_state: TradeState::Success,
        transaction_id: TransactionId::parse("4200000000202601010000000000").ok(),
        openid: Some(li.openid().clone()),
        total: Some(Fen::new(5600)),
        payer_total: Some(Fen::new(5600)),
        currency: None,
        bank_type: Some("OTHERS".to_owned()),
        attach: None,
        success_time: Some(jiff::Timestamp::UNIX_EPOCH),
    };
    let guessed = ApiV2Key::parse(DEMO_API_V2_KEY.chars().rev().collect::<String>()).ok()?;
    let nonce_str = NonceStr::parse("forged").ok()?;
    Some(notification::write(&transaction, Some(SignType::HmacSha256), &nonce_str, &guessed).to_xml())
}

async fn pay(stage: &Stage, li: &Customer, order: &str, sheet: &Value) -> Ending<()> {
    let message = li.request_payment(sheet, Choice::Pay);
    expect(message == "requestPayment:ok", || message.clone())?;
    let before = li.look(stage, order, "").await?;
    expect(before.text("state") == "open", || "the phone's word was believed".to_owned())?;
    let sent = stage.let_wechat_notify().await?;
    expect(sent == 1, || format!("{sent} notifications"))?;
    let after = li.look(stage, order, "").await?;
    expect(after.text("state") == "paid", || format!("state {}", after.text("state")))?;
    Ok((format!("{order} is paid since {}", after.text("paid_at")), ()))
}

async fn press_paid(stage: &Stage, li: &Customer, order: &str) -> Ending<()> {
    let answer = li.press_pay(stage, order).await?;
    expect_answer(&answer, 409)?;
    expect(answer.code() == "order_paid", || answer.code().to_owned())?;
    Ok((answer.code().to_owned(), ()))
}

async fn lost(stage: &Stage, li: &Customer) -> Ending<()> {
    let answer = li.order(stage, json!({ "items": [{ "sku": "tea" }] })).await?;
    let order = answer.text("id").to_owned();
    let sheet = li.press_pay(stage, &order).await?;
    let message = li.request_payment(&sheet.body, Choice::Pay);
    expect(message == "requestPayment:ok", || message.clone())?;
    // Nothing is delivered here: the network has eaten it.
    let answer = li.look(stage, &order, "?refresh=true").await?;
    expect(answer.text("state") == "paid", || format!("state {}", answer.text("state")))?;
    Ok((format!("{order} is paid: the server asked WeChat when the customer came back"), ()))
}

async fn late(stage: &Stage) -> Ending<()> {
    let before = stage.paid_orders().await.map_err(|error| error.to_string())?;
    let sent = stage.let_wechat_notify().await?;
    expect(sent == 1, || format!("{sent} notifications"))?;
    let after = stage.paid_orders().await.map_err(|error| error.to_string())?;
    expect(before == after, || "the books changed".to_owned())?;
    Ok(("accepted, so WeChat does not come again".to_owned(), ()))
}

async fn stranger(stage: &Stage, order: &str) -> Ending<()> {
    let mut wang = stage.customer("Wang")?;
    wang.log_in(stage).await?;
    let answer = wang.look(stage, order, "").await?;
    expect_answer(&answer, 404)?;
    Ok((answer.code().to_owned(), ()))
}

async fn books(stage: &Stage) -> Ending<()> {
    let (orders, fen) = stage.paid_orders().await.map_err(|error| error.to_string())?;
    let ledger = stage.ledger();
    let wechat: i64 = ledger.paid().map(|payment| payment.total_fen.get()).sum();
    let count = ledger.paid().count() as i64;
    expect((orders, fen) == (count, wechat), || {
        format!("server {orders} orders {fen} fen, WeChat {count} payments {wechat} fen")
    })?;
    expect(orders == 2, || format!("{orders} paid orders"))?;
    Ok((format!("{orders} payments, {} on both sides", Fen::new(fen)), ()))
}
