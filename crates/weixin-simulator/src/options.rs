//! How a simulator is set up: address, seed, clock, strictness, and the apps and merchants of its world.

use std::{net::SocketAddr, path::PathBuf};

use weixin::{ApiV2Key, AppId, AppSecret, MchId};

use crate::clock::{Clock, system_clock};

/// The mini program of the demonstration.
pub const DEMO_APPID: &str = "wxfake000000000001";
/// Its AppSecret. Not a secret: it opens nothing but a simulator.
pub const DEMO_APP_SECRET: &str = "fakeAppSecret0000000000000000000";
/// The merchant of the demonstration.
pub const DEMO_MCHID: &str = "1600000001";
/// The merchant's key of API v2. Not a secret: it opens nothing but a simulator.
pub const DEMO_API_V2_KEY: &str = "fakeApiV2Key00000000000000000000";

/// How a simulator is set up.
#[derive(Clone)]
pub struct Options {
    /// Where to listen. Anything but a loopback address is refused; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Decides all random values.
    pub seed: u64,
    /// The time, before the simulator's own offset.
    pub clock: Clock,
    /// Who sends notifications.
    pub delivery: Delivery,
    /// The apps and merchants that exist from the start.
    pub world: Setup,
    /// Where the state outlives the process. Without it nothing is kept.
    pub state_file: Option<PathBuf>,
    /// Where WeChat's pages leave room.
    pub strictness: Strictness,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("seed", &self.seed)
            .field("delivery", &self.delivery)
            .field("world", &self.world)
            .field("state_file", &self.state_file)
            .field("strictness", &self.strictness)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// For tests: a free port, the demonstration's app and merchant, nothing sent unless the test says so.
    pub fn for_tests(seed: u64, clock: Clock) -> Self {
        Self { seed, clock, delivery: Delivery::OnDemand, ..Self::demo() }
    }

    /// For people: a free port, one fake app, one fake merchant, the machine's time, notifications sent when due.
    pub fn demo() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            seed: 1,
            clock: system_clock(),
            delivery: Delivery::Automatic,
            world: Setup::demo(),
            state_file: None,
            strictness: Strictness::default(),
        }
    }
}

/// Who sends notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A task of the simulator, as soon as they are due.
    Automatic,
    /// Nobody but `deliver_due`: the test decides.
    OnDemand,
}

/// Where WeChat's pages leave room, or where real behaviour gets in the way of a demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strictness {
    /// Refuse an `out_trade_no` of fewer than six characters or with `@`. The newest pages say 6 to 32, older ones
    /// have no minimum. On.
    pub new_out_trade_no: bool,
    /// Refuse to close an order in its first five minutes. The pages say "not before", but name no code. Off.
    pub close_after_five_minutes: bool,
    /// Answer 412 to a POST at `/cgi-bin` without `Content-Length`, as the real gateway does. On.
    pub content_length: bool,
}

impl Default for Strictness {
    fn default() -> Self {
        Self { new_out_trade_no: true, close_after_five_minutes: false, content_length: true }
    }
}

/// The apps and merchants that exist.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Mini programs.
    pub apps: Vec<AppSetup>,
    /// Merchants.
    pub merchants: Vec<MerchantSetup>,
}

impl Setup {
    /// One fake app that is bound to one fake merchant.
    pub fn demo() -> Self {
        Self { apps: vec![AppSetup::demo()], merchants: vec![MerchantSetup::demo()] }
    }
}

/// A mini program.
#[derive(Clone, Debug)]
pub struct AppSetup {
    /// Its number.
    pub appid: AppId,
    /// Its AppSecret.
    pub secret: AppSecret,
    /// The merchants to whom it is bound.
    pub merchants: Vec<MchId>,
    /// Its name, shown to people.
    pub name: String,
    /// The Open Platform account to which it is bound. Only then a log-in tells a `unionid`.
    pub open_platform: Option<String>,
}

impl AppSetup {
    /// The fake app of the demonstration.
    pub fn demo() -> Self {
        Self {
            appid: constant(AppId::parse(DEMO_APPID)),
            secret: constant(AppSecret::parse(DEMO_APP_SECRET)),
            merchants: vec![constant(MchId::parse(DEMO_MCHID))],
            name: "Demonstration shop".to_owned(),
            open_platform: None,
        }
    }
}

/// A merchant.
#[derive(Clone, Debug)]
pub struct MerchantSetup {
    /// Its number.
    pub mchid: MchId,
    /// Its key of API v2.
    pub api_v2_key: ApiV2Key,
    /// Its name, shown to people.
    pub name: String,
}

impl MerchantSetup {
    /// The fake merchant of the demonstration.
    pub fn demo() -> Self {
        Self {
            mchid: constant(MchId::parse(DEMO_MCHID)),
            api_v2_key: constant(ApiV2Key::parse(DEMO_API_V2_KEY)),
            name: "Demonstration merchant".to_owned(),
        }
    }
}

/// The constants above are well formed; a test holds them to it.
fn constant<T>(result: Result<T, weixin::FieldError>) -> T {
    result.unwrap_or_else(|error| unreachable!("a constant of the demonstration is malformed: {error}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_demonstration_is_well_formed() {
        let setup = super::Setup::demo();
        assert_eq!(setup.apps[0].merchants[0], setup.merchants[0].mchid);
    }
}
