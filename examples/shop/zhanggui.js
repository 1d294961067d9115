/**
 * Zhanggui's client for WeChat mini programs: log-in, orders, payments. One file without dependencies; copy it into
 * the mini program and `require` it. Types are in zhanggui.d.ts, explanations in README.md.
 *
 * What the phone says about a payment is never believed: after `wx.requestPayment` the server is asked, and the
 * server asks WeChat. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791898 (the page says the same).
 */
'use strict';

/** How long one call may take, unless `timeoutMs` says otherwise. */
const TIMEOUT_MS = 10000;

/** A call that may be repeated is made once more after each of these pauses. */
const REPEAT_AFTER_MS = [500, 2000];

/** The longest `Retry-After` that is waited for; a customer is looking at the screen. */
const RETRY_AFTER_MS_MAX = 5000;

/**
 * How often the server is asked after the payment sheet, by what the phone said. A phone that says "ok" is waited for
 * half a minute, a "cancel" only has to be checked.
 */
const ASK_AFTER_MS = {
  ok: [0, 1000, 2000, 3000, 5000, 8000, 11000],
  fail: [0, 1000, 3000],
  cancel: [0],
};

/** An order that was begun longer ago is not continued. The server's own limit is usually shorter. */
const PENDING_MS_MAX = 24 * 3600 * 1000;

/** The longest `session-from` of a contact button, in characters. */
const SESSION_FROM_MAX = 1024;

/** What `wx.request` says when nothing has left the phone. Everything else may have arrived. */
const NOT_SENT = /url not in domain list|ERR_INTERNET_DISCONNECTED|ERR_NAME_NOT_RESOLVED|ERR_CONNECTION_REFUSED|ERR_ADDRESS_UNREACHABLE/;

/** Codes with which the server says that it has done nothing. */
const NOTHING_DONE = ['overloaded', 'database_unavailable', 'unauthorized'];

/** Codes that a moment later may be an answer. */
const TRY_AGAIN = NOTHING_DONE.concat('network', 'offline', 'answer_unreadable', 'request_timeout', 'internal', 'wechat_busy', 'wechat_unavailable', 'idempotency_key_running');

/** Why a call did not succeed. `code` is the server's stable code or one of this file's, see README.md. */
class ZhangguiError extends Error {
  constructor(code, detail, more) {
    super(`${detail} (${code})`);
    this.name = 'ZhangguiError';
    this.code = code;
    this.detail = detail;
    Object.assign(this, more);
  }
}

/** Makes a client. One for the whole mini program, so that a second press meets the first one. */
function create(options) {
  const settings = read(options);
  const storage = storageOf(settings);
  const calls = callsOf(settings, storage);
  const payments = paymentsOf(settings, storage, calls);
  return {
    login: calls.login,
    logout: () => storage.remove('session'),
    request: calls.request,
    products: () => calls.products().then((answer) => answer.products),
    order: (id, asked) => calls.request('GET', orderPath(id) + (asked && asked.refresh ? '?refresh=true' : '')).then(payments.seen),
    pay: payments.pay,
    contact,
  };
}

