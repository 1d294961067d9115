// `wx`, as far as a shop needs it. What is not here is undefined, so that a mini program can ask for it as on an old phone.
// Source: https://developers.weixin.qq.com/miniprogram/dev/api/

import { openCashier } from './cashier.js';
import { post } from './control.js';
import { language, text } from './text.js';

/** The base library whose calls these are. */
const SDK_VERSION = '3.5.0';

/** Why a call's `fail` is called. */
class Failed extends Error {
  constructor(errMsg) {
    super(errMsg);
    this.errMsg = errMsg;
  }
}

/** Makes the `wx` of a mini program that runs on a phone. */
export function wxOf(runtime, phone) {
  const { dialogs } = phone;

  // With callbacks a call gives nothing, without any it gives a promise.
  const api = (name, work) => (call = {}) => {
    const { success, fail, complete } = call;
    const result = Promise.resolve(call).then(work).then(
      (answer) => ({ errMsg: `${name}:ok`, ...answer }),
      (error) => Promise.reject(error instanceof Failed ? error : new Failed(`${name}:fail ${error.message}`)));
    if (!success && !fail && !complete) return result;
    const tell = (callback, answer) => callback && runtime.guard(() => callback(answer));
    result.then(
      (answer) => (tell(success, answer), tell(complete, answer)),
      ({ errMsg }) => (tell(fail, { errMsg }), tell(complete, { errMsg })));
    return undefined;
  };

  const pages = { navigateTo, redirectTo, switchTab, reLaunch };
  for (const [name, work] of Object.entries(pages)) pages[name] = api(name, ({ url }) => work(route(name, url)));

  function route(name, url = '') {
    const [plain, search = ''] = url.split('?');
    const from = runtime.top ? `x:/${runtime.top.path}` : 'x:/';
    const path = new URL(plain, from).pathname.slice(1);
    if (!runtime.program.app.pages.includes(path)) throw new Failed(`${name}:fail page "${path}" is not found`);
    const isTab = runtime.program.isTab(path);
    if (isTab && (name === 'navigateTo' || name === 'redirectTo')) throw new Failed(`${name}:fail can not ${name} a tabbar page`);
    if (!isTab && name === 'switchTab') throw new Failed('switchTab:fail can not switch to no-tabBar page');
    return { path, query: Object.fromEntries(search.split('&').filter(Boolean).map((pair) => pair.split('='))) };
  }

  function navigateTo({ path, query }) {
    runtime.open(path, query);
  }

  function redirectTo({ path, query }) {
    runtime.stack.pop().end();
    runtime.open(path, query);
  }

  function switchTab({ path }) {
    runtime.switchTab(path);
  }

  function reLaunch({ path, query }) {
    runtime.clear();
    runtime.open(path, query);
  }

  const storage = phone.storage;
  const system = () => ({
    brand: 'zhanggui', model: 'simulator', system: 'Browser', platform: 'devtools', SDKVersion: SDK_VERSION, version: '8.0.50',
    language: language === 'zh' ? 'zh_CN' : 'en', theme: 'light', pixelRatio: devicePixelRatio, fontSizeSetting: 16,
    windowWidth: phone.screen.clientWidth, windowHeight: phone.screen.clientHeight,
    screenWidth: phone.screen.clientWidth, screenHeight: phone.screen.clientHeight, statusBarHeight: 44,
    host: { appId: '', env: 'WeChat' },
  });

  const calls = {
    ...pages,
    navigateBack: api('navigateBack', ({ delta }) => runtime.back(delta)),

    login: api('login', async () => ({ code: (await post('wx/login', phone.who())).code })),
    checkSession: api('checkSession', () => ({})),
    request: (call) => request(runtime, phone, call),
    requestPayment: api('requestPayment', (call) => requestPayment(phone, call)),
    requestSubscribeMessage: api('requestSubscribeMessage', (call) => requestSubscribeMessage(phone, call)),

    showToast: api('showToast', (call) => dialogs.toast(call)),
    hideToast: api('hideToast', () => dialogs.hideToast()),
    showLoading: api('showLoading', ({ title, mask }) => dialogs.toast({ title, mask, icon: 'loading', duration: Infinity })),
    hideLoading: api('hideLoading', () => dialogs.hideToast()),
    showModal: api('showModal', async (call) => {
      const confirm = await dialogs.question(call);
      return { confirm, cancel: !confirm };
    }),
    showActionSheet: api('showActionSheet', async ({ itemList }) => {
      const tapIndex = await dialogs.choice(itemList);
      if (tapIndex === undefined) throw new Failed('showActionSheet:fail cancel');
      return { tapIndex };
    }),
    setNavigationBarTitle: api('setNavigationBarTitle', ({ title }) => phone.setTitle(title)),
    stopPullDownRefresh: api('stopPullDownRefresh', () => ({})),
    pageScrollTo: api('pageScrollTo', ({ scrollTop = 0 }) => runtime.top.element.scrollTo({ top: scrollTop, behavior: 'smooth' })),
    setClipboardData: api('setClipboardData', ({ data }) => navigator.clipboard.writeText(data)),

    getStorageSync: (key) => storage.get(key) ?? '',
    setStorageSync: (key, data) => storage.set(key, data),
    removeStorageSync: (key) => storage.remove(key),
    clearStorageSync: () => storage.clear(),
    getStorageInfoSync: () => ({ keys: storage.keys(), currentSize: 0, limitSize: 10240 }),
    getStorage: api('getStorage', ({ key }) => {
      const data = storage.get(key);
      if (data === undefined) throw new Failed('getStorage:fail data not found');
      return { data };
    }),
    setStorage: api('setStorage', ({ key, data }) => storage.set(key, data)),
    removeStorage: api('removeStorage', ({ key }) => storage.remove(key)),
    clearStorage: api('clearStorage', () => storage.clear()),

    getExtConfigSync: () => ({ ...phone.ext }),
    getExtConfig: api('getExtConfig', () => ({ extConfig: { ...phone.ext } })),
    getAccountInfoSync: () => ({ miniProgram: { appId: phone.appid, envVersion: 'develop', version: '' }, plugin: {} }),
    getSystemInfoSync: system,
    getSystemInfo: api('getSystemInfo', system),
    getAppBaseInfo: system,
    getDeviceInfo: system,
    getWindowInfo: system,
    getLaunchOptionsSync: () => ({ path: runtime.program.app.pages[0], query: {}, scene: 1001 }),
    nextTick: (work) => queueMicrotask(work),
    canIUse: (name) => Object.hasOwn(calls, String(name).split('.')[0]),
  };
  return calls;
}

