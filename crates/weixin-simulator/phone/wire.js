// Everything that is said between phone, server and WeChat, as it happens: decoded, without secrets.

import { h } from './dom.js';
import { clock, text } from './text.js';

/** So many lines stay on the page. */
const LINES_MAX = 500;

/** What a call is, by its path. */
const NAMES = [
  [/^\/sns\/jscode2session/, 'login'],
  [/^\/cgi-bin\/(stable_)?token/, 'token'],
  [/^\/cgi-bin\/media\//, 'media'],
  [/^\/cgi-bin\/message\/custom\/send/, 'send'],
  [/^\/cgi-bin\/message\/custom\/(business\/)?typing/, 'typing'],
  [/^\/cgi-bin\/message\/subscribe\/send/, 'subscribe'],
  [/^\/wxa\/business\/getuserphonenumber/, 'number'],
  [/^\/v3\/pay\/transactions\/jsapi|^\/pay\/unifiedorder/, 'order'],
  [/^\/v3\/pay\/transactions\/.*\/close|^\/pay\/closeorder/, 'closing'],
  [/^\/v3\/pay\/transactions\/|^\/pay\/orderquery/, 'query'],
  [/^\/v3\/refund\/domestic\/refunds\/|^\/pay\/refundquery/, 'refundQuery'],
  [/^\/v3\/refund\/|^\/secapi\/pay\/refund/, 'refund'],
  [/^\/v3\/bill|^\/pay\/downloadbill/, 'bill'],
  [/^\/v3\/certificates/, 'certificates'],
];

export class WireView {
  #following = true;

  constructor() {
    const t = text.wire;
    this.list = h('ol', { class: 'lines', onscroll: () => this.#scrolled() });
    this.empty = h('p', { class: 'quiet empty' }, t.empty);
    this.element = h('section', { class: 'wire', aria: { label: t.title } },
      h('header', {}, h('h2', {}, t.title), h('button', { type: 'button', class: 'small', onclick: () => this.clear() }, t.clear)),
      this.empty, this.list);
  }

  clear() {
    this.list.replaceChildren();
    this.empty.hidden = false;
  }

  /** An exchange between server and WeChat, as the control API tells it. */
  exchange(exchange) {
    const out = exchange.direction === 'to_wechat';
    const { method, path, status, at, note } = exchange;
    this.#add({
      lane: out ? 'out' : 'in', at, method, status, note,
      path: out ? path : new URL(path).pathname,
      name: out ? nameOf(path) : told(exchange),
      parts: [
        [text.wire.request, exchange.request, exchange.request_opened],
        [text.wire.answer, exchange.answer, exchange.answer_opened],
      ],
      headers: [...exchange.headers, ...exchange.answer_headers],
    });
  }

  /** What the mini program and its server said. */
  phone({ customer, sent, answer }, at) {
    const body = answer.data === undefined ? answer.errMsg : typeof answer.data === 'string' ? answer.data : JSON.stringify(answer.data);
    this.#add({
      lane: 'phone', at, method: sent.method, status: answer.statusCode, path: pathOf(sent.url),
      name: customer, note: answer.statusCode ? undefined : answer.errMsg,
      parts: [[text.wire.request, redact(sent.data ?? '')], [text.wire.answer, redact(body ?? '')]],
      headers: Object.entries(sent.header ?? {}).map(([key, value]) => [key, key === 'authorization' ? shortened(value) : value]),
    });
  }

  /** The mini program has an error. */
  error({ customer, error }, at) {
    this.#add({ lane: 'error', at, method: '', path: error.message, name: `${customer}: ${text.wire.error}`, parts: [['', error.stack ?? '']], headers: [] });
  }

  #add({ lane, at, method, path, name, status, note, parts, headers }) {
    const t = text.wire;
    const bad = lane === 'error' || status === undefined || status === null || status >= 400;
    const summary = h('summary', {},
      h('time', {}, clock(at, true)),
      h('span', { class: 'lane' }, t[lane]),
      h('span', { class: 'name' }, name),
      h('code', {}, `${method} ${path}`),
      lane !== 'error' && h('span', { class: bad ? 'status bad' : 'status' }, status ?? t.none));
    // The bodies are written when somebody looks.
    const details = h('details', { class: `line from-${lane}` }, summary, note && h('p', { class: 'note' }, note));
    details.addEventListener('toggle', () => details.append(...bodies(parts, headers)), { once: true });
    this.#insert(h('li', { data: { at: Date.parse(at) || at } }, details));
    while (this.list.children.length > LINES_MAX) this.list.firstChild.remove();
    this.empty.hidden = true;
    if (this.#following) this.list.scrollTop = this.list.scrollHeight;
  }

  // By time: what the server asked WeChat stands below the phone's request that made it ask, although it ends earlier.
  #insert(line) {
    let place = this.list.lastElementChild;
    while (place && Number(place.dataset.at) > Number(line.dataset.at)) place = place.previousElementSibling;
    this.list.insertBefore(line, place ? place.nextSibling : this.list.firstChild);
  }

  // Whoever scrolls up wants to read and not to be carried away.
  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.list;
    this.#following = scrollHeight - scrollTop - clientHeight < 40;
  }
}

function bodies(parts, headers) {
  const shown = parts.filter(([, body]) => body).flatMap(([title, body, opened]) => [
    title && h('h3', {}, title), h('pre', { tabIndex: 0 }, pretty(body)),
    opened && h('h3', {}, `${title} (${text.wire.opened})`), opened && h('pre', { class: 'opened', tabIndex: 0 }, pretty(opened)),
  ]).filter(Boolean);
  if (headers.length > 0) {
    shown.push(h('h3', {}, text.wire.headers), h('pre', { tabIndex: 0 }, headers.map(([name, value]) => `${name}: ${value}`).join('\n')));
  }
  return shown;
}

function nameOf(path) {
  const known = NAMES.find(([pattern]) => pattern.test(path));
  return known ? text.wire[known[1]] : '';
}

/** What WeChat tells the server. */
function told({ method, path, request, request_opened: opened }) {
  const t = text.wire;
  if (method === 'GET') return t.verify;
  const words = `${request}${opened ?? ''}`;
  if (/MsgType/.test(words)) return `${t.push}: ${/"?Event"?[>":\s]+(?:<!\[CDATA\[)?(\w+)/.exec(words)?.[1] ?? /"?MsgType"?[>":\s]+(?:<!\[CDATA\[)?(\w+)/.exec(words)?.[1] ?? ''}`;
  if (/REFUND\.|req_info/.test(words)) return t.refunded;
  return /TRANSACTION\.|<transaction_id>/.test(words) ? t.paid : `${t.notification} ${new URL(path).pathname}`;
}

/** Tokens are kept out of sight as the wire log keeps out its own. */
function redact(body) {
  return body.replace(/("token"\s*:\s*")([^"]*)"/g, (_, start, token) => `${start}${shortened(token)}"`);
}

function shortened(secret) {
  return secret.length > 18 ? `${secret.slice(0, 14)}… [redacted]` : secret;
}

/** JSON and XML with line breaks; everything else as it is. */
function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return /^\s*<xml/.test(body) && !body.includes('\n<') ? body.replace(/></g, '>\n<') : body;
  }
}

/** Path and query of an address; the whole text if it is none. */
function pathOf(url) {
  if (!URL.canParse(url)) return url;
  const { pathname, search } = new URL(url);
  return pathname + search;
}
