/** The client against a real server and a real simulator. What goes wrong comes first. */
'use strict';

const assert = require('node:assert/strict');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { after, before, test } = require('node:test');

const { create, ZhangguiError } = require('../zhanggui.js');
const { start } = require('./world.js');

const COFFEE = { items: [{ sku: 'coffee', quantity: 1 }] };
const CREATE = 'POST /v1/orders';
let world;
let customers = 0;

before(async () => (world = await start()));
after(() => world.stop());

/** A customer whom nobody knows yet. */
function newPhone() {
  customers += 1;
  return world.phone(`customer-${customers}`);
}

/** Orders without the calls that pay them. */
function created(phone) {
  return phone.requests.filter(({ call }) => call === CREATE);
}

function rejects(promise, code) {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof ZhangguiError, error);
    assert.equal(error.code, code);
    return true;
  });
}

test('a phone that says ok without a payment is not believed', async () => {
  const phone = newPhone();
  phone.atTheSheet = () => 'says ok';
  const { outcome, order } = await phone.open().pay(COFFEE);
  assert.equal(outcome, 'unknown');
  assert.equal(order.state, 'open');
  assert.ok(phone.count(`GET /v1/orders/${order.id}?refresh=true`) >= 5, 'the server is asked again and again');
  assert.ok(phone.waited.reduce((sum, ms) => sum + ms, 0) <= 30_000, 'but not for ever');
});

test('a phone that says fail after a payment is not believed', async () => {
  const phone = newPhone();
  phone.atTheSheet = () => 'pay, says fail';
  assert.equal((await phone.open().pay(COFFEE)).outcome, 'paid');
});

test('a lost notification is healed by asking', async () => {
  const phone = newPhone();
  await world.fault('notification', 'lost');
  assert.equal((await phone.open().pay(COFFEE)).outcome, 'paid');
  const { paid } = await world.books(phone.customer);
  assert.equal(paid.length, 1);
});

test('cancelling leaves the order open, and the next press continues the same order', async () => {
  const phone = newPhone();
  phone.atTheSheet = () => 'cancel';
  const shop = phone.open();
  const first = await shop.pay(COFFEE);
  assert.equal(first.outcome, 'cancelled');
  assert.equal(first.message, 'requestPayment:fail cancel');
  phone.atTheSheet = () => 'pay';
  const second = await shop.pay(COFFEE);
  assert.equal(second.outcome, 'paid');
  assert.equal(second.order.id, first.order.id);
  assert.equal(created(phone).length, 1);
  assert.equal((await world.books(phone.customer)).all.length, 1, 'WeChat knows one number');
});

test('whether a cancelled sheet was paid is unknown while the server cannot be asked', async () => {
  const phone = newPhone();
  phone.atTheSheet = () => {
    phone.network.push('lost');
    return 'cancel';
  };
  assert.equal((await phone.open().pay(COFFEE)).outcome, 'unknown');
});

test('two presses at once give one order, one sheet and one outcome', async () => {
  const phone = newPhone();
  const shop = phone.open();
  const [first, second] = await Promise.all([shop.pay(COFFEE), shop.pay({ items: [{ sku: 'coffee' }] })]);
  assert.equal(first, second);
  assert.equal(first.outcome, 'paid');
  assert.equal(created(phone).length, 1);
  assert.equal(phone.sheets, 1);
});

test('another order is refused while one is being paid', async () => {
  const phone = newPhone();
  const shop = phone.open();
  const coffee = shop.pay(COFFEE);
  await rejects(shop.pay({ items: [{ sku: 'tea' }] }), 'payment_in_progress');
  assert.equal((await coffee).outcome, 'paid');
});

test('a mini program that was closed during the payment does not let it be paid again', async () => {
  const phone = newPhone();
  const paid = phone.paysWithoutAWord();
  phone.open().pay(COFFEE);
  await paid;
  const { outcome, earlier } = await phone.open().pay(COFFEE);
  assert.equal(outcome, 'paid');
  assert.equal(earlier, true);
  assert.equal(created(phone).length, 1);
  assert.equal((await world.books(phone.customer)).paid.length, 1);
});

