//! The client against a WeChat that remembers: what counts is what its books say in the end.

use std::{net::IpAddr, time::Duration};

use jiff::SignedDuration;
use weixin::{
    ApiV2Key, AppSecret, Body, Fen, MchId, NonceStr, NotifyUrl, OrderAmount, OutTradeNo,
    mini_program::ErrCode as Errcode,
    pay::{
        TradeState,
        v2::{
            Call as _, ErrCode, SignType,
            close_order::CloseOrder,
            order_query::{OrderQuery, Which},
            request_payment::RequestPayment,
            unified_order::{UnifiedOrder, UnifiedOrderAnswer},
        },
    },
};
use weixin_client::{
    AccessTokenKeeper, Answered, ApiError, AppCredential, CallError, Hosts, MemoryTokenStore, MerchantKeyV2,
    MiniProgramClient, NotAuthentic, PayV2Client, Transport, TransportOptions, Unreadable,
};
use weixin_simulator::{
    Choice, DEMO_API_V2_KEY, DEMO_APP_SECRET, DEMO_MCHID, Fault, FaultKind, Options, Phone, Simulator,
};

use crate::fixture::{TestClock, transport};

const UNIFIED_ORDER: &str = UnifiedOrder::PATH;

/// A shop: one merchant, one customer, and WeChat with both hosts at one address.
struct Shop {
    sim: Simulator,
    clock: TestClock,
    phone: Phone,
    merchant: MerchantKeyV2,
    pay: PayV2Client,
}

impl Shop {
    async fn open() -> Self {
        Self::open_with(transport()).await
    }

    async fn open_with(transport: Transport) -> Self {
        let clock = TestClock::new();
        let sim = Simulator::start(Options::for_tests(1, clock.clock())).await.unwrap();
        let phone = sim.phone(&sim.demo_appid(), "li").unwrap();
        let merchant = MerchantKeyV2 {
            mchid: MchId::parse(DEMO_MCHID).unwrap(),
            key: ApiV2Key::parse(DEMO_API_V2_KEY).unwrap(),
            sign_type: SignType::HmacSha256,
        };
        let pay = PayV2Client::new(transport, hosts(&sim));
        Self { sim, clock, phone, merchant, pay }
    }

    fn order(&self, number: &str) -> UnifiedOrder {
        UnifiedOrder {
            appid: self.sim.demo_appid(),
            mchid: self.merchant.mchid.clone(),
            out_trade_no: OutTradeNo::parse(number).unwrap(),
            body: Body::parse("茶叶").unwrap(),
            attach: None,
            total: OrderAmount::new(Fen::new(1280)).unwrap(),
            openid: self.phone.openid().clone(),
            client_ip: IpAddr::from([127, 0, 0, 1]),
            time_start: None,
            time_expire: None,
            notify_url: NotifyUrl::parse("http://127.0.0.1:9/wechat/pay").unwrap(),
        }
    }

    async fn place(&self, number: &str) -> Result<Answered<UnifiedOrderAnswer>, CallError> {
        self.pay.call(&self.merchant, &nonce(1), &self.order(number)).await
    }

    async fn state(&self, number: &str) -> Result<TradeState, CallError> {
        let which = Which::OutTradeNo(OutTradeNo::parse(number).unwrap());
        let call = OrderQuery { appid: self.sim.demo_appid(), mchid: self.merchant.mchid.clone(), which };
        self.pay.call(&self.merchant, &nonce(2), &call).await.map(|answered| answered.trade_state.clone())
    }

    async fn close(&self, number: &str) -> Result<(), CallError> {
        let out_trade_no = OutTradeNo::parse(number).unwrap();
        let call = CloseOrder { appid: self.sim.demo_appid(), mchid: self.merchant.mchid.clone(), out_trade_no };
        self.pay.call(&self.merchant, &nonce(3), &call).await.map(drop)
    }

    /// How many requests have reached an endpoint.
    fn count(&self, path: &str) -> usize {
        self.sim.wire().iter().filter(|exchange| exchange.path.split('?').next() == Some(path)).count()
    }
}

fn hosts(sim: &Simulator) -> Hosts {
    Hosts::new(&sim.base_url(), Some(&sim.base_url())).unwrap()
}

fn nonce(number: u8) -> NonceStr {
    NonceStr::from_random([number; 16])
}

fn code(error: &CallError) -> Option<&ErrCode> {
    match error {
        CallError::Rejected(rejection) => Some(&rejection.err_code),
        _ => None,
    }
}