/** Goes over the simulator, which calls addresses of this machine only. */
function request(runtime, phone, call) {
  const { url, method = 'GET', header = {}, data, dataType = 'json', timeout, success, fail, complete } = call;
  let aborted = false;
  const name = method.toUpperCase();
  const sent = encode(String(url), name, header, data);
  const body = { appid: phone.appid, method: name, timeout_ms: timeout, ...sent };
  const at = phone.world.now();
  const exchange = async () => {
    if (!isAddress(url)) throw new Failed(`request:fail invalid url "${url}"`);
    const trouble = phone.network.shift();
    if (trouble === 'offline') throw new Failed('request:fail errcode:-106 cronet_error_code:-106 error_msg:net::ERR_INTERNET_DISCONNECTED');
    const answer = await post('wx/request', body);
    if (trouble === 'lose_answer') throw new Failed('request:fail timeout');
    if (answer.errMsg) throw new Failed(answer.errMsg);
    return { errMsg: 'request:ok', ...answer, data: dataType === 'json' ? read(answer.data) : answer.data, cookies: [] };
  };
  const tell = (callback, answer) => callback && runtime.guard(() => callback(answer));
  const done = (callback, answer) => {
    phone.heard(body, answer, at);
    if (aborted) return;
    tell(callback, answer);
    tell(complete, answer);
  };
  exchange().then((answer) => done(success, answer), (error) => done(fail, { errMsg: error.errMsg ?? `request:fail ${error.message}` }));
  return {
    abort: () => {
      aborted = true;
      tell(fail, { errMsg: 'request:fail abort' });
      tell(complete, { errMsg: 'request:fail abort' });
    },
  };
}

/** Whether somebody could be called there: `https://…`, and here `http://…`, too. */
function isAddress(url) {
  return /^https?:\/\//i.test(url) && URL.canParse(url);
}

/** The query of GET, the body of everything else, as the documentation of wx.request has them. */
function encode(url, method, header, data) {
  const names = Object.fromEntries(Object.entries(header).map(([name, value]) => [name.toLowerCase(), String(value)]));
  const type = names['content-type'] ?? 'application/json';
  const pairs = (object) => new URLSearchParams(Object.entries(object).map(([key, value]) => [key, String(value)])).toString();
  if (data === undefined || data === null) return { url, header: names };
  if (method === 'GET') {
    const query = typeof data === 'string' ? data : pairs(data);
    return { url: query ? `${url}${url.includes('?') ? '&' : '?'}${query}` : url, header: names };
  }
  const text = typeof data === 'string' ? data : type.includes('x-www-form-urlencoded') ? pairs(data) : JSON.stringify(data);
  return { url, header: { ...names, 'content-type': type }, data: text };
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function requestPayment(phone, { timeStamp, nonceStr, package: prepay, signType, paySign }) {
  const parameters = { timeStamp, nonceStr, package: prepay, signType, paySign };
  const choose = async (choice) => (await post('wx/requestPayment', { ...phone.who(), parameters, choice })).errMsg;
  const { sheet, errMsg } = await post('wx/paymentSheet', { ...phone.who(), parameters });
  if (!sheet) {
    // The phone shows its reason, and the mini program gets it, too.
    await phone.dialogs.question({ content: /\((.*)\)/.exec(errMsg)?.[1] ?? errMsg, showCancel: false });
    throw new Failed(errMsg);
  }
  if (await phone.payTwice.takes(sheet)) {
    phone.dialogs.toast({ title: text.trouble.payTwiceFirst, icon: 'none', duration: 3000 });
    throw new Failed('requestPayment:fail cancel');
  }
  phone.paying = sheet;
  const said = await openCashier(phone.dialogs, sheet, { pay: () => choose('pay'), cancel: () => choose('cancel') });
  phone.paying = undefined;
  if (said !== 'requestPayment:ok') throw new Failed(said);
  await phone.payTwice.paid();
  return { errMsg: said };
}

async function requestSubscribeMessage(phone, { tmplIds }) {
  if (!Array.isArray(tmplIds) || tmplIds.length === 0) throw new Failed('requestSubscribeMessage:fail Template IDs must not be empty');
  const t = text.subscribe;
  const lines = tmplIds.map((id) => `${t.template} ${id}`);
  const accepted = await phone.dialogs.permission({ who: phone.title, title: t.title, lines, allow: t.allow, refuse: t.refuse });
  const answer = accepted ? 'accept' : 'reject';
  await phone.subscribed(tmplIds, answer);
  return Object.fromEntries(tmplIds.map((id) => [id, answer]));
}