test('after a payment the same things can be bought again', async () => {
  const phone = newPhone();
  const shop = phone.open();
  const [first, second] = [await shop.pay(COFFEE), await shop.pay(COFFEE)];
  assert.notEqual(first.order.id, second.order.id);
  assert.equal((await world.books(phone.customer)).paid.length, 2);
});

test('an order that a page has seen paid is over, and the same things are bought again', async () => {
  const phone = newPhone();
  const paid = phone.paysWithoutAWord();
  phone.open().pay(COFFEE);
  await paid;
  const shop = phone.open();
  phone.atTheSheet = () => 'pay';
  const [first] = phone.made;
  assert.equal((await shop.order(first, { refresh: true })).state, 'paid');
  const { outcome, order, earlier } = await shop.pay(COFFEE);
  assert.equal(outcome, 'paid');
  assert.equal(earlier, undefined);
  assert.notEqual(order.id, first);
  assert.equal((await world.books(phone.customer)).paid.length, 2);
});

test('an order that a page has seen open is still continued', async () => {
  const phone = newPhone();
  phone.atTheSheet = () => 'cancel';
  const shop = phone.open();
  const { order } = await shop.pay(COFFEE);
  assert.equal((await shop.order(order.id, { refresh: true })).state, 'open');
  phone.atTheSheet = () => 'pay';
  assert.equal((await shop.pay(COFFEE)).order.id, order.id);
  assert.equal(created(phone).length, 1);
});

test('an order whose answer is lost is asked for again and is the same order', async () => {
  const phone = newPhone();
  const shop = phone.open();
  await shop.login();
  phone.network.push('lost', 'lost');
  const { outcome, order } = await shop.pay({ items: [{ sku: 'tea' }, { sku: 'coffee' }] });
  assert.equal(outcome, 'paid');
  assert.deepEqual(phone.made, [order.id, order.id, order.id], 'the server says three times the same');
});

test('an order whose answers are all lost is found again by the next press', async () => {
  const phone = newPhone();
  const shop = phone.open();
  await shop.login();
  phone.network.push('lost', 'lost', 'lost');
  await rejects(shop.pay({ items: [{ sku: 'tea' }, { sku: 'coffee' }] }), 'network');
  // The mini program may have been started anew meanwhile, and the lines may come in another order.
  const { outcome, order } = await phone.open().pay({ items: [{ sku: 'coffee', quantity: 1 }, { sku: 'tea' }] });
  assert.equal(outcome, 'paid');
  assert.deepEqual([...new Set(phone.made)], [order.id]);
  assert.equal((await world.books(phone.customer)).all.length, 1);
});

/** An order whose id has never reached the mini program. */
async function lostOrder(phone) {
  const shop = phone.open();
  await shop.login();
  phone.network.push('lost', 'lost', 'lost');
  await rejects(shop.pay(COFFEE), 'network');
  return phone.made[0];
}

test('an order whose answers are all lost and that was closed meanwhile is replaced by a new one', async () => {
  const phone = newPhone();
  const lost = await lostOrder(phone);
  assert.equal((await world.merchant('POST', `/v1/orders/${lost}/close`)).state, 'closed');
  const { outcome, order } = await phone.open().pay(COFFEE);
  assert.equal(outcome, 'paid');
  assert.notEqual(order.id, lost);
  assert.deepEqual([...new Set(phone.made)], [lost, order.id]);
});

test('an order whose answers are all lost and that was paid meanwhile is not paid again', async () => {
  const phone = newPhone();
  const lost = await lostOrder(phone);
  await phone.open().pay(lost);
  const { outcome, order, earlier } = await phone.open().pay(COFFEE);
  assert.deepEqual([outcome, order.id, earlier], ['paid', lost, true]);
  assert.equal((await world.books(phone.customer)).paid.length, 1);
});

test('an order that is being closed may have been paid: nothing else is paid before that is known', async () => {
  const phone = newPhone();
  phone.atTheSheet = () => 'cancel';
  const { order } = await phone.open().pay(COFFEE);
  // WeChat answers neither the question nor the wish to close.
  const number = '/v3/pay/transactions/out-trade-no/{out_trade_no}';
  for (const path of [number, `${number}/close`]) await world.fault(path, { v3_error: { status: 500, code: 'SYSTEM_ERROR' } }, 99);
  assert.equal((await world.merchant('POST', `/v1/orders/${order.id}/close`)).state, 'closing');
  phone.atTheSheet = () => 'pay';
  const second = await phone.open().pay(COFFEE);
  assert.deepEqual([second.outcome, second.order.id], ['unknown', order.id]);
  assert.deepEqual([...new Set(phone.made)], [order.id]);
  await world.forgetFaults();
});

