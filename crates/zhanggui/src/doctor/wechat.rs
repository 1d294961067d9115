//! What can be found out only by asking WeChat. All questions only read.

use std::sync::Arc;

use jiff::SignedDuration;
use weixin::{
    AppId, OutTradeNo,
    pay::{
        v2::{
            ErrCode,
            order_query::{OrderQuery, Which},
        },
        v3::{Code, echo::Echo, query::QueryByOutTradeNo},
    },
};
use weixin_client::{
    CallError, CallErrorV3, MerchantKeyV2, MerchantV3, MiniProgramClient, PayV2Client, PayV3Client, Refreshed,
    Transport, TrustStore,
};

use super::{Check, Doctor, Report, refusal};
use crate::{
    clock::random,
    config::{App, Merchant},
    http::chain,
};

/// From here on a clock is worth a warning, in seconds: more than a slow answer explains.
const SKEW_WARNING_S: i64 = 30;

/// From here on a clock is a problem, in seconds; WeChat refuses from 300 on.
const SKEW_PROBLEM_S: i64 = 240;

/// The connections to WeChat.
pub(super) struct Line<'a> {
    doctor: &'a Doctor<'a>,
    transport: Transport,
    pay_v2: PayV2Client,
    pay_v3: PayV3Client,
    mini_program: MiniProgramClient,
}

impl<'a> Line<'a> {
    pub(super) fn new(doctor: &'a Doctor<'a>, transport: Transport) -> Self {
        let wechat = &doctor.config.wechat;
        Self {
            pay_v2: PayV2Client::new(transport.clone(), wechat.pay.clone()),
            pay_v3: PayV3Client::new(transport.clone(), wechat.pay.clone(), Arc::clone(&doctor.clock)),
            mini_program: MiniProgramClient::new(transport.clone(), wechat.mini_program.clone()),
            transport,
            doctor,
        }
    }

    /// Compares the clocks. Whether WeChat Pay can be reached at all: else everything that follows would say the same.
    pub(super) async fn clock(&self, report: &mut Report) -> bool {
        const NAME: &str = "clock";
        let before = self.doctor.now();
        let (check, reached) = match self.transport.time_of(&self.doctor.config.wechat.pay).await {
            Err(error) => {
                let words = refusal::v3(&CallErrorV3::NoAnswer(error));
                (Check::problem("connection", "", words.text).fix(words.fix), false)
            }
            Ok(None) => (Check::warning(NAME, "", "WeChat's answer has no Date, so the clock is not compared"), true),
            Ok(Some(theirs)) => {
                // Their time was told between the two moments; it has no fractions of a second.
                let after = self.doctor.now();
                let early_s = (theirs.as_second() - after.as_second()).max(0);
                let late_s = (before.as_second() - theirs.as_second() - 1).max(0);
                let skew_s = early_s.max(late_s);
                let direction = if early_s > 0 { "slow" } else { "fast" };
                let text = format!("the clock is {skew_s} s {direction}, compared with WeChat's");
                let check = match skew_s {
                    SKEW_PROBLEM_S.. => {
                        Check::problem(NAME, "", format!("{text}; from 300 s on everything is refused"))
                    }
                    skew_s if skew_s > SKEW_WARNING_S => Check::warning(NAME, "", text),
                    _ => Check::ok(NAME, "", "agrees with WeChat's"),
                };
                let fix = skew_s > SKEW_WARNING_S;
                (if fix { check.fix("set the clock of this machine with NTP") } else { check }, true)
            }
        };
        report.add(check);
        reached
    }

    /// Trusted keys, then an echo, then a question about nothing.
    pub(super) async fn merchant_v3(&self, report: &mut Report, merchant: &Merchant) {
        let Some(v3) = &merchant.v3 else { return };
        let mchid = merchant.mchid.as_str();
        let keys = MerchantV3 {
            credential: Arc::clone(&v3.credential),
            api_v3_key: v3.api_v3_key.clone(),
            trust: Arc::new(TrustStore::new(v3.public_key.clone())),
        };
        const TRUST: &str = "v3 trusted keys";
        match self.pay_v3.refresh(&keys, SignedDuration::ZERO).await {
            Ok(Refreshed::Replaced { certificates }) => {
                let text = format!("{certificates} platform certificate(s) downloaded and opened with the APIv3 key");
                report.add(Check::ok(TRUST, mchid, text));
            }
            Ok(Refreshed::NoCertificates | Refreshed::Fresh) => {
                let text = "the public key; there are no platform certificates, which is normal";
                report.add(Check::ok(TRUST, mchid, text));
            }
            Err(error) => {
                let words = refusal::v3(&error);
                report.add(Check::problem(TRUST, mchid, words.text).fix(words.fix));
                // The same keys would get the same answer.
                return;
            }
        }
        // The echo needs a key by its name in the request, which only a public key has here.
        if keys.trust.answer_key().is_some() {
            match self.echo(&keys).await {
                Ok(check) => return report.add(check),
                Err(CallErrorV3::Refused { status: 404 | 405, .. }) => {}
                Err(error) => {
                    let words = refusal::v3(&error);
                    return report.add(Check::problem(V3, mchid, words.text).fix(words.fix));
                }
            }
        }
        report.add(self.query_v3(&keys).await);
    }