function read(options) {
  const { baseUrl, appid, storageKey = 'zhanggui', timeoutMs = TIMEOUT_MS } = options || {};
  if (typeof baseUrl !== 'string' || !/^https?:\/\/[^/?#]+/.test(baseUrl)) {
    throw new ZhangguiError('options_invalid', 'baseUrl must be the address of the server, for example https://shop.example.com');
  }
  const platform = options.wx || (typeof wx === 'undefined' ? undefined : wx);
  if (!platform) throw new ZhangguiError('options_invalid', 'There is no wx here: give one in the options.');
  const wait = options.wait || ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  return { baseUrl: baseUrl.replace(/\/+$/, ''), appid, storageKey, timeoutMs, wait, wx: platform };
}

/** What outlives the mini program: the session, and the order that is being paid. A full storage is no reason to fail. */
function storageOf({ wx, storageKey }) {
  const key = (name) => `${storageKey}.${name}`;
  const attempt = (work) => {
    try {
      return work();
    } catch (_) {
      return undefined;
    }
  };
  return {
    get: (name) => attempt(() => wx.getStorageSync(key(name))) || undefined,
    set: (name, value) => attempt(() => wx.setStorageSync(key(name), value)),
    remove: (name) => attempt(() => wx.removeStorageSync(key(name))),
  };
}

/** Calls of the server: session, repetition, errors. */
function callsOf(settings, storage) {
  const { wx, baseUrl, appid, timeoutMs, wait } = settings;
  let loggingIn;

  /** One request, once. */
  function send(method, path, { body, token, headers } = {}) {
    return new Promise((resolve, reject) => {
      const header = Object.assign({}, headers);
      if (body !== undefined) header['content-type'] = 'application/json';
      if (token) header.authorization = `Bearer ${token}`;
      wx.request({
        url: baseUrl + path,
        method,
        header,
        data: body,
        timeout: timeoutMs,
        success: (answer) => (understood(answer) ? resolve(answer.data) : reject(problemOf(answer))),
        fail: ({ errMsg }) => {
          const code = NOT_SENT.test(errMsg) ? 'offline' : 'network';
          reject(new ZhangguiError(code, errMsg || 'request:fail'));
        },
      });
    });
  }

  /** Makes a call again as long as `mayRepeat` allows it and there are tries left. */
  async function repeating(call, mayRepeat) {
    for (const pauseMs of REPEAT_AFTER_MS) {
      try {
        return await call();
      } catch (error) {
        if (!mayRepeat(error)) throw error;
        await wait(Math.min(error.retryAfterMs || pauseMs, RETRY_AFTER_MS_MAX));
      }
    }
    return call();
  }

  /** The session that is there, or a new one. Presses at the same moment share one log-in. */
  function session() {
    const known = storage.get('session');
    if (known && Date.parse(known.expires_at) > Date.now()) return Promise.resolve(known);
    if (!loggingIn) {
      const done = () => (loggingIn = undefined);
      loggingIn = repeating(newSession, (error) => TRY_AGAIN.includes(error.code));
      loggingIn.then(done, done);
    }
    return loggingIn;
  }

  /** Each try has a code of its own: whether an earlier one was used up, nobody knows. */
  async function newSession() {
    const code = await new Promise((resolve, reject) => {
      const fail = ({ errMsg }) => reject(new ZhangguiError('login_failed', errMsg || 'login:fail'));
      wx.login({ success: (answer) => (answer.code ? resolve(answer.code) : fail(answer)), fail });
    });
    const fresh = await send('POST', '/v1/login', { body: { code, appid } });
    storage.set('session', fresh);
    return fresh;
  }

  /** A call in the customer's name. A session that the server does not know any more is renewed once. */
  async function authorized(method, path, more) {
    const { token } = await session();
    try {
      return await send(method, path, Object.assign({ token }, more));
    } catch (error) {
      if (error.code !== 'unauthorized') throw error;
      const known = storage.get('session');
      if (known && known.token === token) storage.remove('session');
      return send(method, path, Object.assign({}, more, { token: (await session()).token }));
    }
  }

  /** Reading is repeated after every failure that may pass, everything else only if nothing was done. */
  function request(method, path, body, more) {
    const safe = method === 'GET' || (more && more.repeatable);
    const mayRepeat = (error) => (safe ? TRY_AGAIN.includes(error.code) : nothingDone(error)) && error.code !== 'unauthorized';
    return repeating(() => authorized(method, path, Object.assign({ body }, more)), mayRepeat);
  }

  return {
    request,
    once: authorized,
    login: (asked) => {
      if (asked && asked.renew) storage.remove('session');
      return session().then(({ customer, expires_at: expiresAt }) => ({ customer, expiresAt }));
    },
    products: () => {
      const query = appid ? `?appid=${encodeURIComponent(appid)}` : '';
      return repeating(() => send('GET', `/v1/products${query}`), (error) => TRY_AGAIN.includes(error.code));
    },
  };
}

function understood({ statusCode, data }) {
  return statusCode >= 200 && statusCode < 300 && typeof data === 'object' && data !== null;
}

function problemOf({ statusCode, data, header }) {
  if (typeof data !== 'object' || data === null || typeof data.code !== 'string') {
    return new ZhangguiError('answer_unreadable', `Something answered in the server's place, with status ${statusCode}.`, { status: statusCode });
  }
  const names = Object.keys(header || {});
  const seconds = Number(header && header[names.find((name) => name.toLowerCase() === 'retry-after')]);
  return new ZhangguiError(data.code, data.detail || data.title, {
    status: statusCode,
    requestId: data.request_id,
    wechat: data.wechat,
    retryAfterMs: seconds > 0 ? seconds * 1000 : undefined,
  });
}

/** Whether the call certainly had no effect. */
function nothingDone(error) {
  return error.code === 'offline' || NOTHING_DONE.includes(error.code);
}

/** Paying: one at a time, and never one thing twice. */
function paymentsOf(settings, storage, calls) {
  const { wx, wait } = settings;
  let current;

  /** Pays; the second press of the same button gets the first one's outcome. */
  function pay(wanted) {
    const what = fingerprint(wanted);
    if (current) {
      if (current.what === what) return current.outcome;
      return Promise.reject(new ZhangguiError('payment_in_progress', 'Another payment is under way: wait for its end.'));
    }
    const done = () => (current = undefined);
    const outcome = byId(wanted) ? payOrder(byId(wanted)) : payItems(what);
    current = { what, outcome };
    outcome.then(done, done);
    return outcome;
  }

  /** Continues the order that an earlier press has made, if it can still be paid; otherwise makes one. */
  async function payItems(what) {
    const pending = storage.get('pending');
    if (pending && pending.what === what && pending.at > Date.now() - PENDING_MS_MAX) {
      // The answer to an order may have been lost. Asked for again it is the same, whatever the order became since.
      const earlier = await continueOrder(pending.order || (await makeOrder(pending)).id);
      if (earlier) return earlier;
    }
    return payOrder((await makeOrder({ what, key: newKey(), at: Date.now() })).id);
  }

  /** The outcome of an order that is there already; nothing if it has ended without money. */
  async function continueOrder(id, again) {
    try {
      const order = await calls.request('GET', `${orderPath(id)}?refresh=true`);
      if (order.state === 'paid') return ended({ outcome: 'paid', order, earlier: true });
      if (order.state === 'closed') return undefined;
      if (order.state === 'closing') {
        // Until it is closed at WeChat, it may have been paid: with another one the customer would perhaps pay twice.
        const end = ended(await ask(id, { says: 'ok' }));
        return end.order.state === 'closed' ? undefined : Object.assign(end, { earlier: true });
      }
      return await payOrder(id);
    } catch (error) {
      if (['order_not_found', 'order_expired'].includes(error.code)) return undefined;
      if (error.code === 'order_closed' && !again) return continueOrder(id, true);
      throw error;
    }
  }

  /**
   * Orders. If the answer is lost, nobody knows whether there is an order now. The key tells the server that a repetition,
   * or the customer's next press for the same things, is the same order: it answers as it did the first time.
   */
  async function makeOrder(pending) {
    storage.set('pending', pending);
    // The same things make the same bytes, in whatever order the lines came.
    const body = { items: JSON.parse(pending.what).map(([sku, quantity]) => ({ sku, quantity })) };
    const more = { repeatable: true, headers: { 'idempotency-key': pending.key } };
    const order = await calls.request('POST', '/v1/orders', body, more);
    storage.set('pending', Object.assign({}, pending, { order: order.id }));
    return order;
  }

  async function payOrder(id) {
    let parameters;
    try {
      // Safe to press as often as one likes: it is the same payment.
      parameters = await calls.request('POST', `${orderPath(id)}/pay`, undefined, { repeatable: true });
    } catch (error) {
      if (error.code !== 'order_paid') throw error;
      return ended({ outcome: 'paid', order: await calls.request('GET', orderPath(id)), earlier: true });
    }
    const phone = await sheet(parameters);
    return ended(await ask(id, phone));
  }

  /** What the phone says. It is good for the next question and for nothing else. */
  function sheet(parameters) {
    return new Promise((resolve) => {
      wx.requestPayment(Object.assign({}, parameters, {
        success: ({ errMsg }) => resolve({ says: 'ok', errMsg }),
        fail: ({ errMsg }) => resolve({ says: /cancel/.test(errMsg) ? 'cancel' : 'fail', errMsg }),
      }));
    });
  }

  /** Asks the server until it knows, so many times. */
  async function ask(id, { says, errMsg }) {
    let order;
    for (const pauseMs of ASK_AFTER_MS[says]) {
      if (pauseMs) await wait(pauseMs);
      try {
        order = await calls.once('GET', `${orderPath(id)}?refresh=true`);
      } catch (error) {
        if (!TRY_AGAIN.includes(error.code)) throw error;
        continue;
      }
      if (order.state === 'paid') return { outcome: 'paid', order };
      if (order.state === 'closed') return { outcome: 'failed', order, message: errMsg };
    }
    // "Not paid" is said only if WeChat said so after the sheet was closed.
    const certain = order && order.refreshed && says !== 'ok';
    const outcome = certain ? (says === 'cancel' ? 'cancelled' : 'failed') : 'unknown';
    return { outcome, order: order || { id }, message: errMsg };
  }

  function ended(outcome) {
    seen(outcome.order);
    return outcome;
  }

  /** An order that has ended is not continued: whoever saw that and presses "pay" again wants the things once more. */
  function seen(order) {
    const pending = storage.get('pending');
    const isOver = order.state === 'paid' || order.state === 'closed';
    if (isOver && pending && pending.order === order.id) storage.remove('pending');
    return order;
  }

  return { pay, seen };
}

/** The id of an order that exists, if one is meant. */
function byId(wanted) {
  return typeof wanted === 'string' ? wanted : wanted && wanted.id;
}

/** Says what is bought: the same things in another order of the lines are the same. */
function fingerprint(wanted) {
  if (byId(wanted)) return byId(wanted);
  if (!wanted || !Array.isArray(wanted.items)) {
    throw new ZhangguiError('options_invalid', 'pay takes the id of an order, or {items: [{sku, quantity}]}.');
  }
  return JSON.stringify(wanted.items.map(({ sku, quantity = 1 }) => [sku, quantity]).sort());
}

function orderPath(id) {
  return `/v1/orders/${encodeURIComponent(id)}`;
}

function newKey() {
  const digits = () => Math.random().toString(36).slice(2, 13);
  return `mp-${Date.now().toString(36)}-${digits()}${digits()}`;
}

/**
 * What the shop's people shall know when the customer opens the chat, as attributes of
 * `<button open-type="contact">`. `session-from` has a limit; what is beyond it is cut.
 */
function contact(about) {
  const { order, note, title, path, image } = about || {};
  const known = JSON.stringify({ order, note });
  return {
    sessionFrom: known === '{}' ? '' : Array.from(known).slice(0, SESSION_FROM_MAX).join(''),
    showMessageCard: Boolean(title || path || image),
    sendMessageTitle: title || '',
    sendMessagePath: path || '',
    sendMessageImg: image || '',
  };
}

module.exports = { create, ZhangguiError };
