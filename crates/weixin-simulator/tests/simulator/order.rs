//! The endpoints' own checks and the states of an order.

use weixin::{
    AppId,
    pay::{
        TradeState,
        v2::{
            Call as _, SignType,
            order_query::{OrderQuery, Which},
            read_answer,
            unified_order::UnifiedOrder,
        },
    },
};
use weixin_simulator::{AppSetup, UNPAID_CLOSED_AFTER_S};

use crate::{
    envelope::{failure, refusal},
    support::{Stage, appid, key, mchid, options, start_time},
};

#[tokio::test(flavor = "multi_thread")]
async fn each_field_of_an_order_is_checked() {
    let stage = Stage::new().await;
    for name in ["body", "out_trade_no", "total_fee", "spbill_create_ip", "notify_url", "trade_type"] {
        let mut order = stage.order("ORD000001");
        order.set(name, "");
        assert_eq!(failure(&stage.unified(order).await), format!("缺少参数{name}"));
    }
    let long = |count: usize| "x".repeat(count);
    for (name, value, expected) in [
        ("openid", String::new(), "JSAPI支付必须传openid"),
        ("body", long(128), "body参数长度有误"),
        ("body", "字".repeat(43), "body参数长度有误"),
        ("attach", long(128), "attach参数长度有误"),
        ("detail", long(6001), "detail参数长度有误"),
        ("device_info", long(33), "device_info参数长度有误"),
        ("goods_tag", long(33), "goods_tag参数长度有误"),
        ("notify_url", format!("http://h/{}", long(250)), "notify_url参数长度有误"),
        ("openid", long(129), "openid参数长度有误"),
        ("out_trade_no", long(33), "out_trade_no参数长度有误"),
        ("out_trade_no", long(5), "out_trade_no参数长度有误"),
        ("out_trade_no", "ORD 00001".to_owned(), "out_trade_no参数格式错误"),
        ("out_trade_no", "ORD@00001".to_owned(), "out_trade_no参数格式错误"),
        ("body", "tea 🍵".to_owned(), "body参数格式错误"),
        ("attach", "𠮷".to_owned(), "attach参数格式错误"),
        ("total_fee", "0".to_owned(), "invalid total_fee"),
        ("total_fee", "-1".to_owned(), "invalid total_fee"),
        ("total_fee", "1.0".to_owned(), "invalid total_fee"),
        ("total_fee", "01".to_owned(), "invalid total_fee"),
        ("total_fee", "99999999999".to_owned(), "invalid total_fee"),
        ("fee_type", "USD".to_owned(), "fee_type参数格式错误"),
        ("spbill_create_ip", "localhost".to_owned(), "spbill_create_ip参数格式错误"),
        ("notify_url", "/notify".to_owned(), "notify_url参数格式错误"),
        ("notify_url", "http://127.0.0.1/a?b=1".to_owned(), "notify_url参数格式错误"),
        ("time_start", "2026-01-22".to_owned(), "time_start参数格式错误"),
        ("time_expire", "20260230000000".to_owned(), "time_expire参数格式错误"),
        ("time_expire", "20260122143500".to_owned(), "time_expire时间过短，刷卡至少1分钟，其他5分钟"),
        ("time_expire", "20260122140000".to_owned(), "time_expire时间过短，刷卡至少1分钟，其他5分钟"),
        ("trade_type", "NATIVE".to_owned(), "商户号该产品权限未开通，请前往商户平台>产品中心检查后重试"),
        ("trade_type", "jsapi".to_owned(), "trade_type参数格式错误"),
        ("openid", "o0000000000000000000000000000".to_owned(), "appid and openid not match"),
    ] {
        let mut order = stage.order("ORD000001");
        order.set(name, value.clone());
        assert_eq!(failure(&stage.unified(order).await), expected, "{name}={value}");
    }
    assert_eq!(stage.sim.ledger().payments.len(), 0, "a refused order leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_the_page_lists_is_taken() {
    let stage = Stage::new().await;
    let mut order = stage.order("ORD-_|*20260122143001000001");
    for (name, value) in [
        ("device_info", "WEB"),
        ("detail", r#"{"goods_detail":[{"goods_id":"COFFEE-01","quantity":2,"price":1500}]}"#),
        ("attach", "shop=7;coupon="),
        ("fee_type", "CNY"),
        ("time_start", "20260122143001"),
        ("time_expire", "20260122143501"),
        ("goods_tag", "WXG"),
        ("product_id", "COFFEE-01"),
        ("limit_pay", "no_credit"),
        ("receipt", "Y"),
        ("scene_info", r#"{"store_info":{"id":"7"}}"#),
        ("profit_sharing", "N"),
        ("version", "1.0"),
        ("sign_type", "MD5"),
        ("spbill_create_ip", "2001:db8::7"),
    ] {
        order.set(name, value);
    }
    let prepay_id = stage.prepay(order).await;
    assert!(prepay_id.as_str().starts_with("wx22143001") && prepay_id.as_str().len() == 36, "{prepay_id}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_openid_of_another_app_is_refused() {
    let stage = Stage::new().await;
    let other = AppSetup { appid: AppId::parse("wxfake000000000002").unwrap(), ..AppSetup::demo() };
    stage.sim.add_app(&other);
    let stranger = stage.sim.phone(&other.appid, "li").unwrap();
    let mut order = stage.order("ORD000001");
    order.set("openid", stranger.openid().as_str());
    assert_eq!(failure(&stage.unified(order).await), "appid and openid not match");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_numbers_are_taken_when_strictness_is_off() {
    let mut options = options(1);
    options.strictness.new_out_trade_no = false;
    let stage = Stage::with(options).await;
    stage.paid(stage.order("1@")).await;
    assert_eq!(stage.query("1@").await.get("trade_state"), Some("SUCCESS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_again_gives_a_new_prepay_id_and_the_old_one_stays_good() {
    let stage = Stage::new().await;
    let order = stage.order("ORD000001");
    let first = stage.prepay(order.clone()).await;
    let mut again = order.clone();
    again.set("nonce_str", "another").set("spbill_create_ip", "2001:db8::7").set("sign_type", "HMAC-SHA256");
    let second = stage.prepay(again).await;
    assert_ne!(first, second);
    let ledger = stage.sim.ledger();
    assert_eq!(ledger.payment("ORD000001").unwrap().prepay_ids, [first.to_string(), second.to_string()]);
    stage.pay(&first).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_number_with_anything_else_changed_is_refused() {
    let stage = Stage::new().await;
    let mut order = stage.order("ORD000001");
    order.set("goods_tag", "WXG");
    stage.prepay(order.clone()).await;
    let wang = stage.sim.phone(&appid(), "wang").unwrap();
    for (name, value) in [
        ("total_fee", "3001"),
        ("body", "other"),
        ("notify_url", "http://127.0.0.1:9/other"),
        ("openid", wang.openid().as_str()),
        ("attach", "added"),
        ("goods_tag", ""),
        ("time_expire", "20260122150001"),
        ("something_new", "1"),
    ] {
        let mut changed = order.clone();
        changed.set(name, value);
        let expected = ("INVALID_REQUEST".to_owned(), "201 商户订单号重复".to_owned());
        assert_eq!(refusal(&stage.unified(changed).await), expected, "{name}");
    }
    stage.prepay(order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_or_closed_number_never_gets_a_prepay_id_again() {
    let stage = Stage::new().await;
    stage.paid(stage.order("PAID000001")).await;
    stage.prepay(stage.order("CLOSED0001")).await;
    stage.close("CLOSED0001").await;
    for changed in [false, true] {
        for (number, expected) in [("PAID000001", "ORDERPAID"), ("CLOSED0001", "ORDERCLOSED")] {
            let mut order = stage.order(number);
            if changed {
                order.set("total_fee", "1");
            }
            assert_eq!(refusal(&stage.unified(order).await).0, expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_depends_on_the_state() {
    let stage = Stage::new().await;
    stage.paid(stage.order("PAID000001")).await;
    assert_eq!(refusal(&stage.close("PAID000001").await).0, "ORDERPAID");
    assert_eq!(refusal(&stage.close("UNKNOWN001").await).0, "ORDERNOTEXIST");
    stage.prepay(stage.order("OPEN000001")).await;
    assert_eq!(stage.close("OPEN000001").await.get("result_code"), Some("SUCCESS"));
    assert_eq!(refusal(&stage.close("OPEN000001").await).0, "ORDERCLOSED");
    assert_eq!(stage.query("OPEN000001").await.get("trade_state"), Some("CLOSED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_in_the_first_five_minutes_can_be_forbidden() {
    let mut options = options(1);
    options.strictness.close_after_five_minutes = true;
    let stage = Stage::with(options).await;
    stage.prepay(stage.order("ORD000001")).await;
    stage.advance_s(299);
    assert_eq!(refusal(&stage.close("ORD000001").await).0, "TRADE_STATE_ERROR");
    stage.advance_s(1);
    assert_eq!(stage.close("ORD000001").await.get("result_code"), Some("SUCCESS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_expire_does_not_close_but_seven_days_do() {
    let stage = Stage::new().await;
    let mut order = stage.order("ORD000001");
    order.set("time_expire", "20260122150001");
    stage.prepay(order).await;
    stage.advance_s(UNPAID_CLOSED_AFTER_S - 1);
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("NOTPAY"));
    stage.advance_s(1);
    assert_eq!(stage.query("ORD000001").await.get("trade_state"), Some("CLOSED"));
    assert_eq!(refusal(&stage.close("ORD000001").await).0, "ORDERCLOSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn wechats_number_wins_in_a_query() {
    let stage = Stage::new().await;
    stage.paid(stage.order("PAID000001")).await;
    stage.prepay(stage.order("OPEN000001")).await;
    let transaction_id = stage.query("PAID000001").await.get("transaction_id").unwrap().to_owned();
    let mut query = stage.about("OPEN000001");
    query.set("transaction_id", transaction_id);
    let answer = stage.pay_call("/pay/orderquery", query.clone()).await;
    assert_eq!(answer.get("out_trade_no"), Some("PAID000001"));
    query.set("transaction_id", "4200000000000000000000000000");
    assert_eq!(refusal(&stage.pay_call("/pay/orderquery", query).await).0, "ORDERNOTEXIST");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_only_by_its_own_app() {
    let stage = Stage::new().await;
    let other = AppSetup { appid: AppId::parse("wxfake000000000002").unwrap(), ..AppSetup::demo() };
    stage.sim.add_app(&other);
    stage.prepay(stage.order("ORD000001")).await;
    let mut query = stage.about("ORD000001");
    query.set("appid", other.appid.as_str());
    assert_eq!(refusal(&stage.pay_call("/pay/orderquery", query.clone()).await).0, "ORDERNOTEXIST");
    assert_eq!(refusal(&stage.pay_call("/pay/closeorder", query).await).0, "ORDERNOTEXIST");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typed_protocol_reads_what_the_simulator_writes() {
    let stage = Stage::new().await;
    let order = UnifiedOrder::from_fields(&stage.order("ORD000001")).unwrap();
    let sign_type = SignType::HmacSha256;
    let nonce_str = weixin::NonceStr::parse("typed").unwrap();
    let answer = stage.unified(order.unsigned(sign_type, &nonce_str)).await.to_xml();
    let prepay_id = read_answer(&order, answer.as_bytes(), &key(), sign_type).unwrap().into_inner().prepay_id;
    let parameters = stage.parameters(&prepay_id, sign_type);
    stage.li.request_payment(&parameters, weixin_simulator::Choice::Pay).unwrap();
    let query = OrderQuery { appid: appid(), mchid: mchid(), which: Which::OutTradeNo(order.out_trade_no) };
    let answer = stage.pay_call(OrderQuery::PATH, query.unsigned(sign_type, &nonce_str)).await.to_xml();
    let paid = read_answer(&query, answer.as_bytes(), &key(), sign_type).unwrap();
    assert_eq!(paid.trade_state, TradeState::Success);
    assert_eq!(paid.success_time, Some(start_time()));
    assert_eq!(paid.openid.as_ref(), Some(stage.li.openid()));
    let ledger = stage.sim.ledger();
    assert_eq!(paid.transaction_id, ledger.payment("ORD000001").unwrap().transaction_id);
}
