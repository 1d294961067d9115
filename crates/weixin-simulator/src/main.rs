//! The simulator as a program of its own; `zhanggui sim` does the same.

use clap::Parser as _;

#[derive(clap::Parser)]
#[command(
    name = "weixin-simulator",
    version,
    about = "Plays WeChat on this machine: log-in, payments and customer service of mini programs"
)]
struct Arguments {
    #[command(flatten)]
    sim: weixin_simulator::SimArgs,
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime could not start: {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    match runtime.block_on(weixin_simulator::run(arguments.sim)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
            let causes: String = causes.map(|cause| format!(": {cause}")).collect();
            eprintln!("error: {error}{causes}");
            std::process::ExitCode::FAILURE
        }
    }
}
