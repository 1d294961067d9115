// wechatpay-axios-plugin (Node) against the simulator: API v3 in all three key modes, refusals, forgeries, and API v2.

import { strict as assert } from 'node:assert';
import sdk from 'wechatpay-axios-plugin';

import {
  ACCEPT_V2, ACCEPT_V3, Inbox, MERCHANTS, WITHIN_MS,
  announced, appid, check, describe, fault, fixture, openid, pay, refused,
} from './simulator.js';

const { Aes, Formatter, Hash, Rsa, Transformer, Wechatpay } = sdk;
const li = await openid('li');
const NOWHERE = 'http://127.0.0.1:9/notify';
const DESCRIPTION = '示例小店-手冲咖啡 & "茶" x2';

for (const merchant of MERCHANTS) await v3(merchant);
await refusals(MERCHANTS[0]);
for (const signType of ['MD5', 'HMAC-SHA256']) await v2(MERCHANTS[0], signType);

/** Number of an order or a refund: new in each run, because the simulator may be an older one. */
function number(prefix) {
  return `${prefix}${Formatter.nonce(16)}`;
}

function client(merchant, overrides = {}) {
  const { mchid, serial, apiV2Key: secret, certs, publicKeyId } = merchant;
  const privateKey = fixture('apiclient_key.pem');
  const where = { baseURL: announced.base_url, timeout: WITHIN_MS };
  const config = { ...where, mchid, serial, secret, privateKey, certs: { ...certs }, ...overrides };
  // Asks WeChat Pay to sign its answer with the public key.
  if (publicKeyId) config.headers = { 'Wechatpay-Serial': publicKeyId };
  return { wxpay: new Wechatpay(config), config };
}

async function v3(merchant) {
  const { mchid, apiV3Key } = merchant;
  describe(`wechatpay-axios-plugin v3, ${merchant.mode}`);
  const inbox = await Inbox.open(ACCEPT_V3);
  const { wxpay, config } = client(merchant);
  const { transactions } = wxpay.v3.pay;
  const outTradeNo = number('node3_');
  const signers = [];

  if (merchant.mode === 'public key') {
    await check('a merchant without platform certificates is told so', async () => {
      const answer = await refused(wxpay.v3.certificates.get());
      assert.deepEqual([answer.status, answer.data.code], [404, 'RESOURCE_NOT_EXISTS']);
    });
  } else {
    await check('certificates are downloaded and decrypted, and their answer is verified', async () => {
      const { serial, pem } = await downloadCertificate(wxpay, config, apiV3Key);
      assert.equal(pem, fixture('platform_1_cert.pem'));
      assert.ok(serial.startsWith('0'), 'the zero in front of the serial number is there');
    });
  }

  const order = { appid, mchid, description: DESCRIPTION, notify_url: inbox.url, payer: { openid: li } };
  const amount = { total: 3000, currency: 'CNY' };
  const prepayId = await check('an order gets a prepay_id', async () => {
    const { data } = await transactions.jsapi.post({ ...order, out_trade_no: outTradeNo, amount });
    assert.deepEqual(Object.keys(data), ['prepay_id']);
    return data.prepay_id;
  });
  await check('the phone accepts parameters signed with Rsa.sign', async () => {
    const timeStamp = `${Formatter.timestamp()}`;
    const sheet = { timeStamp, nonceStr: Formatter.nonce(), package: `prepay_id=${prepayId}` };
    const message = Formatter.joinedByLineFeed(appid, timeStamp, sheet.nonceStr, sheet.package);
    const paySign = Rsa.sign(message, fixture('apiclient_key.pem'));
    const forged = { ...sheet, package: 'prepay_id=wx0', signType: 'RSA', paySign };
    assert.match(await pay('li', forged), /^requestPayment:fail/);
    assert.equal(await pay('li', { ...sheet, signType: 'RSA', paySign }), 'requestPayment:ok');
  });
  const transactionId = await check('the notification is verified, decrypted and about this order', async () => {
    const { serial, event, resource } = open(await inbox.next(), merchant, config.certs);
    signers.push(serial);
    assert.deepEqual([event.event_type, event.resource.original_type], ['TRANSACTION.SUCCESS', 'transaction']);
    assert.deepEqual([resource.out_trade_no, resource.trade_state], [outTradeNo, 'SUCCESS']);
    assert.deepEqual([resource.appid, resource.mchid, resource.payer.openid], [appid, mchid, li]);
    assert.deepEqual([resource.amount.total, resource.amount.currency], [3000, 'CNY']);
    return resource.transaction_id;
  });
  await check('a query by each of the two numbers says SUCCESS', async () => {
    const params = { mchid };
    const byOurs = await transactions.outTradeNo._number_.get({ params, number: outTradeNo });
    const byTheirs = await transactions.id._number_.get({ params, number: transactionId });
    assert.equal(byOurs.data.trade_state, 'SUCCESS');
    assert.equal(byOurs.data.transaction_id, transactionId);
    assert.deepEqual(byTheirs.data, byOurs.data);
  });
  await check('an order that does not exist is not found', async () => {
    const call = transactions.outTradeNo._number_.get({ params: { mchid }, number: number('none3_') });
    const answer = await refused(call);
    assert.deepEqual([answer.status, answer.data.code], [404, 'ORDER_NOT_EXIST']);
  });
  await check('an unpaid order is closed with 204', async () => {
    const out_trade_no = number('node3_');
    await transactions.jsapi.post({ ...order, out_trade_no, amount });
    const answer = await transactions.outTradeNo._number_.close.post({ mchid }, { number: out_trade_no });
    assert.equal(answer.status, 204);
    const { data } = await transactions.outTradeNo._number_.get({ params: { mchid }, number: out_trade_no });
    assert.equal(data.trade_state, 'CLOSED');
  });

  const outRefundNo = number('refund3_');
  await check('a refund is accepted', async () => {
    const { data } = await wxpay.v3.refund.domestic.refunds.post({
      transaction_id: transactionId,
      out_refund_no: outRefundNo,
      reason: '商品已售完',
      notify_url: inbox.url,
      amount: { refund: 1000, total: 3000, currency: 'CNY' },
    });
    assert.deepEqual([data.out_refund_no, data.status], [outRefundNo, 'PROCESSING']);
  });
  await check('the notification of the refund is verified, decrypted and about this refund', async () => {
    const { serial, event, resource } = open(await inbox.next(), merchant, config.certs);
    signers.push(serial);
    assert.deepEqual([event.event_type, event.resource.original_type], ['REFUND.SUCCESS', 'refund']);
    assert.deepEqual([resource.out_refund_no, resource.refund_status], [outRefundNo, 'SUCCESS']);
    assert.deepEqual([resource.amount.refund, resource.amount.total], [1000, 3000]);
  });
  await check('a query of the refund says SUCCESS, and one of the order REFUND', async () => {
    const { data } = await wxpay.v3.refund.domestic.refunds._number_.get({ number: outRefundNo });
    assert.deepEqual([data.status, data.transaction_id, data.amount.refund], ['SUCCESS', transactionId, 1000]);
    const order = await transactions.id._number_.get({ params: { mchid }, number: transactionId });
    assert.equal(order.data.trade_state, 'REFUND');
  });
  await check(`notifications are signed as "${merchant.mode}" says`, () => {
    const kinds = signers.map((serial) => (serial.startsWith('PUB_KEY_ID_') ? 'public key' : 'platform certificate'));
    const { mode } = merchant;
    assert.deepEqual(kinds.sort(), mode === 'both keys' ? ['platform certificate', 'public key'] : [mode, mode]);
  });
  inbox.close();
}

