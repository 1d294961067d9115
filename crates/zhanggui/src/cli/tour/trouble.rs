//! The bad days of the story: nobody tells the server, an answer is lost, a customer pays twice. The money is right at the
//! end of each.

use jiff::SignedDuration;
use serde_json::{Value, json};
use weixin::Fen;
use weixin_simulator::{Choice, Fault, FaultKind};

use super::{
    Report, Stage,
    stage::Customer,
    story::{Ending, expect, expect_answer, step},
};

/// Tells the story until a step without which it cannot go on has gone wrong.
pub(super) async fn tell(stage: &Stage, report: &mut Report) {
    let zhou = step!(report, stage, "Zhou comes to the shop", arrives(stage).await);
    step!(
        report,
        stage,
        "Zhou pays, the notification is lost and Zhou does not come back: the server asks by itself after five seconds",
        nobody_tells(stage, &zhou).await
    );
    let order = step!(
        report,
        stage,
        "WeChat takes an order and its answer is lost: the next press sends the same bytes, and it is one payment",
        answer_lost(stage, &zhou).await
    );
    step!(
        report,
        stage,
        "The shop gives a part of the money back; WeChat's answer is lost: the same number again, and it is one refund",
        refund_answer_lost(stage, &zhou, &order).await
    );
    step!(
        report,
        stage,
        "Zhou gives an order up: it is closed at WeChat first, then here",
        given_up(stage, &zhou).await
    );
    step!(
        report,
        stage,
        "WeChat calls a payment closed and lets Zhou pay it all the same, and the next one, too: one of the two goes back",
        paid_twice(stage, &zhou).await
    );
    step!(
        report,
        stage,
        "What WeChat has taken and given back is what the server believes, to the fen",
        books(stage).await
    );
}

async fn arrives(stage: &Stage) -> Ending<Customer> {
    let mut zhou = stage.customer("Zhou")?;
    let (_, answer) = zhou.log_in(stage).await?;
    expect_answer(&answer, 200)?;
    Ok((answer.text("customer").to_owned(), zhou))
}

async fn order(stage: &Stage, zhou: &Customer, sku: &str) -> Result<String, String> {
    let answer = zhou.order(stage, json!({ "items": [{ "sku": sku }] })).await?;
    expect_answer(&answer, 201)?;
    Ok(answer.text("id").to_owned())
}

/// Presses "pay": what the phone gets.
async fn press(stage: &Stage, zhou: &Customer, order: &str) -> Result<Value, String> {
    let answer = zhou.press_pay(stage, order).await?;
    expect_answer(&answer, 200)?;
    Ok(answer.body)
}

fn pay(zhou: &Customer, sheet: &Value) -> Result<(), String> {
    let message = zhou.request_payment(sheet, Choice::Pay);
    expect(message == "requestPayment:ok", || message.clone())
}

/// The order must be in this state.
async fn is(stage: &Stage, zhou: &Customer, order: &str, state: &str) -> Result<Value, String> {
    let answer = zhou.look(stage, order, "").await?;
    expect(answer.text("state") == state, || format!("{order} is {}", answer.text("state")))?;
    Ok(answer.body)
}

/// So many seconds later the server does what is due.
async fn later(stage: &Stage, seconds: i64) -> Result<(), String> {
    stage.simulator.advance(SignedDuration::from_secs(seconds)).map_err(|error| error.to_string())?;
    stage.work().await.map(drop)
}

async fn nobody_tells(stage: &Stage, zhou: &Customer) -> Ending<()> {
    let order = order(stage, zhou, "tea").await?;
    let sheet = press(stage, zhou, &order).await?;
    pay(zhou, &sheet)?;
    is(stage, zhou, &order, "open").await?;
    later(stage, 5).await?;
    is(stage, zhou, &order, "paid").await?;
    // The notification comes in the end, and changes nothing.
    stage.let_wechat_notify().await?;
    Ok((format!("{order} is paid, and nobody had told the server"), ()))
}

