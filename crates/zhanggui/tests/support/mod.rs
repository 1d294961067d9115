//! What the tests of the whole server have in common: a [`World`] with WeChat, a server, a database and a clock, and
//! the actors in it. [`on_both_databases!`] makes one test for each database out of a function.
#![allow(unused_imports, reason = "each test binary uses another part")]

mod actors;
mod clock;
mod http;
mod letter;
mod letter_v3;
mod node;
pub(crate) mod postgres;
mod pusher;
mod receiver;
mod shop;
mod truth;
mod world;

pub(crate) use actors::{Attacker, Merchant, Phone};
pub(crate) use clock::{ManualClock, entropy_of};
pub(crate) use http::{Http, Reply};
pub(crate) use letter::{Letter, Told};
pub(crate) use letter_v3::{LetterV3, SealedLetter, Signer};
pub(crate) use node::Node;
pub(crate) use pusher::{NO_CUSTOMER, Pusher, message, text_message};
pub(crate) use receiver::{Behaviour, Receiver};
pub(crate) use shop::{DEMO, DEMO_PUSH, MASTER_KEY, OTHER, PushKeys, Shop, VECTORS};
pub(crate) use world::{Engine, World, figure, run, seed};

/// Makes `sqlite::name` and `postgres::name` out of each `async fn name(world: &mut World)`, and only the latter out of those
/// behind `on_postgres:`, for which one file is not enough. A function that is not listed is unused code, which the compiler
/// reports.
macro_rules! on_both_databases {
    ($($name:ident),* $(,)?) => {
        crate::support::on_both_databases!($($name,)* ; on_postgres:);
    };
    ($($name:ident,)* ; on_postgres: $($several:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = async |world: &mut crate::support::World| super::$name(world).await;
                crate::support::run(crate::support::Engine::Sqlite, test).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let test = async |world: &mut crate::support::World| super::$name(world).await;
                crate::support::run(crate::support::Engine::Postgres, test).await;
            })*
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $several() {
                let test = async |world: &mut crate::support::World| super::$several(world).await;
                crate::support::run(crate::support::Engine::Postgres, test).await;
            })*
        }
    };
}
pub(crate) use on_both_databases;
