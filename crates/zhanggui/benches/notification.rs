//! How many payment notifications a second the server answers, each durable before it is answered, against the
//! commits that the same disk takes one by one.
//!
//! `cargo bench -p zhanggui --bench notification`. SQLite with synchronous=FULL in the target directory; server,
//! clients and the simulated WeChat share the machine. A notification that is not answered SUCCESS is a failure.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run has failed")]

mod load;

use std::{path::Path, process::ExitCode, sync::Arc};

use load::{
    CLIENTS, Run, post_all, raw_commits_per_s,
    shop::{Notifications, letters, prepare_payments, rows, start},
};
use weixin::pay::v2::notification::REPLY_SUCCESS;
use weixin_simulator::{Options, Simulator};
use zhanggui::clock::system_clock;

const NOTIFICATIONS: usize = 5_000;

fn main() -> ExitCode {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let raw_before = raw_commits_per_s(directory.path(), "raw-before.db");
    let (distinct, copies, stored) = runtime.block_on(measure(directory.path()));
    let raw_after = raw_commits_per_s(directory.path(), "raw-after.db");
    let raw = (raw_before + raw_after) / 2;

    println!("{NOTIFICATIONS} orders, {CLIENTS} clients, SQLite WAL synchronous=FULL, {}", directory.path().display());
    println!();
    println!("{:<44} {:>10} {:>9} {:>9} {:>7}", "", "per second", "p50 ms", "p99 ms", "ratio");
    let per_cent = |rate: u64| format!("{:>5}.{:02}", rate / raw, rate * 100 / raw % 100);
    println!("{:<44} {raw:>10} {:>9} {:>9} {:>7}", "one-row commits, one after the other", "-", "-", "1.00");
    for (name, run) in
        [("distinct notifications, durable and answered", &distinct), ("copies of one notification", &copies)]
    {
        let (p50, p99) = (run.percentile(50), run.percentile(99));
        println!("{name:<44} {:>10} {p50:>9} {p99:>9} {:>7}", run.per_s(), per_cent(run.per_s()));
    }
    println!();
    println!(
        "ratio: against the one-row commits of the same disk in the same run ({raw_before} before, {raw_after} after)"
    );
    let refused = distinct.refused + copies.refused;
    if refused > 0 || stored != NOTIFICATIONS as i64 {
        println!("FAILED: {refused} were not answered SUCCESS, {stored} of {NOTIFICATIONS} are stored");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Prepares the orders through the API, then measures. Gives the number of notifications in the database, too.
async fn measure(directory: &Path) -> (Run, Run, i64) {
    let wechat = Simulator::start(Options::for_tests(1, system_clock())).await.unwrap();
    let (app, server) = start(directory, &wechat.base_url(), Notifications::Confirmed).await;
    let address = server.address();
    prepare_payments(&app, &wechat, address, NOTIFICATIONS).await;

    let letters: Arc<Vec<_>> = Arc::new(letters(&app, &wechat).await.into_iter().map(|(_, letter)| letter).collect());
    assert_eq!(letters.len(), NOTIFICATIONS);
    let copies = Arc::new(vec![letters[0].clone(); NOTIFICATIONS]);
    let distinct = post_all(address, letters, is_success).await;
    let copies = post_all(address, copies, is_success).await;
    let stored = rows(&app, "SELECT COUNT(*) AS n FROM evidence WHERE source = 'notification'").await;
    server.stop().await;
    (distinct, copies, stored[0].int("n").unwrap())
}

fn is_success(answer: &str) -> bool {
    answer == REPLY_SUCCESS
}
