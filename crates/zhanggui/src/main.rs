//! The command `zhanggui`.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    zhanggui::cli::run().await
}
