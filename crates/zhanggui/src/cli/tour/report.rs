//! What the tour prints: the steps and the messages, for people or as one JSON object.

use anstream::{print, println};
use serde::Serialize;

use super::{CliError, Stage, stage::Message};

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Lines of one message that are shown; real ones have fewer.
const LINES_SHOWN: usize = 30;

/// Collects the steps and prints them as they end.
pub(super) struct Report {
    json: bool,
    short: bool,
    steps: Vec<Step>,
    sequence: u64,
}

#[derive(Serialize)]
struct Step {
    name: &'static str,
    ok: bool,
    result: String,
    wire: Vec<Message>,
}

impl Report {
    pub(super) fn new(json: bool, short: bool) -> Self {
        Self { json, short, steps: Vec::new(), sequence: 0 }
    }

    pub(super) fn begin(&self, stage: &Stage) {
        if !self.json {
            let (server, wechat) = (&stage.server_url, stage.simulator.base_url());
            println!("{BOLD}Zhanggui at {server}, WeChat at {wechat} (simulated). All keys are fake.{RESET}");
        }
    }

    /// A step has ended, well or not.
    pub(super) fn step(&mut self, stage: &Stage, name: &'static str, result: Result<String, String>) {
        // A call of the phone encloses what server and WeChat say to each other meanwhile.
        let mut wire = stage.take_told();
        let exchanges = stage.wire_since(self.sequence);
        self.sequence = exchanges.last().map_or(self.sequence, |exchange| exchange.sequence);
        wire.extend(exchanges.into_iter().map(Message::from));
        let ok = result.is_ok();
        let result = result.unwrap_or_else(|wrong| wrong);
        let step = Step { name, ok, result, wire };
        if !self.json {
            self.print(&step);
        }
        self.steps.push(step);
    }

    fn print(&self, step: &Step) {
        let (colour, mark) = if step.ok { (GREEN, "ok") } else { (RED, "WRONG") };
        println!("\n{BOLD}{:>2}. {}{RESET}", self.steps.len() + 1, step.name);
        if !self.short {
            step.wire.iter().for_each(print_message);
        }
        println!("    {colour}{mark}{RESET}  {}", step.result);
    }

    pub(super) fn end(self) -> Result<(), CliError> {
        let failed = self.steps.iter().filter(|step| !step.ok).count();
        let steps = self.steps.len();
        if self.json {
            let object = serde_json::json!({ "ok": failed == 0, "failed": failed, "steps": self.steps });
            println!("{object}");
        } else if failed == 0 {
            println!("\n{GREEN}All {steps} steps ended as they must.{RESET}");
        }
        if failed == 0 { Ok(()) } else { Err(CliError::Tour { failed, steps }) }
    }
}

fn print_message(message: &Message) {
    let Message { from, to, method, path, .. } = message;
    println!("    {DIM}{from} -> {to}{RESET}  {method} {path}");
    print_body(&message.request);
    let status = message.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    println!("    {DIM}{to} -> {from}{RESET}  {status}");
    print_body(&message.answer);
}

fn print_body(body: &str) {
    for line in body.lines().take(LINES_SHOWN) {
        print!("        {DIM}");
        println!("{line}{RESET}");
    }
}
