// The page: phones of several customers, the wire beside them, and the bad days.

import { AgentsView } from './agents.js';
import { get, post } from './control.js';
import { h } from './dom.js';
import { Phone } from './phone.js';
import { loadProgram } from './program.js';
import { language, switchLanguage, text } from './text.js';
import { TroubleView } from './trouble.js';
import { WireView } from './wire.js';

/** Who is there at first. */
const CUSTOMERS = ['li', 'wang', 'zhang'];
const KEPT = 'zhanggui-phone.customers';

/** So much of what was said before the page was opened is shown. */
const EARLIER_MAX = 30;

/** How long a question for news waits for an answer. */
const WAIT_S = 25;

class Page {
  phones = new Map();
  openids = new Map();
  #sequence = 0;

  async open() {
    const [program, status] = await Promise.all([loadProgram(), get('status')]);
    const [app] = status.apps;
    this.program = program;
    this.world = new World(status, app);
    await this.world.read();
    this.customers = JSON.parse(localStorage.getItem(KEPT) ?? 'null') ?? CUSTOMERS;
    this.wire = new WireView();
    const say = (message) => this.front.dialogs.toast({ title: message, icon: 'none', duration: 3000 });
    this.trouble = new TroubleView(() => this.front, this.world, say);
    const name = (openid) => [...this.openids].find(([, known]) => known === openid)?.[0] ?? openid;
    this.agents = new AgentsView(this.world, name, () => this.refresh(), say);
    this.stage = h('div', { class: 'stage' });
    this.bar = h('nav', { class: 'customers', aria: { label: text.customers } });
    document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
    document.title = `${app.name} · ${text.title}`;
    document.body.replaceChildren(this.#head(), h('main', { data: { tab: 'phone' } }, h('div', { class: 'left' }, this.bar, this.stage), h('div', { class: 'right' }, this.trouble.element, this.agents.element, this.wire.element)), this.#tabs());
    this.choose(this.customers[0]);
    setInterval(() => this.#tick(), 1000);
    await this.#listen();
  }

  #head() {
    return h('header', { class: 'head' },
      h('h1', {}, '掌柜 ', h('span', {}, text.title)),
      h('p', {}, text.fake),
      h('button', { type: 'button', class: 'small', onclick: switchLanguage }, text.language));
  }

  /** On a narrow screen one thing is shown at a time. */
  #tabs() {
    const choose = (name) => {
      document.querySelector('main').dataset.tab = name;
      [...bar.children].forEach((button) => button.toggleAttribute('aria-current', button.dataset.name === name));
    };
    const bar = h('nav', { class: 'page-tabs' }, Object.entries(text.tabs).map(([name, label]) => h('button', { type: 'button', data: { name }, onclick: () => choose(name) }, label)));
    bar.firstChild.toggleAttribute('aria-current', true);
    return bar;
  }

  /** Puts a customer's phone in front. */
  choose(customer) {
    if (!this.phones.has(customer)) {
      this.phones.set(customer, new Phone(customer, this.program, this.world, (event) => this.heard(event)));
    }
    this.front = this.phones.get(customer);
    this.stage.replaceChildren(this.front.element);
    const button = (name) => h('button', { type: 'button', aria: { pressed: String(name === customer) }, onclick: () => this.choose(name) }, name);
    this.bar.replaceChildren(...this.customers.map(button), h('button', { type: 'button', aria: { label: text.newCustomer }, onclick: () => this.#newCustomer() }, '＋'));
    this.refresh().catch((error) => this.heard({ kind: 'error', customer, error }));
  }

  async #newCustomer() {
    const name = `${prompt(text.newCustomerName) ?? ''}`.trim();
    if (!/^[\w-]{1,32}$/.test(name)) return;
    if (!this.customers.includes(name)) this.customers.push(name);
    localStorage.setItem(KEPT, JSON.stringify(this.customers));
    this.choose(name);
  }

  /** Something was said on a phone. */
  heard(event) {
    if (event.kind === 'error') return this.wire.error(event, this.world.now());
    const phone = this.phones.get(event.customer);
    if (phone && /\/pay$/.test(event.sent.url)) phone.lastPay = event.sent;
    this.wire.phone(event, event.at ?? this.world.now());
    return this.trouble.refresh().catch(() => {});
  }

  /** Asks for what happens between server and WeChat, again and again. */
  async #listen() {
    for (;;) {
      try {
        const { exchanges } = await get(`wire?since=${this.#sequence}&wait_s=${WAIT_S}`);
        const shown = this.#sequence === 0 ? exchanges.slice(-EARLIER_MAX) : exchanges;
        shown.forEach((exchange) => this.wire.exchange(exchange));
        this.#sequence = exchanges.at(-1)?.sequence ?? this.#sequence;
        if (exchanges.length > 0) await this.refresh();
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 2000));
        await this.#began();
      }
    }
  }

  /** After an interruption: is it still the same simulator? One that was started anew counts from the beginning. */
  async #began() {
    try {
      const { exchanges } = await get('wire?since=0');
      if ((exchanges.at(-1)?.sequence ?? 0) < this.#sequence) location.reload();
    } catch {
      // It is still away.
    }
  }

  async refresh() {
    const [{ customers }, ledger] = await Promise.all([get('status'), get('ledger'), this.world.read(), this.trouble.refresh()]);
    customers.forEach(({ customer, openid }) => this.openids.set(customer, openid));
    this.agents.refresh(ledger);
    for (const [customer, phone] of this.phones) await phone.refresh({ ...ledger, openid: this.openids.get(customer) });
    this.#tick();
  }

  #tick() {
    this.phones.forEach((phone) => phone.tick());
    this.trouble.tick();
  }
}

/** What all phones share: the app, the server, the time at WeChat. */
class World {
  #ahead_ms = 0;

  constructor({ server }, { appid, name, templates = [] }) {
    Object.assign(this, { server, appid, name, templates });
  }

  /** WeChat's time, in milliseconds. */
  now() {
    return Date.now() + this.#ahead_ms;
  }

  async read() {
    const { now } = await get('clock');
    this.#ahead_ms = Date.parse(now) - Date.now();
  }

  async advance(seconds) {
    await post('clock', { advance_s: seconds });
    await this.read();
  }
}

new Page().open().catch((error) => {
  document.body.replaceChildren(h('main', { class: 'failed' }, h('h1', {}, text.failed), h('pre', {}, error.message)));
});