    /// Says something and hears it back: first openly, which proves the signatures, then sealed.
    async fn echo(&self, keys: &MerchantV3) -> Result<Check, CallErrorV3> {
        let mchid = keys.credential.mchid.as_str();
        let word = hex::encode(random::<16>(&self.doctor.entropy));
        let open = Echo { echo_message: word.clone(), encrypted_echo_message: None };
        let answered = self.pay_v3.call(keys, self.doctor.nonce(), &open).await?;
        if answered.echo_message != word {
            let text = "WeChat's echo is not what was said";
            return Ok(Check::problem(V3, mchid, text).fix("something between here and WeChat answers in its place"));
        }
        let trusted = keys.trust.current();
        let key = keys.trust.answer_key().and_then(|id| trusted.get(&id).cloned());
        let Some(sealed) = key.and_then(|key| key.encrypt(word.as_bytes()).ok()) else {
            return Ok(Check::ok(V3, mchid, "WeChat takes our signature, and we verify its answer"));
        };
        let echo = Echo { encrypted_echo_message: Some(sealed), ..open };
        let answered = self.pay_v3.call(keys, self.doctor.nonce(), &echo).await?;
        let opened = answered.encrypted_echo_message.as_ref().map(|sealed| keys.credential.key.decrypt(sealed));
        if opened.is_some_and(|opened| opened.is_ok_and(|plain| plain == word.as_bytes())) {
            let text = "WeChat takes our signature, we verify its answer, and sealed fields go both ways";
            return Ok(Check::ok(V3, mchid, text));
        }
        let text = "what WeChat seals for the merchant cannot be opened with the private key";
        Ok(Check::problem(V3, mchid, text).fix("use private key and certificate of one application"))
    }

    /// Asks for a payment that cannot exist. "No such order" proves number, serial number, key and clock.
    async fn query_v3(&self, keys: &MerchantV3) -> Check {
        let mchid = &keys.credential.mchid;
        let call = QueryByOutTradeNo { mchid: mchid.clone(), out_trade_no: self.nowhere() };
        match self.pay_v3.call(keys, self.doctor.nonce(), &call).await {
            Err(CallErrorV3::Refused { status: 404, error: Some(body), .. }) if body.code == Code::OrderNotExist => {
                Check::ok(V3, mchid.as_str(), "WeChat takes our signature (asked for a payment that does not exist)")
            }
            Ok(_) => Check::ok(V3, mchid.as_str(), "WeChat takes our signature, and we verify its answer"),
            Err(error) => {
                let words = refusal::v3(&error);
                Check::problem(V3, mchid.as_str(), words.text).fix(words.fix)
            }
        }
    }

    /// Asks for a payment that cannot exist. "No such order" is signed, so it proves the key in both directions.
    pub(super) async fn merchant_v2(&self, report: &mut Report, merchant: &Merchant) {
        const NAME: &str = "v2";
        let Some(v2) = &merchant.v2 else { return };
        let Some(appid) = self.app_of(merchant) else { return };
        let mchid = &merchant.mchid;
        let key = MerchantKeyV2 { mchid: mchid.clone(), key: v2.key.clone(), sign_type: v2.sign_type };
        let call = OrderQuery { appid, mchid: mchid.clone(), which: Which::OutTradeNo(self.nowhere()) };
        let good = "WeChat takes our signature, and we verify its answer";
        report.add(match self.pay_v2.call(&key, &self.doctor.nonce(), &call).await {
            Ok(_) => Check::ok(NAME, mchid.as_str(), good),
            Err(CallError::Rejected(rejection)) if rejection.err_code == ErrCode::Ordernotexist => {
                Check::ok(NAME, mchid.as_str(), good)
            }
            Err(error) => {
                let words = refusal::v2(&error);
                Check::problem(NAME, mchid.as_str(), words.text).fix(words.fix)
            }
        });
    }

    /// Asks for the access token in normal mode: everybody's token stays good.
    pub(super) async fn app(&self, report: &mut Report, app: &App) {
        const NAME: &str = "app";
        let appid = app.appid.as_str();
        report.add(match self.mini_program.stable_token(&app.appid, &app.secret).await {
            Ok(_) => Check::ok(NAME, appid, "WeChat takes appid and secret"),
            Err(error) => {
                let words = refusal::access_token(&error);
                tracing::debug!(wechat.appid = appid, error.cause = chain(&error), "no access token");
                Check::problem(NAME, appid, words.text).fix(words.fix)
            }
        });
    }

    fn app_of(&self, merchant: &Merchant) -> Option<AppId> {
        let mut apps = self.doctor.config.apps.iter();
        apps.find(|app| app.mchid == merchant.mchid).map(|app| app.appid.clone())
    }

    /// A number that nobody has used.
    fn nowhere(&self) -> OutTradeNo {
        let digits = hex::encode(random::<12>(&self.doctor.entropy));
        // Letters and digits, 30 of them.
        OutTradeNo::parse(format!("doctor{digits}")).expect("a well-formed number")
    }
}

const V3: &str = "v3";