#[tokio::test]
async fn an_order_is_made_paid_and_found_paid() {
    let shop = Shop::open().await;
    let prepay_id = shop.place("20260122-000001").await.unwrap().prepay_id.clone();
    assert_eq!(shop.state("20260122-000001").await.unwrap(), TradeState::NotPay);
    let MerchantKeyV2 { key, sign_type, .. } = &shop.merchant;
    let parameters =
        RequestPayment::new(&shop.sim.demo_appid(), &prepay_id, *sign_type, shop.clock.now(), nonce(4), key);
    shop.phone.request_payment(&parameters, Choice::Pay).unwrap();
    assert_eq!(shop.state("20260122-000001").await.unwrap(), TradeState::Success);
    let error = shop.close("20260122-000001").await.unwrap_err();
    assert_eq!(code(&error), Some(&ErrCode::Orderpaid));
    assert!(!error.outcome_is_unknown());
    let error = shop.place("20260122-000001").await.unwrap_err();
    assert_eq!(code(&error), Some(&ErrCode::Orderpaid));
    let error = shop.state("20260122-000002").await.unwrap_err();
    assert_eq!(code(&error), Some(&ErrCode::Ordernotexist));
}

#[tokio::test]
async fn an_answer_about_another_payment_or_merchant_is_not_believed() {
    let shop = Shop::open().await;
    shop.place("20260122-000001").await.unwrap();
    for fault in [FaultKind::ForeignNumber, FaultKind::ForeignMerchant] {
        shop.sim.inject(Fault::on(OrderQuery::PATH, fault));
        let error = shop.state("20260122-000001").await.unwrap_err();
        assert!(matches!(error, CallError::NotAuthentic(NotAuthentic::OtherParty)), "{error:?}");
        assert!(error.outcome_is_unknown());
    }
    assert_eq!(shop.state("20260122-000001").await.unwrap(), TradeState::NotPay);
}

