// The official library of Standard Webhooks verifies what `zhanggui dev` posts.

import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';

import { WITHIN_MS, check, describe } from './simulator.js';

describe('webhooks, verified by standardwebhooks');
const folder = mkdtempSync(join(tmpdir(), 'zhanggui-webhooks-'));
const dev = spawn(process.env.ZHANGGUI, ['dev', '--data', folder, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] });
const arrived = [];
let wake = () => {};
const shop = createServer(async (request, response) => {
  let body = '';
  for await (const piece of request) body += piece;
  arrived.push({ headers: request.headers, body });
  wake();
  response.writeHead(204).end();
});
try {
  const [line] = await once(createInterface({ input: dev.stdout }), 'line');
  const { server, api_key: key } = JSON.parse(line);
  shop.listen(0, '127.0.0.1');
  await once(shop, 'listening');
  await verify(server, key);
} finally {
  shop.close();
  dev.kill('SIGTERM');
  await once(dev, 'exit');
  rmSync(folder, { recursive: true });
}

async function verify(server, key) {
  const call = async (path, body) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const options = { method: 'POST', headers, body: JSON.stringify(body), signal: AbortSignal.timeout(WITHIN_MS) };
    const answer = await fetch(server + path, options);
    const text = await answer.text();
    assert.ok(answer.ok, `${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  };
  const url = `http://127.0.0.1:${shop.address().port}/hook`;
  const { id, secret } = await call('/v1/webhooks', { url, description: '收银台' });
  const next = async () => {
    const { event } = await call(`/v1/webhooks/${id}/test`, {});
    while (arrived.length === 0) {
      await new Promise((resolve, reject) => {
        wake = resolve;
        setTimeout(() => reject(new Error('no event came')), WITHIN_MS).unref();
      });
    }
    return { event, ...arrived.shift() };
  };

  await check('an event is verified and has the id of its header', async () => {
    const { event, headers, body } = await next();
    const told = new Webhook(secret).verify(body, headers);
    assert.equal(told.type, 'webhook.tested');
    assert.deepEqual([told.id, headers['webhook-id']], [event, event]);
  });
  await check('a changed body and another secret are refused', async () => {
    const { headers, body } = await next();
    const refuses = (webhook, text) => assert.throws(() => webhook.verify(text, headers), WebhookVerificationError);
    refuses(new Webhook(secret), body.replace('webhook.tested', 'order.paid'));
    refuses(new Webhook('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'), body);
  });
  await check('during a rotation the old secret and the new one verify', async () => {
    const { secret: newer } = await call(`/v1/webhooks/${id}/rotate`, {});
    const { headers, body } = await next();
    new Webhook(secret).verify(body, headers);
    new Webhook(newer).verify(body, headers);
  });
}
