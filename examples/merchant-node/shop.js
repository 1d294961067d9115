// A merchant's own back end: makes orders, learns that they are paid, gives money back. Node 18 or newer.
//
//   ZHANGGUI=http://127.0.0.1:8080 ZHANGGUI_KEY=zg_… node shop.js
//
// A till posts {"reference","amount","description","openid"} to /sell and {"reference"} to /take-back; /sales shows the
// books. A real shop keeps its books in a database; this one in memory.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

const { ZHANGGUI: server, ZHANGGUI_KEY: key, PORT: port = 0 } = process.env;
const sales = new Map(); // by our own reference: { order, state, refunded, sequence }
const seen = new Set(); // events that were handled: each may come twice

/** Calls Zhanggui. The same `name` has its effect once, however often the call is repeated. */
async function call(path, body, name = randomUUID()) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'idempotency-key': name };
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(server + path, { method: 'POST', headers, body: JSON.stringify(body) }).catch(() => null);
    if (answer?.ok) return answer.json();
    const again = !answer || answer.status >= 500 || answer.headers.has('retry-after');
    if (!again || attempt === 5) throw new Error(`${path}: ${answer ? await answer.text() : 'no answer'}`);
    await new Promise((resolve) => { setTimeout(resolve, 1000 * (answer?.headers.get('retry-after') ?? attempt)); });
  }
}

const routes = {
  async '/sell'(sale) {
    const order = await call('/v1/orders', sale, `sell-${sale.reference}`);
    if (!sales.has(sale.reference)) sales.set(sale.reference, { order: order.id, state: order.state, refunded: 0, sequence: 0 });
    return order;
  },
  async '/take-back'({ reference }) {
    return call(`/v1/orders/${sales.get(reference).order}/refunds`, { reason: '退货', reference }, `back-${reference}`);
  },
  async '/sales'() {
    return Object.fromEntries(sales);
  },
};

/** An event about an order. The body was verified; older ones than what we know change nothing. */
function learn({ id, sequence, data: { order } }) {
  const sale = order && sales.get(order.reference);
  if (seen.has(id) || !sale || sequence <= sale.sequence) return;
  seen.add(id);
  Object.assign(sale, { state: order.state, refunded: order.refunded, sequence });
}

const shop = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  const answer = (status, value) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  try {
    if (request.url !== '/hook') return answer(200, await routes[request.url](JSON.parse(body || '{}')));
    learn(webhook.verify(body, request.headers));
    return response.writeHead(204).end();
  } catch (error) {
    return answer(error instanceof WebhookVerificationError ? 401 : 502, { error: error.message });
  }
});

shop.listen(port, '127.0.0.1');
await once(shop, 'listening');
const url = `http://127.0.0.1:${shop.address().port}`;
const webhook = new Webhook((await call('/v1/webhooks', { url: `${url}/hook` })).secret);
console.log(`ready ${url}`);
