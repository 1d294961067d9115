//! What a body may hold, and how WeChat says that it may not.

use serde_json::{Value, json};
use weixin_simulator::DEMO_APPID;

use crate::{
    support::Stage,
    v3::{JSAPI, code, headers, refusal, set},
};

/// The order with a field replaced.
fn with(stage: &Stage, pointer: &str, value: Value) -> Value {
    let mut order = stage.order_v3("ORD000001");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    order.pointer_mut(parent).unwrap()[name] = value;
    order
}

fn without(stage: &Stage, pointer: &str) -> Value {
    let mut order = stage.order_v3("ORD000001");
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    order.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_field_is_named() {
    let stage = Stage::new().await;
    for (pointer, label) in [
        ("/appid", "公众号ID"),
        ("/mchid", "商户号"),
        ("/description", "商品描述"),
        ("/out_trade_no", "商户订单号"),
        ("/notify_url", "通知地址"),
        ("/amount", "订单金额"),
        ("/amount/total", "总金额"),
        ("/payer", "支付者"),
        ("/payer/openid", "用户标识"),
    ] {
        let reply = stage.place_v3(&without(&stage, pointer)).await;
        let (status, code, message, internal) = refusal(&reply);
        assert_eq!((status, code.as_str()), (400, "PARAM_ERROR"));
        let expected = format!("输入源“{pointer}”映射到字段“{label}”必填性规则校验失败，此字段为必填项");
        assert_eq!(message, expected);
        let expected = if pointer == "/payer/openid" { "268501013" } else { "268435461" };
        assert_eq!(internal.as_deref(), Some(expected));
        assert_eq!(
            (&reply.json()["detail"]["field"], &reply.json()["detail"]["location"]),
            (&pointer.into(), &"body".into())
        );
    }
    // The currency has a default.
    stage.prepay_v3(&without(&stage, "/amount/currency")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_wrong_type_is_refused_with_the_type_that_is_wanted() {
    let stage = Stage::new().await;
    let total = "无法将 JSON 输入源“/body/amount/total”映射到目标字段“总金额”中，此字段需要一个合法的 64 位有符号整数";
    let cases = [
        ("/amount/total", json!(0.01), total),
        ("/amount/total", json!(1.0), total),
        ("/amount/total", json!("3000"), total),
        ("/amount/total", json!(null), total),
        ("/amount/total", json!(u64::MAX), total),
        (
            "/mchid",
            json!(1_600_000_001),
            "无法将 JSON 输入源“/body/mchid”映射到目标字段“商户号”中，此字段需要一个合法的字符串",
        ),
        (
            "/attach",
            json!(null),
            "无法将 JSON 输入源“/body/attach”映射到目标字段“附加数据”中，此字段需要一个合法的字符串",
        ),
        (
            "/amount",
            json!(3000),
            "无法将 JSON 输入源“/body/amount”映射到目标字段“订单金额”中，此字段需要一个合法的 Json 对象",
        ),
        (
            "/support_fapiao",
            json!("true"),
            "无法将 JSON 输入源“/body/support_fapiao”映射到目标字段“电子发票入口开放标识”中，此字段需要一个合法的布尔值",
        ),
        (
            "/detail",
            json!({ "goods_detail": {} }),
            "无法将 JSON 输入源“/body/detail/goods_detail”映射到目标字段“单品列表”中，此字段需要一个合法的 Json 数组",
        ),
    ];
    for (pointer, value, expected) in cases {
        let reply = stage.place_v3(&with(&stage, pointer, value.clone())).await;
        let (status, code, message, _) = refusal(&reply);
        assert_eq!((status, code.as_str(), message.as_str()), (400, "PARAM_ERROR", expected));
        if pointer == "/amount/total" {
            assert_eq!(reply.json()["detail"]["value"], value);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_and_ranges_are_kept_to_the_byte() {
    let stage = Stage::new().await;
    let low = "输入源“/body/amount/total”映射到数值字段“总金额”规则校验失败，值低于最小值 1";
    for total in [0, -1] {
        let (_, code, message, internal) = refusal(&stage.place_v3(&with(&stage, "/amount/total", json!(total))).await);
        assert_eq!((code.as_str(), message.as_str(), internal.as_deref()), ("PARAM_ERROR", low, Some("268435464")));
    }
    for (pointer, bytes_max) in [("/description", 127), ("/attach", 128), ("/out_trade_no", 32), ("/goods_tag", 32)] {
        let long = json!("a".repeat(bytes_max + 1));
        assert_eq!(code(&stage.place_v3(&with(&stage, pointer, long)).await).1, "PARAM_ERROR", "{pointer}");
        let number = format!("FIT{bytes_max}000");
        let mut order = with(&stage, "/out_trade_no", json!(number));
        order[&pointer[1..]] = json!("a".repeat(bytes_max));
        stage.prepay_v3(&order).await;
    }
    let chinese = json!("茶".repeat(43));
    assert_eq!(code(&stage.place_v3(&with(&stage, "/description", chinese)).await).1, "PARAM_ERROR", "129 bytes");
    assert_eq!(code(&stage.place_v3(&with(&stage, "/out_trade_no", json!("SHORT"))).await).1, "PARAM_ERROR");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_fields_are_refused_with_their_own_internal_code() {
    let stage = Stage::new().await;
    for pointer in ["/nonsense", "/amount/nonsense", "/payer/nonsense"] {
        let (status, code, _, internal) = refusal(&stage.place_v3(&with(&stage, pointer, json!(1))).await);
        assert_eq!((status, code.as_str(), internal.as_deref()), (400, "PARAM_ERROR", Some("270924358")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_must_have_the_form_of_their_field() {
    let stage = Stage::new().await;
    for (pointer, value) in [
        ("/out_trade_no", json!("ORD 000001")),
        ("/out_trade_no", json!("ORD@000001")),
        ("/time_expire", json!("20260301100105")),
        ("/time_expire", json!("2026-01-22T14:30:01")),
        ("/time_expire", json!("2026-01-22T14:29:01+08:00")),
        ("/notify_url", json!("https://shop.example.com/a?b=1")),
        ("/notify_url", json!(" https://shop.example.com/a")),
        ("/amount/currency", json!("USD")),
        ("/scene_info", json!({ "payer_client_ip": "localhost" })),
        ("/detail", json!({ "goods_detail": [] })),
        ("/description", json!("茶😀")),
        ("/payer/openid", json!("oNobody")),
    ] {
        let reply = stage.place_v3(&with(&stage, pointer, value.clone())).await;
        assert_eq!(code(&reply), (400, "PARAM_ERROR".to_owned()), "{pointer} {value} {reply:?}");
    }
    assert!(stage.sim.ledger().payments.is_empty());
    let everything = json!({
        "time_expire": "2026-01-22T15:30:01.123+08:00",
        "attach": "shop=7",
        "goods_tag": "WXG",
        "support_fapiao": true,
        "detail": { "cost_price": 3200, "invoice_id": "i1", "goods_detail": [
            { "merchant_goods_id": "g1", "goods_name": "咖啡", "quantity": 2, "unit_price": 1500 } ] },
        "scene_info": { "payer_client_ip": "2001:db8::1", "device_id": "till-1", "store_info": { "id": "1" } },
        "settle_info": { "profit_sharing": false },
        "limit_pay": ["no_credit"],
    });
    let mut order = stage.order_v3("ORD000001");
    everything.as_object().unwrap().iter().for_each(|(name, value)| order[name] = value.clone());
    stage.prepay_v3(&order).await;
    assert_eq!(stage.query_v3("ORD000001").await["scene_info"]["device_id"], "till-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_json_or_says_a_name_twice_is_refused() {
    let stage = Stage::new().await;
    let good = stage.order_v3("ORD000001").to_string();
    let twice = good.replacen('{', "{\"attach\":\"a\",\"attach\":\"b\",", 1);
    let not_utf8 = "{\"attach\":\"\\ud83d\"}".to_owned();
    for body in [twice, not_utf8, "{".to_owned(), "[]".to_owned(), "<xml/>".to_owned(), format!("{good}x")] {
        let (status, code, message, _) = refusal(&stage.v3("POST", JSAPI, &body).await);
        assert_eq!((status, code.as_str(), message.as_str()), (400, "PARAM_ERROR", "参数错误"), "{body}");
    }
    let mut headers = headers(&stage, "POST", JSAPI, &good);
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        set(&mut headers, "Content-Type", content_type);
        assert_eq!(code(&stage.send("POST", JSAPI, &headers, &good).await), (400, "INVALID_REQUEST".to_owned()));
    }
    set(&mut headers, "Content-Type", Some("application/json; charset=utf-8"));
    assert_eq!(stage.send("POST", JSAPI, &headers, &good).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_must_be_bound_to_the_merchant() {
    let stage = Stage::new().await;
    for appid in ["wxnobody0000000000", "wx1"] {
        let (status, code, _, internal) = refusal(&stage.place_v3(&with(&stage, "/appid", json!(appid))).await);
        assert_eq!((status, code.as_str(), internal.as_deref()), (400, "APPID_MCHID_NOT_MATCH", Some("268445527")));
    }
    // The openid of another app of the same person.
    let other = weixin::AppId::parse("wxfake000000000002").unwrap();
    let mut app = weixin_simulator::AppSetup::demo();
    app.appid = other.clone();
    stage.sim.add_app(&app);
    let elsewhere = stage.sim.phone(&other, "li").unwrap();
    let reply = stage.place_v3(&with(&stage, "/payer/openid", json!(elsewhere.openid()))).await;
    assert_eq!(refusal(&reply).2, "无效的openid");
    assert_ne!(other.as_str(), DEMO_APPID);
}

#[tokio::test(flavor = "multi_thread")]
async fn real_name_checks_need_a_permission() {
    let stage = Stage::new().await;
    let identity = json!({ "type": "IDCARD", "number": "x", "name": "y" });
    let reply = stage.place_v3(&with(&stage, "/payer/identity", identity)).await;
    assert_eq!(code(&reply), (403, "NO_AUTH".to_owned()));
}