/** Bootstraps trust: what the API v3 key opens can verify the very answer that it came with. */
async function downloadCertificate(wxpay, config, apiV3Key) {
  const found = {};
  const decrypt = (body) => {
    for (const { serial_no: serial, encrypt_certificate: sealed } of JSON.parse(body).data) {
      const pem = Aes.AesGcm.decrypt(sealed.ciphertext, apiV3Key, sealed.nonce, sealed.associated_data);
      Object.assign(found, { serial, pem });
      config.certs[serial] = pem;
    }
    return body;
  };
  const transformResponse = [decrypt, ...wxpay.client.v3.defaults.transformResponse];
  await wxpay.v3.certificates.get({ transformResponse });
  return found;
}

/** Verifies and decrypts a notification, as the SDK's documentation says. */
function open({ headers, body }, { apiV3Key }, certs) {
  const serial = headers['wechatpay-serial'];
  const message = Formatter.response(headers['wechatpay-timestamp'], headers['wechatpay-nonce'], body);
  assert.ok(Math.abs(Formatter.timestamp() - headers['wechatpay-timestamp']) < 300);
  assert.ok(Rsa.verify(message, headers['wechatpay-signature'], certs[serial]), 'the signature');
  const event = JSON.parse(body);
  const { ciphertext, nonce, associated_data: aad } = event.resource;
  return { serial, event, resource: JSON.parse(Aes.AesGcm.decrypt(ciphertext, apiV3Key, nonce, aad)) };
}

