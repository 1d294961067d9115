/** A real server and a real simulator (`zhanggui dev`) for the tests, and phones on which the client runs. */
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { createInterface } = require('node:readline');

const { create } = require('../zhanggui.js');

const PROGRAM = process.env.ZHANGGUI || join(__dirname, '../../../target/debug/zhanggui');
const JSON_TYPE = { 'content-type': 'application/json' };

/** Test files run side by side; each begins to look for free ports elsewhere. */
const PORT = String(21_000 + 20 * (process.pid % 400));

/** Nothing on this machine takes longer than this. */
const WITHIN_MS = 20_000;

/** Starts `zhanggui dev` on free ports with a folder of its own. */
async function start(...more) {
  const folder = mkdtempSync(join(tmpdir(), 'zhanggui-miniprogram-'));
  const child = spawn(PROGRAM, ['dev', '--json', '--data', folder, '--port', PORT, ...more], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await Promise.race([
    once(createInterface(child.stdout), 'line'),
    once(child, 'exit').then(([code]) => assert.fail(`zhanggui dev ended with ${code}; is ${PROGRAM} built?`)),
  ]);
  return new World(JSON.parse(line), child, folder);
}

class World {
  constructor({ server, wechat, phone: phoneUrl, api_key: apiKey, appid }, child, folder) {
    Object.assign(this, { server, wechat, phoneUrl, apiKey, appid, child, folder });
  }

  async stop() {
    this.child.kill('SIGTERM');
    await once(this.child, 'exit');
    rmSync(this.folder, { recursive: true });
  }

  /** Calls the simulator's control API. */
  async control(path, body) {
    const sent = body && { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) };
    const answer = await fetch(`${this.wechat}/_sim/${path}`, { ...sent, signal: AbortSignal.timeout(WITHIN_MS) });
    const value = await answer.json();
    assert.ok(answer.ok, `${path}: ${JSON.stringify(value)}`);
    return value;
  }

  /** Calls the server as the merchant's own system does. */
  async merchant(method, path, body) {
    const headers = { ...JSON_TYPE, authorization: `Bearer ${this.apiKey}` };
    const answer = await fetch(this.server + path, { method, headers, body: body && JSON.stringify(body) });
    return answer.json();
  }

  /** Nothing goes wrong any more. */
  async forgetFaults() {
    await fetch(`${this.wechat}/_sim/faults`, { method: 'DELETE', signal: AbortSignal.timeout(WITHIN_MS) });
  }

  /** Orders that something goes wrong, so many times. */
  fault(path, kind, times = 1) {
    return this.control('faults', { path, kind, times });
  }

  /** What WeChat has in its books of a customer. */
  async books(customer) {
    const { openid } = (await this.control('status')).customers.find((known) => known.customer === customer);
    const { payments } = await this.control('ledger');
    const own = payments.filter((payment) => payment.openid === openid);
    return { openid, all: own, paid: own.filter((payment) => payment.trade_state === 'SUCCESS') };
  }

  phone(customer) {
    return new Phone(this, customer);
  }
}

/**
 * A customer's phone. `wx` is what a mini program finds there: log-in and payment are the simulator's, the network is
 * real. `network` says what happens to the next requests; `customer` decides at the payment sheet.
 */
class Phone {
  constructor(world, customer) {
    Object.assign(this, { world, customer, storage: new Map(), network: [], requests: [], made: [], sheets: 0, waited: [] });
    this.atTheSheet = () => 'pay';
    this.wx = {
      login: (call) => this.settle(call, this.login()),
      request: (call) => this.settle(call, this.request(call)),
      requestPayment: (call) => this.settle(call, this.requestPayment(call)),
      getStorageSync: (key) => structuredClone(this.storage.get(key)) ?? '',
      setStorageSync: (key, value) => void this.storage.set(key, structuredClone(value)),
      removeStorageSync: (key) => void this.storage.delete(key),
    };
  }

  /** The mini program is started: a new client with the storage of the phone. Pauses are written down and skipped. */
  open(more) {
    const wait = async (ms) => void this.waited.push(ms);
    return create({ baseUrl: this.world.server, wx: this.wx, wait, ...more });
  }

  settle({ success, fail }, promise) {
    promise.then(success, (error) => fail({ errMsg: error.message }));
  }

  async login() {
    const { code } = await this.world.control('wx/login', { appid: this.world.appid, customer: this.customer });
    return { code, errMsg: 'login:ok' };
  }

  async request({ url, method, header, data }) {
    this.requests.push({ call: `${method} ${url.slice(this.world.server.length)}`, header });
    const happens = this.network.shift();
    if (happens === 'offline') throw new Error('request:fail errcode:-106 cronet_error_code:-106 error_msg:net::ERR_INTERNET_DISCONNECTED');
    if (happens === 'portal') return { statusCode: 200, data: '<html>Please log in to the hotel</html>', header: {} };
    const body = data === undefined ? undefined : JSON.stringify(data);
    const answer = await fetch(url, { method, headers: header, body, signal: AbortSignal.timeout(WITHIN_MS) });
    const text = await answer.text();
    if (method === 'POST' && url.endsWith('/v1/orders') && answer.ok) this.made.push(JSON.parse(text).id);
    if (happens === 'lost') throw new Error('request:fail timeout');
    return { statusCode: answer.status, data: JSON.parse(text), header: Object.fromEntries(answer.headers) };
  }

  /** The next sheet is paid and never says so. Resolves when the money is gone. */
  paysWithoutAWord() {
    return new Promise((paid) => (this.atTheSheet = () => paid));
  }

  async requestPayment({ timeStamp, nonceStr, package: prepay, signType, paySign }) {
    this.sheets += 1;
    const parameters = { timeStamp, nonceStr, package: prepay, signType, paySign };
    const choice = await this.atTheSheet();
    const says = { ok: 'requestPayment:ok', fail: 'requestPayment:fail (系统繁忙)' };
    // The phone may lie in both directions.
    if (choice === 'says ok') return { errMsg: says.ok };
    const call = { appid: this.world.appid, customer: this.customer, parameters, choice: choice === 'cancel' ? choice : 'pay' };
    const { errMsg } = await this.world.control('wx/requestPayment', call);
    if (choice === 'pay, says fail') throw new Error(says.fail);
    if (typeof choice === 'function') return (choice(), new Promise(() => {}));
    if (errMsg !== says.ok) throw new Error(errMsg);
    return { errMsg };
  }

  /** How often the mini program made a call. */
  count(call) {
    return this.requests.filter((request) => request.call.startsWith(call)).length;
  }
}

module.exports = { start };
