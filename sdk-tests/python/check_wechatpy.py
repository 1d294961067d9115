"""wechatpy (Python) against the simulator: API v2. The SDK signs and verifies with MD5 only, except that an order may
say sign_type HMAC-SHA256."""

import sys

from wechatpy.exceptions import InvalidSignatureException, WeChatPayException
from wechatpy.pay import WeChatPay

from simulator import (
    ACCEPT_V2, ANNOUNCED, APPID, BASE_URL, DESCRIPTION, WITHIN_S, Checks, Inbox, number, openid, pay, same,
)

MERCHANT = ANNOUNCED["merchants"][0]
WeChatPay.API_BASE_URL = f"{BASE_URL}/"


def client(key=MERCHANT["api_v2_key"]):
    return WeChatPay(appid=APPID, api_key=key, mch_id=MERCHANT["mchid"], timeout=WITHIN_S)


def main():
    checks = Checks("wechatpy v2")
    inbox = Inbox(ACCEPT_V2)
    wechat = client()
    out_trade_no = number("wechatpy_")

    def order(out_trade_no, **more):
        answer = wechat.order.create(
            trade_type="JSAPI",
            body=DESCRIPTION,
            total_fee=3000,
            notify_url=inbox.url,
            client_ip="203.0.113.7",
            user_id=openid("li"),
            out_trade_no=out_trade_no,
            **more,
        )
        return answer["prepay_id"]

    def pays():
        same(pay("li", wechat.jsapi.get_jsapi_params(prepay_id)), "requestPayment:ok")

    def notification():
        headers, body = inbox.next()
        result = wechat.parse_payment_result(body)
        same((result["out_trade_no"], result["total_fee"], result["result_code"]), (out_trade_no, 3000, "SUCCESS"))
        forged = body.replace(b"3000", b"1")
        try:
            wechat.parse_payment_result(forged)
        except InvalidSignatureException:
            return result["transaction_id"]
        raise AssertionError("a forged amount was believed")

    def queries():
        ours = wechat.order.query(out_trade_no=out_trade_no)
        theirs = wechat.order.query(transaction_id=transaction_id)
        assert wechat.check_signature(ours) and wechat.check_signature(theirs), "the signature of an answer"
        same((ours["trade_state"], ours["transaction_id"]), ("SUCCESS", transaction_id))
        same(theirs["out_trade_no"], out_trade_no)

    def closes():
        unpaid = number("wechatpy_")
        order(unpaid)
        wechat.order.close(unpaid)
        same(wechat.order.query(out_trade_no=unpaid)["trade_state"], "CLOSED")

    def signs_with_hmac():
        order(number("wechatpy_"), sign_type="HMAC-SHA256")

    def refused(call):
        try:
            call()
        except WeChatPayException as error:
            return error
        raise AssertionError("the call was not refused")

    def keeps_paid():
        same(refused(lambda: wechat.order.close(out_trade_no)).errcode, "ORDERPAID")

    def wrong_key():
        stranger = client("wrongApiV2Key0000000000000000000")
        same(refused(lambda: stranger.order.query(out_trade_no=out_trade_no)).return_code, "FAIL")

    prepay_id = checks.check("an order gets a prepay_id", lambda: order(out_trade_no))
    checks.check("an order signed with HMAC-SHA256 gets a prepay_id", signs_with_hmac)
    checks.check("the phone accepts the parameters of get_jsapi_params", pays)
    transaction_id = checks.check("the notification is parsed, a forged one is not", notification)
    checks.check("a query by each of the two numbers says SUCCESS", queries)
    checks.check("an unpaid order is closed", closes)
    checks.check("a paid order is not closed", keeps_paid)
    checks.check("a wrong key is refused", wrong_key)
    inbox.close()
    return checks.failed


sys.exit(main())
