//! `zhanggui sim`: the simulated WeChat alone, and what a running one can be told.

use std::{path::PathBuf, time::Duration};

use weixin_simulator::{ScenarioReport, SimArgs, Simulator};

use super::{
    CliError,
    running_dev::{DevFolder, Loopback},
    serve::interruption,
};

/// Arguments of `zhanggui sim`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct SimCommand {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    sim: SimArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show or move the time of a running WeChat; the server of `zhanggui dev` lives in the same time
    Clock(ClockArgs),
    /// Play a scenario against a server, for tests of your own; exit code 0 only if every step happened
    Run(Box<RunArgs>),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// The scenario, see docs/simulator.md
    file: PathBuf,
    /// How long to wait for the steps, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    within_s: u64,
    #[command(flatten)]
    sim: SimArgs,
}

#[derive(Debug, clap::Args)]
struct ClockArgs {
    /// How far, such as +2h, +90s or +1d12h, or to when (2026-01-22T06:30:01Z). Without it the time is shown
    #[arg(allow_hyphen_values = true, value_parser = parse_move)]
    by: Option<Move>,
    #[command(flatten)]
    dev: DevFolder,
    /// The address of a WeChat that runs without `zhanggui dev`
    #[arg(long, value_name = "URL")]
    wechat: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// How the clock is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Move {
    Seconds(i64),
    To(jiff::Timestamp),
}

pub(super) async fn run(command: SimCommand) -> Result<(), CliError> {
    match command.action {
        None => weixin_simulator::run(command.sim).await.map_err(CliError::Sim),
        Some(Action::Clock(arguments)) => clock(&arguments).await,
        Some(Action::Run(arguments)) => play(*arguments).await,
    }
}

/// How often it is looked whether the story is at its end.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Plays a story until its end, its first failure, the end of the time, or Ctrl-C. The first line says where WeChat is.
async fn play(arguments: RunArgs) -> Result<(), CliError> {
    let mut sim = arguments.sim;
    sim.scenario = Some(arguments.file);
    let simulator = Simulator::start(sim.options().map_err(CliError::Sim)?).await?;
    match sim.json {
        true => anstream::println!("{}", serde_json::json!({ "base_url": simulator.base_url() })),
        false => anstream::println!("WeChat is played at {}", simulator.base_url()),
    }
    let mut looking = tokio::time::interval(LOOK_EVERY);
    let ends = async {
        while simulator.scenario().is_some_and(|report| !is_over(&report)) {
            looking.tick().await;
        }
    };
    tokio::select! {
        () = ends => {}
        () = tokio::time::sleep(Duration::from_secs(arguments.within_s)) => {}
        () = interruption() => {}
    }
    let report = simulator.scenario();
    simulator.shutdown().await;
    let Some(report) = report else { return Ok(()) };
    if sim.json {
        let told = serde_json::json!({ "ok": report.is_complete(), "title": report.title, "steps": report.steps });
        anstream::println!("{told}");
    } else {
        print(&report);
    }
    let steps = report.steps.len();
    let failed = report.steps.iter().filter(|step| step.done_at.is_none() || step.failure.is_some()).count();
    if failed == 0 { Ok(()) } else { Err(CliError::Scenario { failed, steps }) }
}

fn is_over(report: &ScenarioReport) -> bool {
    report.is_complete() || report.steps.iter().any(|step| step.failure.is_some())
}

fn print(report: &ScenarioReport) {
    anstream::println!("{}", report.title);
    for step in &report.steps {
        let name = step.name.clone().unwrap_or_else(|| format!("line {}", step.line));
        match (&step.failure, &step.done_at) {
            (Some(failure), _) => anstream::println!("  failed   {name}: {failure}"),
            (None, Some(done_at)) => anstream::println!("  done     {name}  {done_at}"),
            (None, None) => anstream::println!("  waiting  {name}"),
        }
    }
}

async fn clock(arguments: &ClockArgs) -> Result<(), CliError> {
    let wechat = match &arguments.wechat {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => arguments.dev.find()?.wechat,
    };
    let body = arguments.by.as_ref().map(|by| match by {
        Move::Seconds(seconds) => serde_json::json!({ "advance_s": seconds }),
        Move::To(time) => serde_json::json!({ "to": time }),
    });
    let clock = Loopback::new()?.call(&format!("{wechat}/_sim/clock"), None, body.as_ref()).await?;
    if arguments.json {
        anstream::println!("{clock}");
    } else {
        let now = clock["now"].as_str().unwrap_or_default();
        anstream::println!("{now}  ({} s ahead of this machine)", clock["offset_s"]);
    }
    Ok(())
}

/// Seconds in a unit. Days are 24 hours: China has no summer time.
const UNITS: [(char, i64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];

fn parse_move(text: &str) -> Result<Move, String> {
    if let Ok(time) = text.parse() {
        return Ok(Move::To(time));
    }
    let wrong = || "write +2h, -10m, +90s, +1d12h, or a time such as 2026-01-22T06:30:01Z".to_owned();
    let (sign, rest) = match text.split_at_checked(1).ok_or_else(wrong)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => (1, text),
    };
    let (mut seconds, mut digits) = (0_i64, String::new());
    for character in rest.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let (_, unit_s) = UNITS.iter().find(|(unit, _)| *unit == character).ok_or_else(wrong)?;
        let part = digits.parse::<i64>().ok().and_then(|number| number.checked_mul(*unit_s));
        seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(wrong)?;
        digits.clear();
    }
    if seconds == 0 || !digits.is_empty() {
        return Err(wrong());
    }
    Ok(Move::Seconds(sign * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_of_the_clock_are_read() {
        for (text, seconds) in [("+2h", 7_200), ("2h", 7_200), ("-10m", -600), ("+1d12h", 129_600), ("+1h30m5s", 5_405)]
        {
            assert_eq!(parse_move(text), Ok(Move::Seconds(seconds)), "{text}");
        }
        assert!(matches!(parse_move("2026-01-22T06:30:01Z"), Ok(Move::To(_))));
    }

    #[test]
    fn what_is_no_move_is_refused_with_examples() {
        for text in
            ["", "+", "h", "+2", "2x", "+0s", "+99999999999999999999h", "+9223372036854775807d", "tomorrow", "时"]
        {
            assert!(parse_move(text).is_err_and(|error| error.contains("+2h")), "{text}");
        }
    }
}
