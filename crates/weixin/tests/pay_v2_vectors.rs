//! API v2 held against values that were made with other people's software (`tests/vectors/pay-v2.json`; the
//! vectors marked `official` are printed in WeChat's documentation).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use weixin::{
    ApiV2Key, AppId, Attach, Body, Fen, MchId, NonceStr, NotifyUrl, OrderAmount, OutRefundNo, OutTradeNo, beijing_time,
    pay::{
        PaymentNo, Refund, RefundRefusal, RefundState, TradeState,
        v2::{
            self, AnswerError, Call, ErrCode, SignType, SignatureError,
            notification::{self, Notification},
            order_query::{OrderQuery, Which},
            refund::RefundRequest,
            refund_notification::{self, RefundNotificationError, RequestSource},
            refund_query::{self, RefundQuery, Refunds},
            req_info,
            unified_order::UnifiedOrder,
        },
    },
    xml::{Fields, XmlError},
};

struct Vector(Value);

impl Vector {
    fn all(kind: &str) -> Vec<Vector> {
        let file: Value = serde_json::from_str(include_str!("vectors/pay-v2.json")).unwrap();
        let vectors = file["vectors"].as_array().unwrap().iter().filter(|vector| vector["kind"] == kind);
        let vectors: Vec<_> = vectors.map(|vector| Vector(vector.clone())).collect();
        assert!(!vectors.is_empty(), "no vector of the kind {kind}");
        vectors
    }

    fn named(name: &str) -> Vector {
        let file: Value = serde_json::from_str(include_str!("vectors/pay-v2.json")).unwrap();
        let found = file["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == name);
        Vector(found.unwrap_or_else(|| panic!("no vector {name}")).clone())
    }

    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap()
    }

    fn key(&self) -> ApiV2Key {
        ApiV2Key::parse(self.0["key"].as_str().unwrap()).unwrap()
    }

    fn sign_type(&self) -> SignType {
        SignType::from_wire(self.0["sign_type"].as_str().unwrap()).unwrap()
    }

    fn input(&self, name: &str) -> &str {
        self.0["inputs"][name].as_str().unwrap()
    }

    fn xml(&self) -> Vec<u8> {
        let xml = self.input("xml");
        match xml.strip_prefix("base64:") {
            Some(bytes) => STANDARD.decode(bytes).unwrap(),
            None => xml.as_bytes().to_vec(),
        }
    }

    fn expected(&self, name: &str) -> &Value {
        &self.0["expected"][name]
    }

    fn params(&self) -> Fields {
        let params = self.0["inputs"]["params"].as_object().unwrap();
        params.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
    }
}

