//! Reads a scenario out of TOML. Every error names its line and its field.

use jiff::Timestamp;
use serde::Deserialize;
use toml::Spanned;
use weixin::{Fen, MchId};

use super::{Action, Scenario, ScenarioError, Step, Trigger, action::WhichOrder};
use crate::{Fault, Forger, RefundEnding, fault, world::SwitchChange};

/// How many steps a story can have.
const STEPS_MAX: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: String,
    seed: Option<u64>,
    start: Option<Timestamp>,
    #[serde(default)]
    step: Vec<Spanned<StepTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepTable {
    name: Option<Spanned<String>>,
    // When; at the beginning without any of them.
    at_s: Option<u32>,
    after_call: Option<Spanned<AfterCall>>,
    after_step: Option<Spanned<AfterStep>>,
    // What; exactly one of them.
    fault: Option<Spanned<Fault>>,
    clear_faults: Option<Yes>,
    pay: Option<OrderTable>,
    message: Option<Message>,
    advance_s: Option<i64>,
    jump_to: Option<Timestamp>,
    outage_s: Option<u32>,
    end_outage: Option<Yes>,
    set: Option<Spanned<SwitchChange>>,
    balance: Option<Balance>,
    end_refund: Option<EndRefund>,
    refund_at_platform: Option<RefundAtPlatform>,
    forge: Option<Forge>,
}

/// `true`.
#[derive(Deserialize)]
#[serde(try_from = "bool")]
struct Yes;

