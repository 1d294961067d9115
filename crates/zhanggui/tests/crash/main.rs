//! A real `zhanggui serve` that is killed, at every named point and at random, while customers pay and ask and the merchant
//! gives money back and answers. It is started again, everybody repeats what got no answer, and WeChat's own books are the judge: nothing
//! is lost, and nothing happens twice.
//!
//! `ZHANGGUI_TEST_CRASH_PAYMENTS=2000 ZHANGGUI_TEST_CRASH_KILLS=200` is the full figure, `ZHANGGUI_TEST_CRASH_POINT=refund`
//! chooses points by a part of their names, `ZHANGGUI_TEST_SEED` replays the stories and the moments.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]
#![allow(dead_code, unused_macros, reason = "the other test binaries use the rest of the support")]

mod judge;
mod server;
mod stage;
mod story;
#[path = "../support/mod.rs"]
mod support;

use std::{
    os::unix::process::ExitStatusExt as _,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{sync::Semaphore, task::JoinSet};
use zhanggui::{config::Api, crash::Point};

use server::Versions;
use stage::Stage;
use story::{Story, Told};
use support::{figure, seed};

/// So many shops live through a named point at the same time: they mostly wait.
const SHOPS_AT_ONCE: usize = 12;

/// So many times a process dies at its point if it comes there again.
const DEATHS: usize = 2;

/// So many stories go on at the same time under random kills.
const STORIES_AT_ONCE: usize = 16;

/// The longest that a shop with one death may take until everything is quiet, in real time.
const POINT_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_at_any_named_point_loses_nothing_and_does_nothing_twice() {
    let seed = seed();
    println!("seed {seed}; ZHANGGUI_TEST_SEED={seed} replays it");
    let places = Arc::new(Semaphore::new(SHOPS_AT_ONCE));
    let mut shops = JoinSet::new();
    let points = chosen_points();
    for (number, point) in points.iter().copied() {
        let (places, seed) = (Arc::clone(&places), seed + number as u64);
        shops.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            die_at(point, version_of(point, seed), seed).await;
        });
    }
    let mut reached = 0;
    while let Some(ended) = shops.join_next().await {
        if let Err(failed) = ended {
            std::panic::resume_unwind(failed.into_panic());
        }
        reached += 1;
    }
    println!("{reached} of {} points were reached, each by a process that died there", points.len());
}

/// All of them, numbered, or those in whose name the text of the environment stands.
#[expect(clippy::disallowed_methods, reason = "a run of one point is asked for in the environment")]
fn chosen_points() -> Vec<(usize, Point)> {
    let wanted = std::env::var("ZHANGGUI_TEST_CRASH_POINT").unwrap_or_default();
    Point::ALL.iter().copied().enumerate().filter(|(_, point)| point.name().contains(&wanted)).collect()
}

/// The version in which a point exists; where both have it, the seed decides.
fn version_of(point: Point, seed: u64) -> Api {
    match point {
        Point::PaymentConfirmBeforeCall
        | Point::PaymentConfirmSettled
        | Point::RefundHintDurable
        | Point::RefundConfirmBeforeCall => Api::V2,
        Point::RefundNotificationDurable => Api::V3,
        _ if seed.is_multiple_of(2) => Api::V3,
        _ => Api::V2,
    }
}

async fn die_at(point: Point, api: Api, seed: u64) {
    let stage = Stage::start(seed, Versions::Always(api), Some((point, DEATHS))).await;
    let lived = async {
        let told = live(&stage, Story::ALL.to_vec()).await;
        stage.quiet().await;
        told
    };
    let Ok(told) = tokio::time::timeout(POINT_WITHIN, lived).await else {
        panic!("{} with {}: not quiet in time\n{}", point.name(), api.as_str(), stage.report().await);
    };
    let deaths = stage.server.deaths();
    assert!(!deaths.is_empty(), "{} was not reached with {}\n{}", point.name(), api.as_str(), stage.server.log());
    assert!(deaths.iter().all(|death| death.signal() == Some(6)), "{}: {}", point.name(), stage.server.log());
    assert_eq!(stage.server.logged(&format!("crash at {}", point.name())), deaths.len(), "it died elsewhere");
    let verdict = judge::judge(stage, told).await;
    println!("{} with {}, deaths: {}: {verdict}", point.name(), api.as_str(), deaths.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_again_and_again_under_load_loses_nothing_and_does_nothing_twice() {
    let (seed, payments, kills) =
        (seed(), figure("ZHANGGUI_TEST_CRASH_PAYMENTS", 60), figure("ZHANGGUI_TEST_CRASH_KILLS", 8));
    println!("seed {seed}; ZHANGGUI_TEST_SEED={seed} replays it; {payments} payments, {kills} kills");
    let stage = Stage::start(seed, Versions::TakingTurns, None).await;
    stage.trouble();
    let stories = (0..payments).map(|_| Story::drawn(&stage.luck)).collect();
    let within = Duration::from_secs(180 + payments as u64);
    let lived = async {
        let (told, ()) = tokio::join!(live(&stage, stories), kill(&stage, payments, kills));
        stage.sim.clear_faults();
        stage.quiet().await;
        told
    };
    let Ok(told) = tokio::time::timeout(within, lived).await else {
        panic!("not quiet in time\n{}", stage.report().await);
    };
    let deaths = stage.server.deaths();
    assert!(deaths.iter().all(|death| death.signal() == Some(9)), "{deaths:?}\n{}", stage.server.log());
    assert_eq!(deaths.len(), kills);
    println!("{payments} payments, {kills} kills: {}", judge::judge(stage, told).await);
}

/// Lets the stories happen, a few at the same time.
async fn live(stage: &Arc<Stage>, stories: Vec<Story>) -> Vec<Told> {
    let places = Arc::new(Semaphore::new(STORIES_AT_ONCE));
    let (mut living, mut told) = (JoinSet::new(), Vec::new());
    for (number, story) in stories.into_iter().enumerate() {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        // A story that fails ends the test at once.
        while let Some(ended) = living.try_join_next() {
            told.push(ended.unwrap());
        }
        stage.begun.store(number + 1, Ordering::Relaxed);
        let stage = Arc::clone(stage);
        living.spawn(async move {
            let told = story.happen(&stage, number).await;
            drop(place);
            told
        });
    }
    while let Some(ended) = living.join_next().await {
        told.push(ended.unwrap());
    }
    told
}

/// Kills the process at random moments that are spread over the stories, also while it starts.
async fn kill(stage: &Stage, stories: usize, kills: usize) {
    for number in 0..kills {
        while stage.begun.load(Ordering::Relaxed) < number * stories / kills {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(stage.luck.below(600))).await;
        stage.server.kill().await;
    }
}