test('an order that never left the phone is sent again', async () => {
  const phone = newPhone();
  const shop = phone.open();
  await shop.login();
  phone.network.push('offline', 'offline');
  assert.equal((await shop.pay(COFFEE)).outcome, 'paid');
  assert.equal(created(phone).length, 3);
});

test('a phone without network says so after a few tries', async () => {
  const phone = newPhone();
  phone.network.push(...Array(9).fill('offline'));
  await rejects(phone.open().products(), 'offline');
  assert.equal(phone.requests.length, 3);
});

test('a lost answer to pay is asked for again and is the same payment', async () => {
  const phone = newPhone();
  const shop = phone.open();
  await shop.login();
  phone.network.push(undefined, 'lost', 'lost');
  assert.equal((await shop.pay(COFFEE)).outcome, 'paid');
  assert.equal(phone.count('POST /v1/orders/'), 3);
  const { all } = await world.books(phone.customer);
  assert.equal(all.length, 1);
});

test('while WeChat is busy, pay is tried again', async () => {
  const phone = newPhone();
  const shop = phone.open();
  await shop.login();
  await world.fault('/v3/pay/transactions/jsapi', { v3_error: { status: 429, code: 'FREQUENCY_LIMITED' } });
  assert.equal((await shop.pay(COFFEE)).outcome, 'paid');
  assert.ok(phone.waited.length >= 1);
});

test('a hotel that answers in the place of the server is not understood as an answer', async () => {
  const phone = newPhone();
  const shop = phone.open();
  await shop.login();
  phone.network.push('portal', 'portal', 'portal');
  await rejects(shop.pay(COFFEE), 'answer_unreadable');
  assert.equal(phone.sheets, 0);
});

test('a session that the server does not know any more is renewed once', async () => {
  const phone = newPhone();
  const { customer } = await phone.open().login();
  const { expires_at: expiresAt } = phone.storage.get('zhanggui.session');
  phone.storage.set('zhanggui.session', { token: 'zgs_gone', expires_at: expiresAt, customer: 'another' });
  const shop = phone.open();
  assert.equal((await shop.pay(COFFEE)).outcome, 'paid');
  assert.equal((await shop.login()).customer, customer);
  assert.equal(phone.count('POST /v1/login'), 2);
});

test('a session that has expired by its own date is not sent', async () => {
  const phone = newPhone();
  phone.storage.set('zhanggui.session', { token: 'zgs_old', expires_at: '2020-01-01T00:00:00Z', customer: 'cus_old' });
  await phone.open().pay(COFFEE);
  assert.ok(phone.requests.every(({ header }) => header.authorization !== 'Bearer zgs_old'));
});

test('a new session that is refused, too, ends with an error', async () => {
  const phone = newPhone();
  const shop = phone.open({ baseUrl: world.server });
  await shop.login();
  const { wx } = phone;
  const request = wx.request;
  wx.request = (call) => request({ ...call, header: call.url.endsWith('/login') ? call.header : { ...call.header, authorization: 'Bearer zgs_wrong' } });
  await rejects(shop.pay(COFFEE), 'unauthorized');
  assert.equal(phone.count('POST /v1/login'), 2);
  assert.equal(created(phone).length, 2);
});

test('log-ins at the same moment are one, and each try has a code of its own', async () => {
  const phone = newPhone();
  await world.fault('/sns/jscode2session', { errcode: -1 });
  const shop = phone.open();
  const [first, second] = await Promise.all([shop.login(), shop.login()]);
  assert.deepEqual(first, second);
  assert.equal(phone.count('POST /v1/login'), 2);
});