impl TryFrom<bool> for Yes {
    type Error = &'static str;
    fn try_from(yes: bool) -> Result<Self, Self::Error> {
        if yes { Ok(Self) } else { Err("must be true, or be left out") }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AfterCall {
    path: String,
    #[serde(default = "once")]
    count: u32,
    about: Option<String>,
    #[serde(default)]
    wait_s: u32,
}

const fn once() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AfterStep {
    step: String,
    #[serde(default)]
    wait_s: u32,
}

/// Which order; `latest` is as good as nothing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderTable {
    order: Option<String>,
    customer: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    customer: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Balance {
    mchid: Option<MchId>,
    /// Without it there is no limit.
    balance_fen: Option<Fen>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndRefund {
    refund: Option<String>,
    ending: RefundEnding,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundAtPlatform {
    order: Option<String>,
    refund_fen: Fen,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forge {
    order: Option<String>,
    #[serde(default)]
    forger: Forger,
}

pub(super) fn read(text: &str) -> Result<Scenario, ScenarioError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        ScenarioError { line: line(text, offset), field: field(text, offset), reason: error.message().to_owned() }
    })?;
    let File { title, seed, start, step: tables } = file;
    if tables.len() > STEPS_MAX {
        let reason = format!("there must be at most {STEPS_MAX} steps");
        return Err(ScenarioError {
            line: line(text, tables[STEPS_MAX].span().start),
            field: "step".to_owned(),
            reason,
        });
    }
    let mut steps: Vec<Step> = Vec::new();
    for table in tables {
        let step = read_step(text, &steps, table)?;
        steps.push(step);
    }
    Ok(Scenario { title, seed, start, steps })
}

fn read_step(text: &str, earlier: &[Step], table: Spanned<StepTable>) -> Result<Step, ScenarioError> {
    let number = earlier.len() + 1;
    let start = table.span().start;
    let table = table.into_inner();
    let wrong = |offset: usize, name: &str, reason: String| {
        Err(ScenarioError { line: line(text, offset), field: format!("step {number}{name}"), reason })
    };
    if let Some(name) = &table.name
        && earlier.iter().any(|step| step.name.as_deref() == Some(name.as_ref()))
    {
        return wrong(name.span().start, ", name", "another step has this name".to_owned());
    }
    if let Some(fault) = &table.fault
        && let Err(sentence) = fault::check(fault.as_ref())
    {
        return wrong(fault.span().start, ", fault", sentence);
    }
    if let Some(change) = &table.set
        && let Err(sentence) = change.as_ref().check()
    {
        return wrong(change.span().start, ", set", sentence.to_owned());
    }
    if let Some(after) = &table.after_call {
        if let Err(sentence) = fault::check_place(&after.as_ref().path) {
            return wrong(after.span().start, ", after_call", sentence);
        }
        if after.as_ref().count == 0 {
            return wrong(after.span().start, ", after_call", "count must be 1 or more".to_owned());
        }
    }
    let trigger = match trigger(&table, earlier) {
        Ok(trigger) => trigger,
        Err((offset, name, reason)) => return wrong(offset.unwrap_or(start), name, reason),
    };
    let name = table.name.as_ref().map(|name| name.as_ref().clone());
    match action(table) {
        Some(action) => Ok(Step { name, line: line(text, start), trigger, action }),
        None => wrong(start, "", format!("must do exactly one of {ACTIONS}")),
    }
}

type Wrong = (Option<usize>, &'static str, String);

fn trigger(table: &StepTable, earlier: &[Step]) -> Result<Trigger, Wrong> {
    match (&table.at_s, &table.after_call, &table.after_step) {
        (at_s, None, None) => Ok(Trigger::AtS(at_s.unwrap_or(0))),
        (None, Some(after), None) => {
            let AfterCall { path, count, about, wait_s } = after.as_ref();
            Ok(Trigger::AfterCall { path: path.clone(), count: *count, about: about.clone(), wait_s: *wait_s })
        }
        (None, None, Some(after)) => {
            let AfterStep { step, wait_s } = after.as_ref();
            let index = earlier.iter().position(|known| known.name.as_ref() == Some(step));
            let index = index.ok_or_else(|| {
                (Some(after.span().start), ", after_step", format!("no earlier step has the name {step:?}"))
            })?;
            Ok(Trigger::AfterStep { index, wait_s: *wait_s })
        }
        _ => Err((None, "", "must have at most one of at_s, after_call and after_step".to_owned())),
    }
}

const ACTIONS: &str = "fault, clear_faults, pay, message, advance_s, jump_to, outage_s, end_outage, set, balance, \
                       end_refund, refund_at_platform and forge";

/// The one action; nothing if there is none or more than one.
fn action(table: StepTable) -> Option<Action> {
    let order = |number: Option<String>, customer| WhichOrder {
        out_trade_no: number.filter(|number| number != "latest"),
        customer,
    };
    let mut actions = [
        table.fault.map(|fault| Action::Fault(fault.into_inner())),
        table.clear_faults.map(|Yes| Action::ClearFaults),
        table.pay.map(|table| Action::Pay(order(table.order, table.customer))),
        table.message.map(|Message { customer, text }| Action::Message { customer, text }),
        table.advance_s.map(Action::AdvanceS),
        table.jump_to.map(Action::JumpTo),
        table.outage_s.map(Action::OutageS),
        table.end_outage.map(|Yes| Action::EndOutage),
        table.set.map(|change| Action::Set(change.into_inner())),
        table.balance.map(|Balance { mchid, balance_fen }| Action::Balance { mchid, balance: balance_fen }),
        table.end_refund.map(|EndRefund { refund, ending }| Action::EndRefund {
            out_refund_no: refund.filter(|number| number != "latest"),
            ending,
        }),
        table
            .refund_at_platform
            .map(|table| Action::RefundAtPlatform { order: order(table.order, None), refund: table.refund_fen }),
        table.forge.map(|table| Action::Forge { order: order(table.order, None), forger: table.forger }),
    ]
    .into_iter()
    .flatten();
    let action = actions.next()?;
    if actions.next().is_none() { Some(action) } else { None }
}

fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The key on the line of the offset, after the number of the step in which it stands.
fn field(text: &str, offset: usize) -> String {
    let offset = offset.min(text.len());
    let line_start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let line_text = text[line_start..].lines().next().unwrap_or_default();
    let key = line_text.split_once('=').map_or(line_text, |(key, _)| key).trim();
    let step = text[..line_start].lines().chain([line_text]).filter(|line| line.trim() == "[[step]]").count();
    match (step, key) {
        (0, key) => key.to_owned(),
        (step, "" | "[[step]]") => format!("step {step}"),
        (step, key) => format!("step {step}, {key}"),
    }
}
