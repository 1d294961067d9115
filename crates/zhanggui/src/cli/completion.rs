//! `zhanggui completion SHELL`: prints the script with which a shell completes commands and options.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_complete::Shell;

/// Arguments of `zhanggui completion`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionArgs {
    /// For which shell; for bash, put `source <(zhanggui completion bash)` into ~/.bashrc
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionArgs) {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut super::Arguments::command(), "zhanggui", &mut script);
    // Whoever stops reading has read enough.
    let _ = std::io::stdout().write_all(&script);
}
