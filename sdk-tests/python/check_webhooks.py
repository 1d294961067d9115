"""The official library of Standard Webhooks verifies what `zhanggui dev` posts."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from simulator import WITHIN_S, Checks, Inbox, same


def main():
    checks = Checks("webhooks, verified by standardwebhooks (Python)")
    inbox = Inbox((204, b""))
    with tempfile.TemporaryDirectory() as folder:
        command = [os.environ["ZHANGGUI"], "dev", "--data", folder, "--json"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as dev:
            try:
                verify(checks, inbox, json.loads(dev.stdout.readline()))
            finally:
                dev.terminate()
                dev.wait()
    inbox.close()
    sys.exit(checks.failed)


def verify(checks, inbox, started):
    def call(path, body):
        headers = {"authorization": f"Bearer {started['api_key']}", "content-type": "application/json"}
        request = urllib.request.Request(started["server"] + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=WITHIN_S) as answer:
            return json.load(answer)

    endpoint = call("/v1/webhooks", {"url": inbox.url})

    def next_event():
        event = call(f"/v1/webhooks/{endpoint['id']}/test", {})["event"]
        headers, body = inbox.next()
        return event, headers, body

    def verified():
        event, headers, body = next_event()
        told = Webhook(endpoint["secret"]).verify(body, headers)
        same((told["type"], told["id"]), ("webhook.tested", event))

    def refused():
        _, headers, body = next_event()
        other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        for secret, text in [(endpoint["secret"], body.replace(b"tested", b"proven")), (other, body)]:
            try:
                Webhook(secret).verify(text, headers)
            except WebhookVerificationError:
                continue
            raise AssertionError("a forged event was believed")

    def rotated():
        newer = call(f"/v1/webhooks/{endpoint['id']}/rotate", {})["secret"]
        _, headers, body = next_event()
        for secret in (endpoint["secret"], newer):
            Webhook(secret).verify(body, headers)

    checks.check("an event is verified and has the id that was announced", verified)
    checks.check("a changed body and another secret are refused", refused)
    checks.check("during a rotation the old secret and the new one verify", rotated)


if __name__ == "__main__":
    main()
