"""wechatpayv3 (Python) against the simulator: API v3 in all three key modes, a change of certificates, and refusals."""

import functools
import json
import pathlib
import sys
import tempfile
import time

from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core

from simulator import (
    ACCEPT_V3, APPID, BASE_URL, DESCRIPTION, MERCHANTS, WITHIN_S,
    Checks, Inbox, control, fixture, number, openid, pay, same,
)

# The SDK writes its host into each new object and calls it at once; this is the only way in.
Core._gate_way = property(lambda _: BASE_URL, lambda _, host: None)


def client(merchant, cert_dir=None, **overrides):
    arguments = {
        "wechatpay_type": WeChatPayType.MINIPROG,
        "mchid": merchant["mchid"],
        "private_key": fixture("apiclient_key.pem"),
        "cert_serial_no": merchant["serial"],
        "appid": APPID,
        "apiv3_key": merchant["api_v3_key"],
        "timeout": WITHIN_S,
        **overrides,
    }
    if merchant["public_key_id"]:
        keys = {"public_key": fixture("pub_key.pem"), "public_key_id": merchant["public_key_id"]}
    else:
        keys = {"cert_dir": cert_dir}
    return WeChatPay(**arguments, **keys)


def said(answer, status):
    """The JSON of an answer. The SDK has verified the signature if the status is 2xx, or has raised an error."""
    code, message = answer
    assert code == status, f"{code} instead of {status}: {message}"
    return json.loads(message) if message else None


def flow(merchant, cert_dir):
    checks = Checks(f"wechatpayv3, {merchant['mode']}")
    inbox = Inbox(ACCEPT_V3)
    out_trade_no, out_refund_no = number("py3_"), number("refund3_")
    wechat = checks.check("a client gets its keys", lambda: client(merchant, cert_dir))
    if wechat is None:
        return True

    def keeps():
        [file] = pathlib.Path(cert_dir).iterdir()
        same(file.read_text(encoding="utf-8"), fixture("platform_1_cert.pem"))
        assert file.stem.startswith("0"), "the zero in front of the serial number is there"
        said(client(merchant, cert_dir).query(out_trade_no=number("none3_")), 404)

    def order(out_trade_no):
        answer = wechat.pay(
            description=DESCRIPTION,
            out_trade_no=out_trade_no,
            amount={"total": 3000, "currency": "CNY"},
            payer={"openid": openid("li")},
            notify_url=inbox.url,
        )
        return said(answer, 200)["prepay_id"]

    def pays():
        sheet = {"timeStamp": str(int(time.time())), "nonceStr": number("n"), "package": f"prepay_id={prepay_id}"}
        sign = wechat.sign([APPID, *sheet.values()])
        same(pay("li", {**sheet, "signType": "RSA", "paySign": sign}), "requestPayment:ok")

    def payment_notification():
        headers, body = inbox.next()
        event = wechat.callback(headers, body)
        resource = event["resource"]
        same((event["event_type"], resource["trade_state"]), ("TRANSACTION.SUCCESS", "SUCCESS"))
        same((resource["out_trade_no"], resource["amount"]["total"]), (out_trade_no, 3000))
        same((resource["appid"], resource["mchid"]), (APPID, merchant["mchid"]))
        same(wechat.callback(headers, body.replace(b"TRANSACTION.SUCCESS", b"TRANSACTION.success")), None)
        return resource["transaction_id"]

    def queries():
        ours = said(wechat.query(out_trade_no=out_trade_no), 200)
        same((ours["trade_state"], ours["transaction_id"]), ("SUCCESS", transaction_id))
        same(said(wechat.query(transaction_id=transaction_id), 200), ours)

    def closes():
        unpaid = number("py3_")
        order(unpaid)
        said(wechat.close(unpaid), 204)
        same(said(wechat.query(out_trade_no=unpaid), 200)["trade_state"], "CLOSED")

    def refunds():
        answer = wechat.refund(
            out_refund_no=out_refund_no,
            amount={"refund": 1000, "total": 3000, "currency": "CNY"},
            transaction_id=transaction_id,
            reason="商品已售完",
            notify_url=inbox.url,
        )
        refund = said(answer, 200)
        same((refund["out_refund_no"], refund["status"]), (out_refund_no, "PROCESSING"))

    def refund_notification():
        event = wechat.callback(*inbox.next())
        resource = event["resource"]
        same((event["event_type"], resource["refund_status"]), ("REFUND.SUCCESS", "SUCCESS"))
        same((resource["out_refund_no"], resource["amount"]["refund"]), (out_refund_no, 1000))

    def refund_query():
        refund = said(wechat.query_refund(out_refund_no), 200)
        same((refund["status"], refund["amount"]["refund"]), ("SUCCESS", 1000))
        same(said(wechat.query(transaction_id=transaction_id), 200)["trade_state"], "REFUND")

    def rotates():
        control("platform", {"rotation": "second_signs"})
        try:
            said(wechat.query(transaction_id=transaction_id), 200)
            kept = {file.read_text(encoding="utf-8") for file in pathlib.Path(cert_dir).iterdir()}
            same(kept, {fixture("platform_1_cert.pem"), fixture("platform_2_cert.pem")})
        finally:
            control("platform", {"rotation": "first_only"})

    if not merchant["public_key_id"]:
        checks.check("the downloaded certificate is kept and read again", keeps)
    prepay_id = checks.check("an order gets a prepay_id", lambda: order(out_trade_no))
    checks.check("the phone accepts parameters signed with sign", pays)
    transaction_id = checks.check("the notification is verified and decrypted, not a changed one", payment_notification)
    checks.check("a query by each of the two numbers says SUCCESS", queries)
    checks.check("an unpaid order is closed with 204", closes)
    checks.check("a refund is accepted", refunds)
    checks.check("the notification of the refund is verified and decrypted", refund_notification)
    checks.check("a query of the refund says SUCCESS, and one of the order REFUND", refund_query)
    if not merchant["public_key_id"]:
        checks.check("after a change of certificates the new one is fetched and believed", rotates)
    inbox.close()
    return checks.failed


def refusals(merchant):
    checks = Checks("wechatpayv3, refusals")
    cases = {
        "a wrong private key": {"private_key": fixture("stranger_key.pem")},
        "a wrong serial number": {"cert_serial_no": "3FA4E000000000000000000000000000000000FF"},
    }

    def refused(overrides):
        answer = client(merchant, **overrides).query(out_trade_no=number("none3_"))
        same(said(answer, 401)["code"], "SIGN_ERROR")

    for name, overrides in cases.items():
        checks.check(f"{name} is answered 401 SIGN_ERROR", functools.partial(refused, overrides))
    return checks.failed


def main():
    with tempfile.TemporaryDirectory() as cert_dir:
        failed = [flow(merchant, cert_dir) for merchant in MERCHANTS]
    failed.append(refusals(MERCHANTS[0]))
    return any(failed)


sys.exit(main())
