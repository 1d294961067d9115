//! A sample of every event that the documentation names. The values are made up.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html> and the pages
//! of the single capabilities.

/// Events and their content as JSON.
pub(super) const SAMPLES: [(&str, &str); 33] = [
    (
        "subscribe_msg_popup_event",
        r#"{"List":[{"TemplateId":"fakeTemplatePaid","SubscribeStatusString":"accept","PopupScene":"0"},{"TemplateId":"fakeTemplateShipped","SubscribeStatusString":"reject","PopupScene":"0"}]}"#,
    ),
    ("subscribe_msg_change_event", r#"{"List":{"TemplateId":"fakeTemplatePaid","SubscribeStatusString":"reject"}}"#),
    (
        "subscribe_msg_sent_event",
        r#"{"List":{"TemplateId":"fakeTemplatePaid","MsgID":"1700827132819554304","ErrorCode":"0","ErrorStatus":"success"}}"#,
    ),
    (
        "notify_service_msg_send_result",
        r#"{"openid":"oFakeCustomer","notify_code":"4200000000202601010000000000","notify_type":2001,"card_status":1,"fail_ret":1,"fail_msg":"the customer refuses"}"#,
    ),
    (
        "wxa_media_check",
        r#"{"appid":"wxfake000000000001","trace_id":"60ae120f-371d5872-4f8c9a01","version":2,"detail":{"strategy":"content_model","errcode":0,"suggest":"risky","label":20002,"prob":90},"errcode":0,"errmsg":"ok","result":{"suggest":"risky","label":20002}}"#,
    ),
    ("trade_manage_remind_access_api", r#"{"msg":"请尽快接入发货信息管理服务"}"#),
    (
        "trade_manage_remind_shipping",
        r#"{"transaction_id":"4200000000202601010000000000","merchant_id":"1600000001","sub_merchant_id":"","merchant_trade_no":"ORD000001","pay_time":1767225600,"msg":"请尽快发货"}"#,
    ),
    (
        "trade_manage_order_settlement",
        r#"{"transaction_id":"4200000000202601010000000000","merchant_id":"1600000001","sub_merchant_id":"","merchant_trade_no":"ORD000001","pay_time":1767225600,"shipped_time":1767229200,"estimated_settlement_time":1768093200}"#,
    ),
    ("wxa_trade_controlled", r#"{"msg":"请接入发货信息管理服务"}"#),
    (
        "xpay_goods_deliver_notify",
        r#"{"OpenId":"oFakeCustomer","OutTradeNo":"ORD000001","Env":1,"WeChatPayInfo":{"MchOrderNo":"ORD000001","TransactionId":"4200000000202601010000000000","PaidTime":1767225600},"GoodsInfo":{"ProductId":"book","Quantity":1,"OrigPrice":100,"ActualPrice":100,"Attach":""}}"#,
    ),
    (
        "xpay_coin_pay_notify",
        r#"{"OpenId":"oFakeCustomer","OutTradeNo":"ORD000002","Env":1,"CoinInfo":{"Quantity":10,"OrigPrice":100,"ActualPrice":100,"Attach":""}}"#,
    ),
    (
        "xpay_refund_notify",
        r#"{"OpenId":"oFakeCustomer","WxRefundId":"wxrefund1","MchRefundId":"RFD000001","WxOrderId":"wxorder1","MchOrderId":"ORD000001","RefundFee":100,"RetCode":0,"RetMsg":"","RefundStartTimestamp":1767225600,"RefundSuccTimestamp":1767225660,"WxpayRefundTransactionId":"5030000000202601010000000000","RetryTimes":0}"#,
    ),
    (
        "xpay_complaint_notify",
        r#"{"OpenId":"oFakeCustomer","WxOrderId":"wxorder1","MchOrderId":"ORD000001","TransactionId":"4200000000202601010000000000","ComplaintId":"complaint1","ComplaintDetail":"没有收到","ComplaintTime":1767225600,"RetryTimes":0,"RequestId":"request1"}"#,
    ),
    (
        "xpay_wxpay_callback_notify",
        r#"{"AppId":"wxfake000000000001","NickName":"Demonstration shop","MerchantCode":"1600000001","MerchantCompanyName":"Demonstration merchant","BusinessTime":1767225600,"BusinessCode":"code1","BusinessState":"1","Remark":"","EventType":"due_diligence","RetryTimes":0}"#,
    ),
    ("xpay_subscribe_signing_result_notify", "{}"),
    ("xpay_subscribe_pay_fail_notify", "{}"),
    ("xpay_subscribe_ios_refund_query_notify", "{}"),
    ("user_info_modified", r#"{"OpenID":"oFakeCustomer","AppID":"wxfake000000000001","RevokeInfo":"6"}"#),
    ("user_authorization_revoke", r#"{"OpenID":"oFakeCustomer","AppID":"wxfake000000000001","RevokeInfo":"8"}"#),
    ("user_authorization_cancellation", r#"{"OpenID":"oFakeCustomer","AppID":"wxfake000000000001","RevokeInfo":"8"}"#),
    (
        "wxa_punish_event",
        r#"{"punish_id":"1","appid":"wxfake000000000001","punish_time":1767225600,"illegal_reason":"reason","illegal_content":"content","rule_name":"rule","rule_url":"https://developers.weixin.qq.com/","adjust_guide_url":"https://developers.weixin.qq.com/","event_type":1,"detail":"{}"}"#,
    ),
    ("wxa_nickname_audit", r#"{"ret":3,"nickname":"Demonstration shop"}"#),
    ("wxa_category_audit", r#"{"ret":3,"first":8,"second":39}"#),
    (
        "wxa_privacy_apply",
        r#"{"result_info":{"api_name":"wx.getLocation","audit_id":"1","apply_time":"1767225600","reason":""}}"#,
    ),
    ("wxa_illegal_record", r#"{"illegal_record_id":"1","appid":"wxfake000000000001"}"#),
    ("wxa_appeal_record", r#"{"appeal_record_id":"1","appid":"wxfake000000000001"}"#),
    ("weapp_audit_success", r#"{"SuccTime":1767225600}"#),
    ("weapp_audit_fail", r#"{"Reason":"reason","FailTime":1767225600}"#),
    ("weapp_audit_delay", r#"{"Reason":"reason","DelayTime":1767225600}"#),
    ("debug_demo", r#"{"debug_str":"hello"}"#),
    (
        "retail_pay_notify",
        r#"{"appid":"wxfake000000000001","mchid":"1600000001","out_trade_no":"ORD000001","order_id":"1","pay_status":"ORDER_PAY_SUCC","pay_time":"2026-01-01T00:00:00+08:00","attach":"","payer_openid":"oFakeCustomer","amount":{"order_amount":100,"payer_amount":100,"currency":"CNY"},"wxpay_transaction_id":"4200000000202601010000000000","env":1}"#,
    ),
    (
        "retail_refund_notify",
        r#"{"appid":"wxfake000000000001","mchid":"1600000001","out_trade_no":"ORD000001","out_refund_no":"RFD000001","refund_status":"REFUND_SUCC","env":1}"#,
    ),
    (
        "funds_order_pay",
        r#"{"order_info":{"transaction_id":"4200000000202601010000000000","out_trade_no":"ORD000001"}}"#,
    ),
];

#[cfg(test)]
mod tests {
    use super::super::PushEvent;

    #[test]
    fn every_sample_is_well_formed_and_stands_once() {
        let mut names: Vec<_> = PushEvent::samples().collect();
        assert!(names.iter().all(|name| PushEvent::sample(name).is_some()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PushEvent::samples().count());
        assert!(PushEvent::sample("nonsense").is_none());
    }
}
