"""Plays till and customer for one of the example back ends: check.py NAME COMMAND…

Starts `zhanggui dev` and the example, sells something, lets the customer pay, takes it back, and looks into the books of
the example, which learns everything from webhooks."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

WITHIN_S = 15
AMOUNT = 1990


def post(url, body, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None


def get(url):
    with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
        return json.load(answer)


def wait_for(books, expected):
    """The books follow when the events have come."""
    until = time.monotonic() + WITHIN_S
    while True:
        sale = books()
        if all(sale[name] == value for name, value in expected.items()):
            return
        assert time.monotonic() < until, f"{sale} instead of {expected}"
        time.sleep(0.05)


def story(dev, shop):
    server, wechat, appid = dev["server"], dev["wechat"], dev["appid"]
    customer = {"appid": appid, "customer": "li"}
    code = post(f"{wechat}/_sim/wx/login", customer)["code"]
    token = post(f"{server}/v1/login", {"code": code})["token"]
    customers = get(f"{wechat}/_sim/status")["customers"]
    openid = next(one["openid"] for one in customers if one["appid"] == appid and one["customer"] == "li")

    sale = {"reference": "S-1", "amount": AMOUNT, "description": "手冲咖啡", "openid": openid}
    order = post(f"{shop}/sell", sale)
    again = post(f"{shop}/sell", sale)
    assert order == again, "the till pressed twice, and there are two orders"
    print("ok    an order, and only one")

    sheet = post(f"{server}/v1/orders/{order['id']}/pay", {}, token)
    paid = post(f"{wechat}/_sim/wx/requestPayment", {**customer, "parameters": sheet, "choice": "pay"})
    assert paid["errMsg"] == "requestPayment:ok", paid
    books = lambda: post(f"{shop}/sales", {})["S-1"]
    wait_for(books, {"state": "paid", "refunded": 0})
    print("ok    the example learned that it is paid")

    forged = urllib.request.Request(f"{shop}/hook", b"{}", {"webhook-id": "evt_1", "webhook-timestamp": "1"})
    try:
        urllib.request.urlopen(forged, timeout=WITHIN_S)
        raise AssertionError("a forged event was believed")
    except urllib.error.HTTPError as error:
        assert error.code == 401, error.code
    print("ok    a forged event is refused")

    post(f"{shop}/take-back", {"reference": "S-1"})
    post(f"{shop}/take-back", {"reference": "S-1"})
    wait_for(books, {"refunded": AMOUNT})
    print("ok    the money went back, once")


def main():
    name, *command = sys.argv[1:]
    print(f"example {name}")
    program = os.environ["ZHANGGUI_PROGRAM"]
    with tempfile.TemporaryDirectory() as folder:
        processes = []

        def start(arguments, **more):
            process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, **more)
            processes.append(process)
            return process.stdout.readline()

        try:
            dev = json.loads(start([program, "dev", "--data", folder, "--json"]))
            environment = {**os.environ, "ZHANGGUI": dev["server"], "ZHANGGUI_KEY": dev["api_key"]}
            ready = start(command, env=environment).split()
            assert ready[:1] == ["ready"], "the example did not start"
            story(dev, ready[1])
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


main()