#[tokio::test]
async fn an_order_is_closed() {
    for sign_type in [SignType::Md5, SignType::HmacSha256] {
        let mut shop = Shop::open().await;
        shop.merchant.sign_type = sign_type;
        shop.place("20260122-000001").await.unwrap();
        shop.close("20260122-000001").await.unwrap();
        assert_eq!(shop.state("20260122-000001").await.unwrap(), TradeState::Closed);
        assert_eq!(code(&shop.place("20260122-000001").await.unwrap_err()), Some(&ErrCode::Orderclosed));
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_and_the_order_is_made_once() {
    for fault in [FaultKind::NoAnswerBefore, FaultKind::NoAnswerAfter, FaultKind::HalfAnswer] {
        let shop = Shop::open().await;
        shop.sim.inject(Fault::on(UNIFIED_ORDER, fault.clone()));
        shop.place("20260122-000001").await.unwrap();
        assert_eq!(shop.count(UNIFIED_ORDER), 2, "{fault:?}");
        let wire = shop.sim.wire();
        assert_eq!(wire[0].request, wire[1].request, "{fault:?}");
        assert_eq!(shop.sim.ledger().payments.len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_late_is_asked_for_again() {
    let options = TransportOptions { request_timeout: Duration::from_millis(500), ..TransportOptions::default() };
    let shop = Shop::open_with(Transport::new(&options).unwrap()).await;
    shop.sim.inject(Fault::on(UNIFIED_ORDER, FaultKind::Hang(60_000)));
    shop.place("20260122-000001").await.unwrap();
    assert_eq!(shop.sim.ledger().payments.len(), 1);
}

#[tokio::test]
async fn when_no_host_answers_the_same_frozen_message_finds_the_order_later() {
    let shop = Shop::open().await;
    let frozen = shop.order("20260122-000001").unsigned(shop.merchant.sign_type, &nonce(1));
    for fault in [
        Fault::on(UNIFIED_ORDER, FaultKind::NoAnswerAfter).times(2),
        Fault::on(UNIFIED_ORDER, FaultKind::ErrCodeAfter("SYSTEMERROR".to_owned())),
        Fault::on(UNIFIED_ORDER, FaultKind::Unsigned),
        Fault::on(UNIFIED_ORDER, FaultKind::Status(502)),
    ] {
        shop.sim.inject(fault);
        let error = shop.pay.send_frozen::<UnifiedOrder>(&shop.merchant, &frozen).await.unwrap_err();
        assert!(error.outcome_is_unknown(), "{error:?}");
    }
    shop.pay.send_frozen::<UnifiedOrder>(&shop.merchant, &frozen).await.unwrap();
    assert_eq!(shop.sim.ledger().payments.len(), 1);
    assert!(shop.sim.faults().is_empty());
    let wire = shop.sim.wire();
    assert!(wire.iter().all(|exchange| exchange.request == wire[0].request));
}

#[tokio::test]
async fn lesson_06_what_wechat_did_not_sign_is_neither_success_nor_failure() {
    let shop = Shop::open().await;
    type Expected = fn(&CallError) -> bool;
    let cases: [(FaultKind, Expected); 6] = [
        (FaultKind::Unsigned, |error| matches!(error, CallError::NotAuthentic(NotAuthentic::Signature(_)))),
        (FaultKind::WrongSignature, |error| matches!(error, CallError::NotAuthentic(NotAuthentic::Signature(_)))),
        (FaultKind::Html, |error| matches!(error, CallError::Unreadable(Unreadable::Xml(_)))),
        (FaultKind::Empty, |error| matches!(error, CallError::Unreadable(Unreadable::Xml(_)))),
        (FaultKind::Status(503), |error| matches!(error, CallError::Unreadable(Unreadable::Status(503)))),
        (FaultKind::Fail("系统繁忙，请稍后再试".to_owned()), |error| {
            matches!(error, CallError::Refused { .. })
        }),
    ];
    for (fault, expected) in cases {
        let before = shop.count(UNIFIED_ORDER);
        shop.sim.inject(Fault::on(UNIFIED_ORDER, fault.clone()));
        let error = shop.place("20260122-000001").await.unwrap_err();
        assert!(expected(&error) && error.outcome_is_unknown(), "{fault:?} {error:?}");
        assert_eq!(shop.count(UNIFIED_ORDER), before + 1, "an answer is final: {fault:?}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_by_wechat_and_proves_nothing() {
    let mut shop = Shop::open().await;
    shop.merchant.key = ApiV2Key::parse("00000000000000000000000000000000").unwrap();
    let error = shop.place("20260122-000001").await.unwrap_err();
    assert!(matches!(error, CallError::Refused { .. }), "{error:?}");
    assert!(error.outcome_is_unknown());
}

/// The app's side of WeChat.
struct App {
    shop: Shop,
    client: MiniProgramClient,
    credential: AppCredential,
}

impl App {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let client = MiniProgramClient::new(transport(), hosts(&shop.sim));
        let secret = AppSecret::parse(DEMO_APP_SECRET).unwrap();
        let credential = AppCredential { appid: shop.sim.demo_appid(), secret };
        Self { shop, client, credential }
    }

    async fn log_in(&self, js_code: weixin::JsCode) -> Result<weixin::OpenId, ApiError> {
        let AppCredential { appid, secret } = &self.credential;
        self.client.code2session(appid, secret, js_code).await.map(|session| session.openid)
    }
}

#[tokio::test]
async fn a_customer_logs_in_once_with_a_code() {
    let app = App::open().await;
    let js_code = app.shop.phone.login();
    assert_eq!(app.log_in(js_code.clone()).await.unwrap(), *app.shop.phone.openid());
    assert_eq!(app.log_in(js_code).await.unwrap_err().errcode(), Some(Errcode::CODE_USED));
}

#[tokio::test]
async fn lesson_30_js_code_is_sent_once_even_if_wechat_loses_the_answer() {
    const PATH: &str = "/sns/jscode2session";
    let app = App::open().await;
    for (sent, fault) in
        [FaultKind::NoAnswerAfter, FaultKind::NoAnswerBefore, FaultKind::HalfAnswer, FaultKind::Errcode(-1)]
            .into_iter()
            .enumerate()
    {
        app.shop.sim.inject(Fault::on(PATH, fault));
        app.log_in(app.shop.phone.login()).await.unwrap_err();
        assert_eq!(app.shop.count(PATH), sent + 1);
    }
    app.log_in(app.shop.phone.login()).await.unwrap();
}

#[tokio::test]
async fn lesson_29_a_token_that_somebody_else_replaced_by_force_is_renewed_once() {
    let app = App::open().await;
    let keeper = AccessTokenKeeper::new(
        app.client.clone(),
        std::sync::Arc::<MemoryTokenStore>::default(),
        app.shop.clock.clock(),
    );
    let call =
        async || keeper.with_token(&app.credential, async |token| app.client.callback_ip(&token).await).await.map(drop);
    call().await.unwrap();
    // An operator forces a refresh: the old token is dead at once.
    force_refresh(&app).await;
    call().await.unwrap();
    call().await.unwrap();
    assert_eq!(app.shop.count("/cgi-bin/stable_token"), 3, "two of ours, one of the operator");
    // Near the end of its life it is renewed before anybody notices.
    app.shop.clock.advance_s(7200 - 200);
    call().await.unwrap();
    assert_eq!(app.shop.count("/cgi-bin/stable_token"), 4);
    app.shop.sim.advance(SignedDuration::from_secs(200)).unwrap();
    call().await.unwrap();
    assert_eq!(app.shop.count("/cgi-bin/getcallbackip"), 6, "one call was repeated");
}

async fn force_refresh(app: &App) {
    let body = weixin::mini_program::stable_token::Request {
        appid: app.credential.appid.clone(),
        secret: app.credential.secret.clone(),
        force_refresh: true,
    };
    let url = format!("{}/cgi-bin/stable_token", app.shop.sim.base_url());
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().post(url).body(body.to_json()).send().await;
    assert!(answer.unwrap().text().await.unwrap().contains("access_token"));
}