test("an order of another customer of the same phone is not continued", async () => {
  const phone = newPhone();
  phone.atTheSheet = () => 'cancel';
  const { order } = await phone.open().pay(COFFEE);
  customers += 1;
  phone.customer = `customer-${customers}`;
  phone.storage.delete('zhanggui.session');
  phone.atTheSheet = () => 'pay';
  const next = await phone.open().pay(COFFEE);
  assert.equal(next.outcome, 'paid');
  assert.notEqual(next.order.id, order.id);
});

test('what the server refuses arrives with its code, its sentence and its request id', async () => {
  const phone = newPhone();
  await assert.rejects(phone.open().pay({ items: [{ sku: 'unicorn' }] }), (error) => {
    assert.equal(error.code, 'product_unknown');
    assert.equal(error.status, 422);
    assert.match(error.detail, /unicorn/);
    assert.match(error.requestId, /^req_/);
    return true;
  });
});

test('a payment sheet that WeChat refuses is told in its own words', async () => {
  const phone = newPhone();
  const { wx } = phone;
  const requestPayment = wx.requestPayment;
  wx.requestPayment = (call) => requestPayment({ ...call, paySign: 'Zm9yZ2Vk' });
  const { outcome, message } = await phone.open().pay(COFFEE);
  assert.equal(outcome, 'failed');
  assert.match(message, /支付验证签名失败/);
});

test('an order of the merchant is paid by its id, and a paid one opens no sheet', async () => {
  const phone = newPhone();
  const shop = phone.open();
  await shop.login();
  const { openid } = await world.books(phone.customer);
  const { id } = await world.merchant('POST', '/v1/orders', { openid, amount: 1, description: '一分钱' });
  assert.equal((await shop.pay(id)).outcome, 'paid');
  const again = await shop.pay({ id });
  assert.equal(again.outcome, 'paid');
  assert.equal(again.earlier, true);
  assert.equal(phone.sheets, 1);
});

test('an order that has expired meanwhile is replaced by a new one', async () => {
  const phone = newPhone();
  phone.atTheSheet = () => 'cancel';
  const shop = phone.open();
  const { order } = await shop.pay(COFFEE);
  await world.control('clock', { advance_s: 3 * 3600 });
  phone.atTheSheet = () => 'pay';
  const next = await shop.pay(COFFEE);
  assert.equal(next.outcome, 'paid');
  assert.notEqual(next.order.id, order.id);
});

test('products are those of the shelf', async () => {
  const products = await newPhone().open({ appid: world.appid }).products();
  assert.ok(products.some(({ sku, price }) => sku === 'coffee' && price === 2800));
});

test('a customer can read an order and ask WeChat first', async () => {
  const phone = newPhone();
  const shop = phone.open();
  const { order } = await shop.pay(COFFEE);
  assert.equal((await shop.order(order.id)).state, 'paid');
  assert.equal((await shop.order(order.id, { refresh: true })).refreshed, true);
});

test('the contact button says what it is about, within its limit', () => {
  const shop = world.phone('nobody').open();
  assert.equal(shop.contact().sessionFrom, '');
  const { sessionFrom, showMessageCard } = shop.contact({ order: 'ord_1', note: '找零'.repeat(2000), title: '订单' });
  assert.ok(sessionFrom.startsWith('{"order":"ord_1"'));
  assert.equal(Array.from(sessionFrom).length, 1024);
  assert.equal(showMessageCard, true);
});

test('an address that cannot be is refused at once', () => {
  for (const baseUrl of [undefined, '', 'shop.example.com', 'https://', 'ftp://shop.example.com']) {
    assert.throws(() => create({ baseUrl, wx: {} }), { code: 'options_invalid' }, String(baseUrl));
  }
  assert.throws(() => create({ baseUrl: 'https://shop.example.com' }), { code: 'options_invalid' });
});

test('without a storage that works it works all the same', async () => {
  const phone = newPhone();
  for (const name of ['getStorageSync', 'setStorageSync', 'removeStorageSync']) {
    phone.wx[name] = () => {
      throw new Error(`${name}:fail exceed storage max size`);
    };
  }
  assert.equal((await phone.open().pay(COFFEE)).outcome, 'paid');
});

test('the sample shop has this very client', () => {
  const read = (...path) => readFileSync(join(__dirname, ...path), 'utf8');
  assert.equal(read('../../../examples/shop/zhanggui.js'), read('../zhanggui.js'));
});