async function refusals(merchant) {
  const { mchid } = merchant;
  describe('wechatpay-axios-plugin v3, refusals');
  const ask = ({ wxpay }) => wxpay.v3.pay.transactions.outTradeNo.none31.get({ params: { mchid } });
  const cases = {
    'a wrong private key': { privateKey: fixture('stranger_key.pem') },
    'a wrong serial number': { serial: '3FA4E000000000000000000000000000000000FF' },
    'an unknown merchant': { mchid: '1699999999' },
  };
  for (const [name, overrides] of Object.entries(cases)) {
    await check(`${name} is answered 401 SIGN_ERROR`, async () => {
      const answer = await refused(ask(client(merchant, overrides)));
      assert.deepEqual([answer.status, answer.data.code], [401, 'SIGN_ERROR']);
    });
  }
  const forgeries = {
    unsigned: 'EV3_RES_HEADERS_INCOMPLATE',
    stale: 'EV3_RES_HEADER_TIMESTAMP_OFFSET',
    unknown_serial: 'EV3_RES_HEADER_PLATFORM_SERIAL',
    wrong_signature: 'EV3_RES_HEADER_SIGNATURE_DIGEST',
    probe: 'EV3_RES_HEADER_SIGNATURE_DIGEST',
  };
  const { wxpay } = client(merchant);
  for (const [kind, code] of Object.entries(forgeries)) {
    await check(`an answer that the simulator makes ${kind} is not believed by the SDK`, async () => {
      await fault('/v3/pay/transactions/jsapi', kind);
      const us = { appid, mchid, notify_url: NOWHERE, out_trade_no: number('node3_') };
      const order = { ...us, description: DESCRIPTION, payer: { openid: li }, amount: { total: 1 } };
      const call = wxpay.v3.pay.transactions.jsapi.post(order);
      await assert.rejects(call, { code });
    });
  }
}

async function v2(merchant, signType) {
  const { mchid, apiV2Key } = merchant;
  describe(`wechatpay-axios-plugin v2, ${signType}`);
  const inbox = await Inbox.open(ACCEPT_V2);
  const { pay: api } = client(merchant).wxpay.v2;
  const us = { appid, mch_id: mchid, sign_type: signType };
  const order = {
    ...us,
    body: DESCRIPTION,
    total_fee: 3000,
    spbill_create_ip: '203.0.113.7',
    notify_url: inbox.url,
    trade_type: 'JSAPI',
    openid: li,
  };
  const out_trade_no = number('node2_');

  const prepayId = await check('an order gets a prepay_id', async () => {
    const { data } = await api.unifiedorder.post({ ...order, out_trade_no });
    assert.equal(data.trade_type, 'JSAPI');
    return data.prepay_id;
  });
  await check('the phone accepts parameters signed with Hash.sign', async () => {
    const sheet = {
      timeStamp: `${Formatter.timestamp()}`,
      nonceStr: Formatter.nonce(),
      package: `prepay_id=${prepayId}`,
      signType,
    };
    const paySign = Hash.sign(signType, { appId: appid, ...sheet }, apiV2Key);
    assert.equal(await pay('li', { ...sheet, paySign }), 'requestPayment:ok');
  });
  const transactionId = await check('the notification carries the signature of Hash.sign', async () => {
    const { body } = await inbox.next();
    const { sign, ...fields } = Transformer.toObject(body);
    assert.equal(sign, Hash.sign(signType, fields, apiV2Key));
    assert.deepEqual([fields.out_trade_no, fields.total_fee, fields.openid], [out_trade_no, '3000', li]);
    return fields.transaction_id;
  });
  await check('a query by each of the two numbers says SUCCESS', async () => {
    const { data: byOurs } = await api.orderquery.post({ ...us, out_trade_no });
    const { data: byTheirs } = await api.orderquery.post({ ...us, transaction_id: transactionId });
    assert.deepEqual([byOurs.trade_state, byOurs.transaction_id], ['SUCCESS', transactionId]);
    assert.equal(byTheirs.out_trade_no, out_trade_no);
  });
  await check('an unpaid order is closed', async () => {
    const unpaid = number('node2_');
    await api.unifiedorder.post({ ...order, out_trade_no: unpaid });
    await api.closeorder.post({ ...us, out_trade_no: unpaid });
    const { data } = await api.orderquery.post({ ...us, out_trade_no: unpaid });
    assert.equal(data.trade_state, 'CLOSED');
  });
  await check('a paid order is not closed', async () => {
    const { data } = await refused(api.closeorder.post({ ...us, out_trade_no }));
    assert.equal(data.err_code, 'ORDERPAID');
    assert.equal(data.sign, Hash.sign(signType, data, apiV2Key), 'the refusal is signed');
  });
  await check('a wrong key is answered with a signature error', async () => {
    const { wxpay } = client(merchant, { secret: 'wrongApiV2Key0000000000000000000' });
    const { data } = await refused(wxpay.v2.pay.orderquery.post({ ...us, out_trade_no }));
    assert.equal(data.return_code, 'FAIL');
    assert.match(data.return_msg, /签名错误/);
  });
  inbox.close();
}