async fn answer_lost(stage: &Stage, zhou: &Customer) -> Ending<String> {
    let order = order(stage, zhou, "cake").await?;
    stage.simulator.inject(Fault::on("order", FaultKind::NoAnswerAfter));
    let answer = zhou.press_pay(stage, &order).await?;
    expect_answer(&answer, 503)?;
    let known = stage.ledger().payments.len();
    let sheet = press(stage, zhou, &order).await?;
    expect(stage.ledger().payments.len() == known, || "WeChat has two payments".to_owned())?;
    pay(zhou, &sheet)?;
    stage.let_wechat_notify().await?;
    is(stage, zhou, &order, "paid").await?;
    Ok((format!("{}, then the same payment was continued", answer.code()), order))
}

async fn refund_answer_lost(stage: &Stage, zhou: &Customer, order: &str) -> Ending<()> {
    stage.simulator.inject(Fault::on("refund", FaultKind::NoAnswerAfter));
    let body = json!({ "amount": 1000, "reason": "少了一叉子" });
    let answer = stage.till("POST", &format!("/v1/orders/{order}/refunds"), Some(body)).await?;
    expect_answer(&answer, 201)?;
    let refund = format!("/v1/refunds/{}", answer.text("id"));
    stage.work().await?;
    let seen = stage.till("GET", &refund, None).await?;
    expect(seen.text("state") == "submitting", || format!("state {}", seen.text("state")))?;
    // The pause before the next try is over; then the money arrives.
    later(stage, 1).await?;
    later(stage, 3).await?;
    stage.let_wechat_notify().await?;
    let seen = stage.till("GET", &refund, None).await?;
    expect(seen.text("state") == "succeeded", || format!("state {}", seen.text("state")))?;
    let order = is(stage, zhou, order, "paid").await?;
    expect(order["refunded"] == 1000, || format!("refunded {}", order["refunded"]))?;
    expect(stage.ledger().refunds.len() == 1, || "WeChat has two refunds".to_owned())?;
    Ok((format!("{} of {} went back, once", Fen::new(1000), Fen::new(3200)), ()))
}

async fn given_up(stage: &Stage, zhou: &Customer) -> Ending<()> {
    let order = order(stage, zhou, "coffee").await?;
    let sheet = press(stage, zhou, &order).await?;
    let answer = zhou.give_up(stage, &order).await?;
    expect_answer(&answer, 200)?;
    expect(answer.text("state") == "closed", || format!("state {}", answer.text("state")))?;
    let message = zhou.request_payment(&sheet, Choice::Pay);
    expect(message != "requestPayment:ok", || "the open payment sheet could still be paid".to_owned())?;
    Ok((format!("{order} is closed; the open payment sheet says {message}"), ()))
}

async fn paid_twice(stage: &Stage, zhou: &Customer) -> Ending<()> {
    let order = order(stage, zhou, "tea").await?;
    let first = press(stage, zhou, &order).await?;
    stage.simulator.inject(Fault::on("query", FaultKind::TradeState("CLOSED".to_owned())));
    zhou.look(stage, &order, "?refresh=true").await?;
    let second = press(stage, zhou, &order).await?;
    expect(first["package"] != second["package"], || "the same payment".to_owned())?;
    pay(zhou, &first)?;
    pay(zhou, &second)?;
    let refunds = stage.ledger().refunds.len();
    stage.let_wechat_notify().await?;
    later(stage, 3).await?;
    stage.let_wechat_notify().await?;
    is(stage, zhou, &order, "paid").await?;
    let given: i64 = stage.ledger().refunds.iter().skip(refunds).map(|refund| refund.refund_fen.get()).sum();
    let after = stage.ledger().refunds.len();
    expect(after == refunds + 1, || format!("{} refunds", after - refunds))?;
    Ok((format!("{order} is paid once; {} went back by itself", Fen::new(given)), ()))
}

async fn books(stage: &Stage) -> Ending<()> {
    let ledger = stage.ledger();
    let taken: i64 = ledger.paid().map(|payment| payment.total_fen.get()).sum();
    let gone = ledger.refunds.iter().filter(|refund| refund.state.as_str() == "SUCCESS");
    let given: i64 = gone.map(|refund| refund.refund_fen.get()).sum();
    let (ours_taken, ours_given) = stage.money().await.map_err(|error| error.to_string())?;
    expect((ours_taken, ours_given) == (taken, given), || {
        format!("server {ours_taken} taken {ours_given} given back, WeChat {taken} and {given}")
    })?;
    Ok((format!("{} taken, {} given back, on both sides", Fen::new(taken), Fen::new(given)), ()))
}
