"""What the checks share: the simulator's address and credentials, its control API, a merchant's server that receives
notifications, and the printing of results."""

import http.server
import json
import os
import pathlib
import queue
import secrets
import threading
import urllib.request

# What the simulator announced when it started: base_url, apps, merchants, …
ANNOUNCED = json.loads(os.environ["SIMULATOR"])
BASE_URL = ANNOUNCED["base_url"]
APPID = ANNOUNCED["apps"][0]["appid"]
DESCRIPTION = '示例小店-手冲咖啡 & "茶" x2'

# How long an answer or a notification may take. Nothing is awaited for longer.
WITHIN_S = 10


def fixture(name):
    """Reads a fake key of the simulator."""
    return (pathlib.Path(os.environ["FIXTURES"]) / name).read_text(encoding="utf-8")


def number(prefix):
    """Number of an order or a refund: new in each run, because the simulator may be an older one."""
    return prefix + secrets.token_hex(8)


class Checks:
    """The checks of one part: each prints one line."""

    def __init__(self, part):
        self.part = part
        self.failed = False

    def check(self, name, run):
        try:
            result = run()
        except Exception as error:  # whatever an SDK throws is a failed check
            self.failed = True
            print(f"FAIL  {self.part}: {name}\n      {type(error).__name__}: {error}", flush=True)
            return None
        print(f"ok    {self.part}: {name}", flush=True)
        return result


def same(left, right):
    assert left == right, f"{left!r} is not {right!r}"


def control(path, body=None):
    """Calls the control API."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{BASE_URL}/_sim/{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
        return json.load(answer)


def openid(customer):
    """A customer's openid, which the simulator tells to whoever asks its control API."""
    control("wx/login", {"appid": APPID, "customer": customer})
    customers = control("status")["customers"]
    return next(one["openid"] for one in customers if (one["appid"], one["customer"]) == (APPID, customer))


def pay(customer, parameters):
    """A customer's phone: pays with the argument of wx.requestPayment."""
    call = {"appid": APPID, "customer": customer, "parameters": parameters, "choice": "pay"}
    return control("wx/requestPayment", call)["errMsg"]


# Replies with which a merchant's server accepts a notification.
ACCEPT_V3 = (204, b"")
ACCEPT_V2 = (200, b"<xml><return_code>SUCCESS</return_code><return_msg>OK</return_msg></xml>")


class Inbox:
    """A merchant's server: keeps what WeChat Pay posts, and accepts it."""

    def __init__(self, reply):
        arrived = self.arrived = queue.Queue()
        status, body = reply

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                arrived.put((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/notify"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        """Headers and body of the next notification."""
        try:
            return self.arrived.get(timeout=WITHIN_S)
        except queue.Empty:
            raise AssertionError("no notification came") from None

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# How long a refund takes: long enough that its first answer says PROCESSING.
REFUND_AFTER_S = 1


def set_up():
    """One merchant for each way in which WeChat Pay may sign for it. All have the same certificate."""
    first, told = ANNOUNCED["merchants"][0], ANNOUNCED["merchants_v3"][0]
    modes = {"public key": "public_key", "platform certificate": "certificates", "both keys": "both"}
    merchants = []
    control("platform", {"refund_after_s": REFUND_AFTER_S})
    for index, (mode, key_mode) in enumerate(modes.items()):
        mchid = str(int(first["mchid"]) + index)
        keys = {"api_v2_key": first["api_v2_key"], "api_v3_key": told["api_v3_key"]}
        certificates = [{"pem": told["certificate_pem"]}]
        control("merchants", {"mchid": mchid, **keys, "certificates": certificates, "key_mode": key_mode})
        public_key_id = told["public_key_id"].replace(first["mchid"], mchid)
        known = {"serial": told["serials"][0], "public_key_id": None if key_mode == "certificates" else public_key_id}
        merchants.append({"mode": mode, "mchid": mchid, **keys, **known})
    control("apps", {**ANNOUNCED["apps"][0], "merchants": [merchant["mchid"] for merchant in merchants]})
    return merchants


MERCHANTS = set_up()
