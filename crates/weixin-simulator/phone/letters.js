// What WeChat Pay writes to a customer after a payment and a refund. It comes from WeChat's own books, not from the shop.

import { h } from './dom.js';
import { clock, text, yuan } from './text.js';

export class Letters {
  unread = 0;
  last = '';
  #known = new Map();
  #first = true;

  constructor(phone) {
    this.phone = phone;
    this.list = h('div', { class: 'list' });
    this.element = h('div', { class: 'letters' },
      h('header', { class: 'bar' }, h('button', { type: 'button', class: 'back', aria: { label: text.back }, onclick: () => phone.go('home') }, '‹'), h('h1', {}, text.home.pay)),
      this.list);
  }

  opened() {
    this.unread = 0;
    this.list.scrollTop = this.list.scrollHeight;
  }

  /** Finds what is new in the books. */
  read({ openid, payments, refunds }) {
    const t = text.letters;
    const mine = payments.filter((payment) => payment.openid === openid && payment.paid_at);
    const numbers = new Set(mine.map(({ out_trade_no: number }) => number));
    const letters = mine.map((payment) => ({
      key: `paid/${payment.out_trade_no}`, at: payment.paid_at, title: t.paid, what: t.amount, fen: payment.total_fen, number: payment.out_trade_no,
    }));
    for (const refund of refunds.filter(({ out_trade_no: number, state }) => numbers.has(number) && state === 'SUCCESS')) {
      letters.push({ key: `refund/${refund.out_refund_no}`, at: refund.arrives_at, title: t.refunded, what: t.refund, fen: refund.refund_fen, number: refund.out_trade_no, back: true });
    }
    const fresh = letters.filter(({ key }) => !this.#known.has(key)).sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
    for (const letter of fresh) {
      this.#known.set(letter.key, letter);
      this.list.append(this.#show(letter));
      this.last = `${letter.title} ¥${yuan(letter.fen)}`;
      if (!this.#first) this.#announce();
    }
    this.#first = false;
  }

  #announce() {
    if (this.phone.place === 'letters') return this.opened();
    this.unread += 1;
    this.phone.announce(text.home.pay, this.last, 'letters');
  }

  #show({ at, title, what, fen, number, back }) {
    const t = text.letters;
    return h('article', { class: 'letter' },
      h('time', {}, clock(at)),
      h('h2', {}, title),
      h('p', { class: 'quiet' }, what),
      h('p', { class: 'much' }, h('small', {}, '¥'), yuan(fen)),
      h('dl', {}, h('dt', {}, t.merchant), h('dd', {}, this.phone.title), back && [h('dt', {}, ''), h('dd', {}, t.way)], h('dt', {}, t.number), h('dd', {}, number)));
  }
}
