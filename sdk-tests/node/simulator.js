// What the checks share: the simulator's address and credentials, its control API, a merchant's server that receives
// notifications, and the printing of results.

import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

/** What the simulator announced when it started: `base_url`, `apps`, `merchants`, … */
export const announced = JSON.parse(process.env.SIMULATOR);

/** The fake mini program. */
export const { appid } = announced.apps[0];

/** Reads a fake key of the simulator. */
export const fixture = (name) => readFileSync(`${process.env.FIXTURES}/${name}`, 'utf8');

let part = '';

/** Begins the checks of one part. */
export function describe(name) {
  part = name;
}

/** Runs a check and prints one line. */
export async function check(name, run) {
  try {
    const result = await run();
    console.log(`ok    ${part}: ${name}`);
    return result;
  } catch (error) {
    const answer = error.response ? `\n      answer ${error.response.status}: ${text(error.response.data)}` : '';
    console.log(`FAIL  ${part}: ${name}\n      ${error.message}${answer}`);
    process.exitCode = 1;
    return undefined;
  }
}

const text = (data) => (typeof data === 'string' ? data : JSON.stringify(data));

/** Expects that a call is refused, and gives the answer. */
export async function refused(call) {
  const error = await call.then(() => assert.fail('the call was not refused'), (thrown) => thrown);
  if (!error.response) throw error;
  return error.response;
}

/** Tells the simulator to do one thing wrong. */
export async function fault(path, kind) {
  await control('faults', { path, kind });
}

/** How long an answer or a notification may take. Nothing is awaited for longer. */
export const WITHIN_MS = 10_000;

/** Calls the control API. */
export async function control(path, body) {
  const post = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const signal = AbortSignal.timeout(WITHIN_MS);
  const answer = await fetch(`${announced.base_url}/_sim/${path}`, { ...post, signal });
  const value = await answer.json();
  assert.equal(answer.status, 200, `${path}: ${JSON.stringify(value)}`);
  return value;
}

/** A customer's `openid`, which the simulator tells to whoever asks its control API. */
export async function openid(customer) {
  await control('wx/login', { appid, customer });
  const { customers } = await control('status');
  return customers.find((one) => one.appid === appid && one.customer === customer).openid;
}

/** A customer's phone: pays with the argument of `wx.requestPayment`. */
export async function pay(customer, parameters) {
  const { errMsg } = await control('wx/requestPayment', { appid, customer, parameters, choice: 'pay' });
  return errMsg;
}

/** Replies with which a merchant's server accepts a notification. */
export const ACCEPT_V3 = { status: 204 };
export const ACCEPT_V2 = {
  status: 200,
  body: '<xml><return_code>SUCCESS</return_code><return_msg>OK</return_msg></xml>',
};

/** A merchant's server: keeps what WeChat Pay posts, and accepts it. */
export class Inbox {
  #arrived = [];
  #waiting = [];

  static async open(reply) {
    const inbox = new Inbox();
    inbox.server = createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray()).toString('utf8');
      response.writeHead(reply.status).end(reply.body);
      const notification = { headers: request.headers, body };
      const waiting = inbox.#waiting.shift();
      if (waiting) waiting(notification);
      else inbox.#arrived.push(notification);
    });
    inbox.server.listen(0, '127.0.0.1');
    await once(inbox.server, 'listening');
    inbox.url = `http://127.0.0.1:${inbox.server.address().port}/notify`;
    return inbox;
  }

  /** The next notification. */
  next() {
    if (this.#arrived.length > 0) return Promise.resolve(this.#arrived.shift());
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no notification came')), WITHIN_MS);
      this.#waiting.push((notification) => {
        clearTimeout(timer);
        resolve(notification);
      });
    });
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** How long a refund takes: long enough that its first answer says PROCESSING. */
const REFUND_AFTER_S = 1;

/** One merchant for each way in which WeChat Pay may sign for it. All have the same certificate. */
export const MERCHANTS = await setUp();

async function setUp() {
  const [{ mchid: first, api_v2_key: apiV2Key }] = announced.merchants;
  const [told] = announced.merchants_v3;
  const { api_v3_key: apiV3Key, serials: [serial], public_key_id: publicKeyId, certificate_pem: pem } = told;
  const modes = { 'public key': 'public_key', 'platform certificate': 'certificates', 'both keys': 'both' };
  const merchants = Object.keys(modes).map((mode, index) => {
    const mchid = `${Number(first) + index}`;
    const id = publicKeyId.replace(first, mchid);
    return {
      mode,
      mchid,
      serial,
      apiV2Key,
      apiV3Key,
      publicKeyId: mode === 'platform certificate' ? undefined : id,
      certs: mode === 'platform certificate' ? { any: undefined } : { [id]: fixture('pub_key.pem') },
    };
  });
  await control('platform', { refund_after_s: REFUND_AFTER_S });
  for (const { mode, mchid } of merchants) {
    const keys = { api_v2_key: apiV2Key, api_v3_key: apiV3Key, certificates: [{ pem }], key_mode: modes[mode] };
    await control('merchants', { mchid, ...keys });
  }
  await control('apps', { ...announced.apps[0], merchants: merchants.map(({ mchid }) => mchid) });
  return merchants;
}