fn as_object(fields: &Fields) -> Value {
    fields.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

#[test]
fn signatures_are_the_published_ones() {
    for (kind, expected) in [("sign", "sign"), ("pay_sign", "paySign")] {
        for vector in Vector::all(kind) {
            let sign = v2::sign(&vector.params(), &vector.key(), vector.sign_type());
            assert_eq!(sign, vector.expected(expected).as_str().unwrap(), "{}", vector.name());
        }
    }
}

#[test]
fn genuine_messages_verify_over_all_fields_and_tampered_ones_do_not() {
    for vector in Vector::all("verify_xml") {
        let fields = Fields::parse(&vector.xml()).unwrap();
        let verified = v2::verify(fields, &vector.key(), vector.sign_type());
        assert_eq!(verified.is_ok(), vector.expected("valid").as_bool().unwrap(), "{}", vector.name());
        if let Ok(fields) = verified {
            assert_eq!(&as_object(&fields), vector.expected("fields"), "{}", vector.name());
        }
    }
}

#[test]
fn a_message_that_is_written_and_read_again_keeps_its_signature() {
    for vector in Vector::all("verify_xml") {
        let fields = Fields::parse(&vector.xml()).unwrap();
        let again = Fields::parse(fields.to_xml().as_bytes()).unwrap();
        assert_eq!(again, fields, "{}", vector.name());
    }
}

#[test]
fn dangerous_and_ambiguous_xml_is_refused() {
    for vector in Vector::all("reject_xml") {
        let error = Fields::parse(&vector.xml()).unwrap_err();
        if vector.name().contains("doctype") || vector.name().contains("external") {
            assert_eq!(error, XmlError::Dtd, "{}", vector.name());
        }
    }
}

#[test]
fn a_failure_without_signature_is_neither_believed_nor_called_a_forgery() {
    for vector in Vector::all("classify_xml") {
        let answer = v2::read_answer(&query(), &vector.xml(), &vector.key(), vector.sign_type());
        let Err(AnswerError::CommunicationFailure { return_msg }) = answer else { panic!("{answer:?}") };
        assert_eq!(return_msg, vector.expected("fields")["return_msg"].as_str().unwrap());
    }
}

#[test]
fn wechat_takes_only_its_own_xml_for_received() {
    for vector in Vector::all("notify_reply") {
        let status = vector.0["inputs"]["http_status"].as_u64().unwrap() as u16;
        let accepted = notification::is_accepted(status, vector.input("body").as_bytes());
        assert_eq!(accepted, vector.expected("accepted_by_wechat").as_bool().unwrap(), "{}", vector.name());
    }
    assert!(notification::is_accepted(200, notification::REPLY_SUCCESS.as_bytes()));
    assert!(!notification::is_accepted(500, notification::REPLY_SUCCESS.as_bytes()));
    assert!(!notification::is_accepted(200, notification::reply_fail("签名失败").as_bytes()));
}

#[test]
fn fields_obey_wechats_rules() {
    for vector in Vector::all("validate_field") {
        let value = vector.input("value");
        let valid = match vector.input("field") {
            "out_trade_no" => OutTradeNo::parse(value).is_ok(),
            "out_refund_no" => OutRefundNo::parse(value).is_ok(),
            "body" => Body::parse(value).is_ok(),
            "attach" => Attach::parse(value).is_ok(),
            "total_fee" => OrderAmount::from_wire(value).is_ok(),
            "notify_url" => NotifyUrl::parse(value).is_ok(),
            "time_expire" => beijing_time::from_compact("time_expire", value).is_ok(),
            other => panic!("no rule for {other}"),
        };
        assert_eq!(valid, vector.expected("valid").as_bool().unwrap(), "{}", vector.name());
    }
}

#[test]
fn yuan_become_fen_digit_by_digit() {
    for vector in Vector::all("yuan_to_fen") {
        let fen = Fen::from_yuan(vector.input("yuan")).ok().map(Fen::get);
        assert_eq!(fen, vector.expected("fen").as_i64(), "{}", vector.name());
    }
}

#[test]
fn a_unified_order_is_written_as_it_was_read() {
    for name in ["unifiedorder_request_md5", "unifiedorder_request_hmac", "unifiedorder_request_minimal"] {
        let vector = Vector::named(name);
        let received = Fields::parse(&vector.xml()).unwrap();
        let order = UnifiedOrder::from_fields(&received).unwrap();
        let written = order.to_fields();
        let known = written.iter().filter(|(name, _)| received.get(name).is_some());
        for (field, value) in known {
            assert_eq!(received.get(field), Some(value), "{name}: {field}");
        }
        assert_eq!(order.total.fen().get().to_string(), received.get("total_fee").unwrap());
    }
}

#[test]
fn an_order_that_is_signed_again_has_the_same_bytes() {
    let vector = Vector::named("unifiedorder_request_minimal");
    let order = UnifiedOrder::from_fields(&Fields::parse(&vector.xml()).unwrap()).unwrap();
    let nonce = NonceStr::parse("frozen0001").unwrap();
    let frozen = order.unsigned(SignType::HmacSha256, &nonce).to_xml();
    let send = || v2::signed(Fields::parse(frozen.as_bytes()).unwrap(), &vector.key(), SignType::HmacSha256).to_xml();
    assert_eq!(send(), send());
    let received = Fields::parse(send().as_bytes()).unwrap();
    assert_eq!(received.get("sign_type"), Some("HMAC-SHA256"));
    assert!(v2::verify(received, &vector.key(), SignType::HmacSha256).is_ok());
}

#[test]
fn answers_to_a_query_tell_what_happened() {
    let cases = [
        ("orderquery_response_notpay", TradeState::NotPay, Some(3000), None),
        ("orderquery_response_success", TradeState::Success, Some(3000), Some("4200001234202601221234567890")),
        ("orderquery_response_closed", TradeState::Closed, None, None),
        ("orderquery_response_refund", TradeState::Refund, Some(3000), Some("4200001234202601221234567890")),
    ];
    for (name, state, total, transaction_id) in cases {
        let vector = Vector::named(name);
        let answer = v2::read_answer(&query(), &vector.xml(), &vector.key(), vector.sign_type()).unwrap();
        assert_eq!(answer.trade_state, state, "{name}");
        assert_eq!(answer.total.map(Fen::get), total, "{name}");
        assert_eq!(answer.transaction_id.as_ref().map(|id| id.as_str()), transaction_id, "{name}");
    }
}

#[test]
fn a_query_that_finds_nothing_is_a_signed_refusal() {
    let vector = Vector::named("orderquery_response_not_exist");
    let answer = v2::read_answer(&query(), &vector.xml(), &vector.key(), vector.sign_type());
    let Err(AnswerError::Rejected(rejection)) = answer else { panic!("{answer:?}") };
    assert_eq!(rejection.err_code, ErrCode::Ordernotexist);
}

#[test]
fn an_answer_for_another_merchant_is_not_ours_although_it_verifies() {
    let vector = Vector::named("orderquery_response_success");
    let other = OrderQuery { mchid: MchId::parse("1600000002").unwrap(), ..query() };
    let answer = v2::read_answer(&other, &vector.xml(), &vector.key(), vector.sign_type());
    assert!(matches!(answer, Err(AnswerError::OtherParty)), "{answer:?}");
}

#[test]
fn the_simulators_answers_have_the_shape_of_real_ones() {
    for name in ["orderquery_response_notpay", "orderquery_response_success", "orderquery_response_closed"] {
        let vector = Vector::named(name);
        let real = Fields::parse(&vector.xml()).unwrap();
        let answer = v2::read_answer(&query(), &vector.xml(), &vector.key(), vector.sign_type()).unwrap().into_inner();
        let nonce = NonceStr::parse(real.get("nonce_str").unwrap()).unwrap();
        let ours = v2::success(&answer, (&query().appid, &query().mchid), &nonce, &vector.key(), vector.sign_type());
        for (field, value) in ours.iter().filter(|(field, value)| *field != "sign" && !value.is_empty()) {
            assert_eq!(real.get(field), Some(value), "{name}: {field}");
        }
        let missing: Vec<_> = real.iter().map(|(field, _)| field).filter(|field| ours.get(field).is_none()).collect();
        let optional = ["device_info", "attach"];
        assert!(missing.iter().all(|field| optional.contains(field)), "{name} lacks {missing:?}");
    }
}

#[test]
fn a_notification_with_coupons_counts_the_whole_amount() {
    let vector = Vector::named("payment_notify_md5_with_coupons");
    let notification =
        notification::read(&vector.xml(), &query().mchid, &vector.key(), vector.sign_type()).unwrap().into_inner();
    let Notification::Paid(paid) = notification else { panic!("{notification:?}") };
    assert_eq!(paid.total, Some(Fen::new(3000)));
    assert_eq!(paid.payer_total, Some(Fen::new(2500)));
    assert_eq!(paid.success_time, Some("2026-01-22T06:31:22Z".parse().unwrap()));
}

#[test]
fn lesson_01_a_notification_without_sign_or_return_code_is_never_believed() {
    for name in ["payment_notify_without_sign", "payment_notify_empty_sign"] {
        let vector = Vector::named(name);
        let read = notification::read(&vector.xml(), &query().mchid, &vector.key(), SignType::Md5);
        assert!(
            matches!(read, Err(notification::NotificationError::NotAuthentic(SignatureError::Missing))),
            "{name}: {read:?}"
        );
    }
    // Leaving return_code out must not skip the check of the signature.
    let bare = b"<xml><mch_id>1600000001</mch_id><out_trade_no>ORD000001</out_trade_no><total_fee>1</total_fee></xml>";
    let key = Vector::named("payment_notify_without_sign").key();
    assert!(notification::read(bare, &query().mchid, &key, SignType::Md5).is_err());
}

#[test]
fn lesson_02_a_field_that_wechat_adds_does_not_break_verification() {
    let vector = Vector::named("payment_notify_unknown_fields");
    assert!(notification::read(&vector.xml(), &query().mchid, &vector.key(), vector.sign_type()).is_ok());
}

#[test]
fn a_genuine_notification_of_another_program_of_the_merchant_is_read() {
    // Older rules allowed short numbers, `@` and 128 bytes of attach.
    let vector = Vector::named("payment_notify_md5_with_coupons");
    let mut fields = Fields::parse(&vector.xml()).unwrap();
    fields.set("out_trade_no", "A@1").set("attach", "x".repeat(128));
    let signed = v2::signed(fields, &vector.key(), SignType::Md5).to_xml();
    assert!(notification::read(signed.as_bytes(), &query().mchid, &vector.key(), SignType::Md5).is_ok());
}

#[test]
fn lesson_03_only_the_agreed_hash_is_accepted() {
    let vector = Vector::named("payment_notify_hmac");
    assert!(notification::read(&vector.xml(), &query().mchid, &vector.key(), SignType::HmacSha256).is_ok());
    for (name, wrong) in
        [("payment_notify_hmac", SignType::Md5), ("payment_notify_md5_with_coupons", SignType::HmacSha256)]
    {
        let vector = Vector::named(name);
        let read = notification::read(&vector.xml(), &query().mchid, &vector.key(), wrong);
        assert!(
            matches!(read, Err(notification::NotificationError::NotAuthentic(SignatureError::OtherType))),
            "{name}: {read:?}"
        );
    }
}

/// Reads the success that a vector holds as the answer to a call.
fn answered<C: Call>(call: &C, name: &str) -> Result<C::Answer, AnswerError> {
    let vector = Vector::named(name);
    v2::read_answer(call, &vector.xml(), &vector.key(), vector.sign_type()).map(weixin::Verified::into_inner)
}

fn refund_request() -> RefundRequest {
    RefundRequest::from_fields(&Fields::parse(&Vector::named("refund_request").xml()).unwrap()).unwrap()
}

fn refund_query(which: refund_query::Which) -> RefundQuery {
    let OrderQuery { appid, mchid, .. } = query();
    RefundQuery { appid, mchid, which, offset: None }
}

fn by_order() -> RefundQuery {
    refund_query(refund_query::Which::Payment(query().which))
}

#[test]
fn a_refund_is_written_as_it_was_read() {
    let received = Fields::parse(&Vector::named("refund_request").xml()).unwrap();
    let request = refund_request();
    assert_eq!(request.payment, PaymentNo::OutTradeNo(OutTradeNo::parse("ORD20260122143001000001").unwrap()));
    assert_eq!((request.refund.fen().get(), request.total.fen().get()), (1000, 3000));
    let nonce_str = NonceStr::parse(received.get("nonce_str").unwrap()).unwrap();
    let mut written = request.unsigned(SignType::Md5, &nonce_str);
    // The vector leaves the type out, which means MD5; we always say it.
    written.remove("sign_type");
    let key = Vector::named("refund_request").key();
    assert_eq!(v2::signed(written, &key, SignType::Md5).get("sign"), received.get("sign"));
    let again = Fields::parse(&Vector::named("refundquery_request").xml()).unwrap();
    assert_eq!(RefundQuery::from_fields(&again).unwrap(), by_order());
    assert!(by_order().to_fields().iter().all(|(name, value)| again.get(name) == Some(value)));
}

#[test]
fn an_accepted_refund_is_under_way_and_not_done() {
    let refund = answered(&refund_request(), "refund_response_success").unwrap();
    let expected = Refund {
        out_trade_no: OutTradeNo::parse("ORD20260122143001000001").unwrap(),
        transaction_id: weixin::TransactionId::parse("4200001234202601221234567890").unwrap(),
        out_refund_no: OutRefundNo::parse("RF20260122150000000001").unwrap(),
        refund_id: "50300001232026012200000000001".to_owned(),
        state: RefundState::Processing,
        refund: Fen::new(1000),
        total: Fen::new(3000),
        success_time: None,
        user_received_account: None,
    };
    assert_eq!(refund, expected);
    let vector = Vector::named("refund_response_success");
    let real = Fields::parse(&vector.xml()).unwrap();
    let nonce_str = NonceStr::parse(real.get("nonce_str").unwrap()).unwrap();
    let (appid, mchid) = (query().appid, query().mchid);
    let ours = v2::success(&refund, (&appid, &mchid), &nonce_str, &vector.key(), vector.sign_type());
    assert_eq!((ours.get("sign"), &ours), (real.get("sign"), &real), "in the same order");
}

#[test]
fn a_balance_that_is_too_low_is_told_apart() {
    let answer = answered(&refund_request(), "refund_response_notenough");
    let Err(AnswerError::Rejected(rejection)) = answer else { panic!("{answer:?}") };
    assert_eq!(RefundRefusal::of(&rejection.err_code), RefundRefusal::NotEnough);
}

#[test]
fn lesson_22_a_refund_that_is_not_found_has_not_failed() {
    let answer = answered(&by_order(), "refundquery_response_not_exist");
    let Err(AnswerError::Rejected(rejection)) = answer else { panic!("{answer:?}") };
    assert_eq!(RefundRefusal::of(&rejection.err_code), RefundRefusal::NotFound);
}

#[test]
fn two_refunds_of_an_order_are_told_apart_although_coupons_have_numbers_too() {
    let answer = answered(&by_order(), "refundquery_response_two_refunds").unwrap();
    assert_eq!((answer.refunds.len(), answer.total_count), (2, Some(2)));
    let [first, second] = &answer.refunds[..] else { panic!("{answer:?}") };
    assert_eq!((first.refund.get(), second.refund.get(), first.total.get()), (1000, 1500, 3000));
    assert_eq!((&first.state, &second.state), (&RefundState::Success, &RefundState::Processing));
    assert_eq!(first.success_time, Some("2026-01-22T07:00:09Z".parse().unwrap()));
    assert_eq!((second.success_time, second.user_received_account.as_deref()), (None, Some("招商银行信用卡0403")));
    assert_eq!(answer.find(&second.out_refund_no), Some(second));
    assert_eq!(answer.find(&OutRefundNo::parse("RF3").unwrap()), None);
}

#[test]
fn the_simulators_refunds_have_the_shape_of_real_ones() {
    let answer = answered(&by_order(), "refundquery_response_two_refunds").unwrap();
    let real = Fields::parse(&Vector::named("refundquery_response_two_refunds").xml()).unwrap();
    let ours = v2::Answer::to_fields(&answer);
    let missing: Vec<_> = real.iter().map(|(name, _)| name).filter(|name| ours.get(name).is_none()).collect();
    let envelope = ["appid", "mch_id", "nonce_str", "result_code", "return_code", "return_msg", "sign"];
    let unexpected = missing.iter().filter(|name| !name.contains("coupon") && !envelope.contains(name));
    assert_eq!(unexpected.collect::<Vec<_>>(), [&"settlement_total_fee"], "there are no coupons");
    assert_eq!(<Refunds as v2::Answer>::from_fields(&ours).unwrap(), answer);
    assert!(ours.iter().map(|(name, _)| name).is_sorted());
}

#[test]
fn a_refund_that_is_announced_must_be_there() {
    let mut fields = v2::Answer::to_fields(&answered(&by_order(), "refundquery_response_two_refunds").unwrap());
    for (count, field) in [("3", "out_refund_no"), ("4294967296", "refund_count"), ("9999", "refund_count")] {
        fields.set("refund_count", count);
        assert_eq!(<Refunds as v2::Answer>::from_fields(&fields).unwrap_err().field, field);
    }
}

#[test]
fn words_of_older_pages_are_understood() {
    let mut fields = v2::Answer::to_fields(&answered(&by_order(), "refundquery_response_two_refunds").unwrap());
    for (word, state) in [
        ("CHANGE", RefundState::Abnormal),
        ("REFUNDCLOSE", RefundState::Closed),
        ("FAIL", RefundState::Closed),
        ("NOTSURE", RefundState::Unknown("NOTSURE".to_owned())),
    ] {
        fields.set("refund_status_1", word);
        assert_eq!(<Refunds as v2::Answer>::from_fields(&fields).unwrap().refunds[1].state, state);
    }
}

#[test]
fn the_key_decides_which_refund_wins_when_several_numbers_are_sent() {
    let mut fields = by_order().to_fields();
    fields.set("out_refund_no", "RF1");
    let number = OutRefundNo::parse("RF1").unwrap();
    assert_eq!(RefundQuery::from_fields(&fields).unwrap().which, refund_query::Which::OutRefundNo(number));
    fields.set("refund_id", "503");
    assert_eq!(RefundQuery::from_fields(&fields).unwrap().which, refund_query::Which::RefundId("503".to_owned()));
}

#[test]
fn req_info_is_sealed_byte_for_byte() {
    for vector in Vector::all("req_info_encrypt") {
        let sealed = req_info::seal(vector.input("plaintext"), &vector.key());
        assert_eq!(sealed, vector.expected("req_info").as_str().unwrap(), "{}", vector.name());
    }
    for vector in Vector::all("req_info_decrypt") {
        let plain = req_info::open(vector.input("req_info"), &vector.key());
        let Some(expected) = vector.expected("plaintext").as_str() else {
            let read = plain.map(|plain| Fields::parse_root("root", &plain));
            assert!(read.is_none_or(|fields| fields.is_err()), "{}", vector.name());
            continue;
        };
        let plain = plain.unwrap_or_else(|| panic!("{}", vector.name()));
        assert_eq!(plain, expected.as_bytes(), "{}", vector.name());
        let fields = Fields::parse_root("root", &plain).unwrap();
        assert_eq!(&as_object(&fields), vector.expected("fields"), "{}", vector.name());
        let outer = Fields::parse(&vector.xml()).unwrap();
        assert_eq!(outer.get("req_info"), Some(vector.input("req_info")));
    }
}

#[test]
fn a_refund_notification_is_written_as_it_was_read_and_sealed_byte_for_byte() {
    for (name, state) in [
        ("refund_notify_decrypt", RefundState::Success),
        ("refund_notify_leading_zero_key_decrypt", RefundState::Success),
        ("refund_notify_change_decrypt", RefundState::Abnormal),
    ] {
        let vector = Vector::named(name);
        assert!(refund_notification::is_one(&vector.xml()));
        let told = refund_notification::read(&vector.xml(), &query().mchid, &vector.key()).unwrap();
        assert_eq!((&told.refund.state, &told.request_source), (&state, &RequestSource::Api));
        assert_eq!((told.refund.refund.get(), told.refund.total.get()), (1000, 3000));
        assert_eq!(told.refund.success_time.is_some(), state == RefundState::Success);
        let nonce_str = NonceStr::parse("TeqClE3i0mvn3DrKTeqClE3i0mvn3DrK").unwrap();
        let written = told.write(&nonce_str, &vector.key());
        assert_eq!(written, Fields::parse(&vector.xml()).unwrap(), "{name}");
        assert_eq!(written.get("req_info"), Some(vector.input("req_info")), "{name}");
    }
}

#[test]
fn a_refund_notification_under_another_key_or_for_another_merchant_is_refused() {
    let vector = Vector::named("refund_notify_decrypt");
    let other_key = Vector::named("refund_notify_wrong_key").key();
    let read = |mchid: &MchId, key: &ApiV2Key| refund_notification::read(&vector.xml(), mchid, key).unwrap_err();
    assert_eq!(read(&query().mchid, &other_key), RefundNotificationError::Sealed);
    let other = MchId::parse("1600000002").unwrap();
    assert_eq!(read(&other, &vector.key()), RefundNotificationError::OtherMerchant);
    let payment = Vector::named("payment_notify_md5_with_coupons");
    assert!(!refund_notification::is_one(&payment.xml()));
    assert!(refund_notification::read(&payment.xml(), &query().mchid, &vector.key()).is_err());
    // A payment's notification that pretends to be one of a refund is still not believed as a payment.
    assert!(notification::read(&vector.xml(), &query().mchid, &vector.key(), SignType::Md5).is_err());
}

#[test]
fn a_refund_notification_that_lacks_a_field_says_which() {
    let vector = Vector::named("refund_notify_full_padding_block_decrypt");
    let read = refund_notification::read(&vector.xml(), &query().mchid, &vector.key());
    let Err(RefundNotificationError::Field(error)) = read else { panic!("{read:?}") };
    assert_eq!(error.field, "out_trade_no");
}

#[test]
fn every_kind_of_vector_is_tested_or_named_here() {
    // Bills are read by later parts of the crate.
    let tested = [
        "sign",
        "pay_sign",
        "verify_xml",
        "classify_xml",
        "reject_xml",
        "notify_reply",
        "validate_field",
        "yuan_to_fen",
        "req_info_encrypt",
        "req_info_decrypt",
    ];
    let later = ["bill_parse"];
    let file: Value = serde_json::from_str(include_str!("vectors/pay-v2.json")).unwrap();
    for kind in file["kinds"].as_object().unwrap().keys() {
        assert!(tested.contains(&kind.as_str()) || later.contains(&kind.as_str()), "{kind}");
    }
}

fn query() -> OrderQuery {
    OrderQuery {
        appid: AppId::parse("wx0123456789abcdef").unwrap(),
        mchid: MchId::parse("1600000001").unwrap(),
        which: Which::OutTradeNo(OutTradeNo::parse("ORD20260122143001000001").unwrap()),
    }
}
