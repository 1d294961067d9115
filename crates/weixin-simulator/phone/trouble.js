// The bad days: what can be made to go wrong, by a button.

import { get, post } from './control.js';
import { h } from './dom.js';
import { PayTwice } from './paytwice.js';
import { clock, text } from './text.js';

const NOTIFICATION = 'notification';
const PUSH = 'push';
const ORDERS = ['/v3/pay/transactions/jsapi', '/pay/unifiedorder'];

/** Faults that the simulator keeps until they strike: name, path, kind. */
const FAULTS = [
  ['pay', 'lost', NOTIFICATION, 'lost'],
  ['pay', 'twice', NOTIFICATION, 'twice'],
  ['pay', 'tampered', NOTIFICATION, 'tampered_body'],
  ['pay', 'noAnswer', ORDERS[0], 'no_answer_after'],
  ['pay', 'busy', ORDERS[0], { v3_error: { status: 429, code: 'FREQUENCY_LIMITED' } }],
  ['chat', 'repeated', PUSH, 'twice'],
  ['chat', 'pushLost', PUSH, 'lost'],
];

export class TroubleView {
  #badges = new Map();

  /** `phone()` is the one in front, `world` knows the time, `say` tells of failures. */
  constructor(phone, world, say) {
    Object.assign(this, { phone, world, say });
    const t = text.trouble;
    const groups = ['pay', 'network', 'chat', 'time', 'customer'];
    this.time = h('time', {});
    const buttons = Object.fromEntries(groups.map((group) => [group, []]));
    for (const [group, name, path, kind] of FAULTS) buttons[group].push(this.#button(name, () => post('faults', { path, kind })));
    buttons.pay.push(this.#button('closing', () => this.#close()), this.#button('payTwice', () => this.phone().payTwice.arm()));
    for (const [name, trouble] of [['loseAnswer', 'lose_answer'], ['offline', 'offline']]) {
      buttons.network.push(this.#button(name, () => this.phone().network.push(trouble)));
    }
    for (const [name, seconds] of [['hour', 2 * 3600], ['day', 24 * 3600]]) {
      buttons.time.push(this.#button(name, () => this.world.advance(seconds)));
    }
    buttons.customer.push(this.#button('blocked', () => this.#block(true)), this.#button('unblocked', () => this.#block(false)));
    buttons.time.unshift(h('span', { class: 'clock' }, `${t.clock} `, this.time));
    this.element = h('section', { class: 'trouble', aria: { label: t.title } },
      h('header', {}, h('h2', {}, t.title), h('button', { type: 'button', class: 'small', onclick: () => this.#forget() }, t.clear)),
      h('p', { class: 'quiet' }, t.intro),
      groups.map((group) => h('div', { class: 'group', role: 'group', aria: { label: t.groups[group] } }, h('h3', {}, t.groups[group]), h('div', {}, buttons[group]))));
  }

  #button(name, work) {
    const badge = h('span', { class: 'badge', hidden: true });
    this.#badges.set(name, badge);
    const act = async () => {
      try {
        await work();
      } catch (error) {
        this.say(error.message);
      }
      await this.refresh();
    };
    return h('button', { type: 'button', class: 'bad-day', data: { name }, title: text.trouble[`${name}Hint`], onclick: act }, text.trouble[name], badge);
  }

  /** Shows what waits to strike. */
  async refresh() {
    const { faults } = await get('faults');
    for (const [, name, path, kind] of FAULTS) {
      const waiting = faults.filter((fault) => fault.path === path && JSON.stringify(fault.kind) === JSON.stringify(kind));
      this.#mark(name, waiting.reduce((sum, { times }) => sum + times, 0));
    }
    const { network, payTwice } = this.phone();
    this.#mark('payTwice', payTwice.waits ? 1 : 0);
    this.#mark('loseAnswer', network.filter((trouble) => trouble === 'lose_answer').length);
    this.#mark('offline', network.filter((trouble) => trouble === 'offline').length);
    this.tick();
  }

  tick() {
    const now = new Date(this.world.now());
    this.time.textContent = `${now.toLocaleDateString('zh-CN')} ${clock(now)}`;
  }

  #mark(name, count) {
    const badge = this.#badges.get(name);
    badge.hidden = count === 0;
    badge.textContent = count;
    badge.title = text.trouble.armed;
  }

  async #forget() {
    await fetch('/_sim/faults', { method: 'DELETE' });
    this.phone().network.length = 0;
    this.phone().payTwice = new PayTwice();
    await this.refresh();
  }

  /** The shop closes the order of the open payment sheet: what the customer's own "cancel this order" would call. */
  async #close() {
    const phone = this.phone();
    if (!phone.paying || !phone.lastPay) throw new Error(text.trouble.closingNot);
    const url = phone.lastPay.url.replace(/\/pay$/, '/close');
    const call = { appid: phone.appid, method: 'POST', url, header: phone.lastPay.header };
    phone.heard(call, await post('wx/request', call));
  }

  async #block(blocked) {
    await post('customers/block', { ...this.phone().who(), blocked });
    if (blocked) this.phone().storage.clear();
  }
}
