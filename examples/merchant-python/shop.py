"""A merchant's own back end: makes orders, learns that they are paid, gives money back. Python 3.9 or newer.

    ZHANGGUI=http://127.0.0.1:8080 ZHANGGUI_KEY=zg_… python shop.py

A till posts {"reference","amount","description","openid"} to /sell and {"reference"} to /take-back; /sales shows the
books. A real shop keeps its books in a database; this one in memory."""

import http.server
import json
import os
import time
import urllib.error
import urllib.request
import uuid

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SERVER, KEY = os.environ["ZHANGGUI"], os.environ["ZHANGGUI_KEY"]
sales = {}  # by our own reference: order, state, refunded, sequence
seen = set()  # events that were handled: each may come twice


def call(path, body, name=None):
    """Calls Zhanggui. The same `name` has its effect once, however often the call is repeated."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    headers["idempotency-key"] = name or str(uuid.uuid4())
    for attempt in range(1, 6):
        try:
            request = urllib.request.Request(SERVER + path, json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            pause = error.headers["retry-after"]
            if attempt == 5 or (error.code < 500 and not pause):
                raise RuntimeError(f"{path}: {error.read().decode()}") from None
        except urllib.error.URLError:
            pause = None
        time.sleep(int(pause or attempt))
    raise RuntimeError(f"{path}: no answer")


def sell(sale):
    order = call("/v1/orders", sale, f"sell-{sale['reference']}")
    sales.setdefault(sale["reference"], {"order": order["id"], "state": order["state"], "refunded": 0, "sequence": 0})
    return order


def take_back(body):
    reference = body["reference"]
    wish = {"reason": "退货", "reference": reference}
    return call(f"/v1/orders/{sales[reference]['order']}/refunds", wish, f"back-{reference}")


def learn(event):
    """An event about an order. The body was verified; older ones than what we know change nothing."""
    order = event["data"].get("order") or {}
    sale = sales.get(order.get("reference"))
    if event["id"] in seen or not sale or event["sequence"] <= sale["sequence"]:
        return
    seen.add(event["id"])
    sale.update(state=order["state"], refunded=order["refunded"], sequence=event["sequence"])


class Shop(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"] or 0))
        routes = {"/sell": sell, "/take-back": take_back, "/sales": lambda _: sales}
        try:
            if self.path == "/hook":
                learn(webhook.verify(body, dict(self.headers)))
                self.answer(204)
            else:
                self.answer(200, routes[self.path](json.loads(body or b"{}")))
        except WebhookVerificationError:
            self.answer(401, {"error": "not signed by Zhanggui"})
        except Exception as error:  # the till shall know
            self.answer(502, {"error": str(error)})

    def answer(self, status, value=None):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


shop = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 0))), Shop)
url = f"http://127.0.0.1:{shop.server_port}"
webhook = Webhook(call("/v1/webhooks", {"url": f"{url}/hook"})["secret"])
print(f"ready {url}", flush=True)
shop.serve_forever()
