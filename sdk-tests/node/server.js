// The other direction: the SDK plays WeChat Pay, and posts notifications that it signed and sealed to our server.

import { strict as assert } from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import sdk from 'wechatpay-axios-plugin';

import {
  MERCHANTS, WITHIN_MS, announced, appid, check, control, describe, fault, fixture, openid, pay,
} from './simulator.js';

const { Aes, Formatter, Hash, Rsa, Transformer, Wechatpay } = sdk;
const [merchant] = MERCHANTS;
const { mchid, serial, apiV2Key, apiV3Key } = merchant;
const [publicKeyId] = Object.keys(merchant.certs);
const JSON_TYPE = 'application/json';
const PLATFORM_KEY = fixture('platform_public_key_private.pem');

describe('zhanggui serve, told by wechatpay-axios-plugin');
const folder = mkdtempSync(join(tmpdir(), 'zhanggui-sdk-'));
const server = await start();
try {
  await tell();
} finally {
  server.process.kill('SIGTERM');
  await once(server.process, 'exit');
  rmSync(folder, { recursive: true });
}

async function tell() {
  const { orderId, transaction, token, sheet } = await unpaidOrder();
  // The simulator keeps silent about this payment, so that only the SDK speaks.
  await fault('notification', 'lost');
  const state = async () => (await call('GET', `/v1/orders/${orderId}`, token)).state;

  await check('a payment of another amount is refused, although the signature is good', async () => {
    const amount = { ...transaction.amount, total: 1, payer_total: 1 };
    assert.equal(await post(notification({ ...transaction, amount })), 409);
    assert.equal(await state(), 'open');
  });
  await check("a stranger's signature is refused", async () => {
    assert.equal(await post(notification(transaction, { key: fixture('stranger_key.pem') })), 401);
  });
  await check('a notification of ten minutes ago is refused', async () => {
    assert.equal(await post(notification(transaction, { timestamp: Formatter.timestamp() - 600 })), 401);
  });
  await check('a changed body is refused', async () => {
    const { headers, body } = notification(transaction);
    assert.equal(await post({ headers, body: body.replace('TRANSACTION.SUCCESS', 'TRANSACTION.success') }), 401);
  });
  await check('a body sealed with another API v3 key is refused', async () => {
    assert.equal(await post(notification(transaction, { sealKey: 'wrongApiV3Key0000000000000000000' })), 400);
    assert.equal(await state(), 'open');
  });
  await check('a payment of another amount, reported by API v2, is refused', async () => {
    assert.equal(await post(notificationV2({ ...transaction, amount: { total: 1 } })), 409);
  });
  await check('a wrong signature of API v2 is refused', async () => {
    assert.equal(await post(notificationV2(transaction, 'wrongApiV2Key0000000000000000000')), 400);
    assert.equal(await state(), 'open');
  });
  await check('the notification of a payment that was made is answered 204, also the second time', async () => {
    assert.equal(await pay('wang', sheet), 'requestPayment:ok');
    const paid = notification(await ask(transaction.out_trade_no));
    assert.equal(await post(paid), 204);
    assert.equal(await state(), 'paid');
    assert.equal(await post(paid), 204);
  });
  await check('the same payment, reported by API v2, too, is answered 200', async () => {
    assert.equal(await post(notificationV2(await ask(transaction.out_trade_no))), 200);
    assert.equal(await state(), 'paid');
  });
}

/** An order that waits for its payment, and what WeChat would say if it were paid. */
async function unpaidOrder() {
  const payer = await openid('wang');
  const { code } = await control('wx/login', { appid, customer: 'wang' });
  const { token } = await call('POST', '/v1/login', undefined, { code });
  const wanted = { appid, openid: payer, amount: 3000, description: '手冲咖啡' };
  const { id: orderId } = await call('POST', '/v1/orders', server.key, wanted);
  const sheet = await call('POST', `/v1/orders/${orderId}/pay`, token, {});
  const prepayId = sheet.package.replace('prepay_id=', '');
  const { payments } = await control('ledger');
  const { out_trade_no: outTradeNo } = payments.find((payment) => payment.prepay_ids.includes(prepayId));
  const transaction = {
    appid,
    mchid,
    out_trade_no: outTradeNo,
    transaction_id: '4200000000202601010000000001',
    trade_type: 'JSAPI',
    trade_state: 'SUCCESS',
    trade_state_desc: '支付成功',
    bank_type: 'OTHERS',
    attach: '',
    success_time: new Date().toISOString().replace(/\.\d+Z$/, '+00:00'),
    payer: { openid: payer },
    amount: { total: 3000, payer_total: 3000, currency: 'CNY', payer_currency: 'CNY' },
  };
  return { orderId, transaction, token, sheet };
}

/** What the simulator's books say of a payment. */
async function ask(outTradeNo) {
  const privateKey = fixture('apiclient_key.pem');
  const where = { baseURL: announced.base_url, timeout: WITHIN_MS };
  const config = { ...where, mchid, serial, privateKey, certs: { ...merchant.certs } };
  const { transactions } = new Wechatpay(config).v3.pay;
  return (await transactions.outTradeNo._number_.get({ params: { mchid }, number: outTradeNo })).data;
}

/** A notification as WeChat Pay makes it, by the SDK's functions. */
function notification(transaction, { key = PLATFORM_KEY, timestamp = Formatter.timestamp(), sealKey = apiV3Key } = {}) {
  const [sealNonce, nonce, aad] = [Formatter.nonce(12), Formatter.nonce(), 'transaction'];
  const body = JSON.stringify({
    id: 'b9a1f7d0-0f5e-5c7e-8a3b-1d2c3e4f5a6b',
    create_time: '2026-01-22T14:30:01+08:00',
    resource_type: 'encrypt-resource',
    event_type: 'TRANSACTION.SUCCESS',
    summary: '支付成功',
    resource: {
      original_type: 'transaction',
      algorithm: 'AEAD_AES_256_GCM',
      ciphertext: Aes.AesGcm.encrypt(JSON.stringify(transaction), sealKey, sealNonce, aad),
      associated_data: aad,
      nonce: sealNonce,
    },
  });
  const headers = {
    'content-type': JSON_TYPE,
    'Wechatpay-Timestamp': `${timestamp}`,
    'Wechatpay-Nonce': nonce,
    'Wechatpay-Serial': publicKeyId,
    'Wechatpay-Signature-Type': 'WECHATPAY2-SHA256-RSA2048',
    'Wechatpay-Signature': Rsa.sign(Formatter.response(timestamp, nonce, body), key),
  };
  return { headers, body };
}

/** The same in API v2. */
function notificationV2(transaction, key = apiV2Key) {
  const fields = {
    appid,
    bank_type: transaction.bank_type,
    cash_fee: transaction.amount.total,
    fee_type: 'CNY',
    is_subscribe: 'N',
    mch_id: mchid,
    nonce_str: Formatter.nonce(),
    openid: transaction.payer.openid,
    out_trade_no: transaction.out_trade_no,
    result_code: 'SUCCESS',
    return_code: 'SUCCESS',
    time_end: beijing(transaction.success_time),
    total_fee: transaction.amount.total,
    trade_type: 'JSAPI',
    transaction_id: transaction.transaction_id,
  };
  const sign = Hash.sign('HMAC-SHA256', fields, key);
  return { headers: { 'content-type': 'text/xml' }, body: Transformer.toXml({ ...fields, sign }) };
}

/** A time as API v2 writes it: the clock in Beijing, without punctuation. */
function beijing(time) {
  return new Date(Date.parse(time) + 8 * 3600_000).toISOString().replace(/\.\d+Z$|\D/g, '');
}

function within() {
  return AbortSignal.timeout(WITHIN_MS);
}

async function post({ headers, body }) {
  const answer = await fetch(`${server.url}/wechat/pay/${mchid}`, { method: 'POST', headers, body, signal: within() });
  await answer.text();
  return answer.status;
}

async function call(method, path, key, body) {
  const sent = body && JSON.stringify(body);
  const headers = { ...(sent && { 'content-type': JSON_TYPE }), ...(key && { authorization: `Bearer ${key}` }) };
  const answer = await fetch(server.url + path, { method, headers, body: sent, signal: within() });
  const text = await answer.text();
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
  return JSON.parse(text);
}

/** Starts our server on a free port, with a configuration of the simulated realm. */
async function start() {
  const url = `http://127.0.0.1:${await freePort()}`;
  const file = (name, text) => writeFileSync(join(folder, name), text, { mode: 0o600 });
  file('master.key', `${randomBytes(32).toString('hex')}\n`);
  file('apiclient_key.pem', fixture('apiclient_key.pem'));
  file('pub_key.pem', fixture('pub_key.pem'));
  file('zhanggui.toml', `
    [server]
    listen = "${url.replace('http://', '')}"
    public_url = "${url}"
    [database]
    url = "sqlite:zhanggui.db"
    [secrets]
    master_key_file = "master.key"
    [wechat]
    realm = "simulated"
    pay_url = "${announced.base_url}"
    api_url = "${announced.base_url}"
    [log]
    format = "text"
    [[merchant]]
    mchid = "${mchid}"
    api = "v3"
    private_key_file = "apiclient_key.pem"
    serial_no = "${serial}"
    api_v3_key = "${apiV3Key}"
    api_v2_key = "${apiV2Key}"
    sign_type = "HMAC-SHA256"
    public_key_id = "${publicKeyId}"
    public_key_file = "pub_key.pem"
    [[app]]
    appid = "${appid}"
    secret = "${announced.apps[0].secret}"
    merchant = "${mchid}"
  `);
  zhanggui('migrate');
  const { key } = JSON.parse(zhanggui('key', 'create', '--json', '--name', 'sdk-tests'));
  const child = spawn(process.env.ZHANGGUI, ['serve', '--config', join(folder, 'zhanggui.toml')], {
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  const log = createInterface(child.stderr);
  const said = [];
  await new Promise((resolve, reject) => {
    log.on('line', (line) => (/\bready\b/.test(line) ? resolve() : said.push(line)));
    log.on('close', () => reject(new Error(`zhanggui serve ended:\n${said.join('\n')}`)));
  });
  return { url, key, process: child };
}

function zhanggui(...words) {
  const config = join(folder, 'zhanggui.toml');
  const { status, stdout, stderr } = spawnSync(process.env.ZHANGGUI, [...words, '--config', config]);
  assert.equal(status, 0, `zhanggui ${words.join(' ')}: ${stderr}`);
  return stdout.toString();
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}
