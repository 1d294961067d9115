// The payment sheet: who gets how much, the password, and how it ended.

import { h } from './dom.js';
import { text, yuan } from './text.js';

const OK = 'requestPayment:ok';
const LENGTH = 6;

/** The simulator's only wrong password. */
const WRONG = '000000';

/**
 * Opens the sheet. `pay()` and `cancel()` ask WeChat and give its `errMsg`; the last one comes back when the customer has
 * closed the sheet.
 */
export function openCashier(dialogs, { merchant, description, amount_fen: fen }, { pay, cancel }) {
  const t = text.cashier;
  return new Promise((resolve) => {
    let [digits, poor, busy] = ['', false, false];
    const dots = h('div', { class: 'dots', aria: { hidden: 'true' } }, Array.from({ length: LENGTH }, () => h('i')));
    const said = h('p', { class: 'said', role: 'alert' });
    const method = h('select', { onchange: ({ target }) => (poor = target.value === 'poor') },
      h('option', { value: 'rich' }, t.rich), h('option', { value: 'poor' }, t.poor));
    const key = (digit) => h('button', { type: 'button', class: 'key', onclick: () => press(digit) }, digit);
    const keys = h('div', { class: 'keys' }, ['1', '2', '3', '4', '5', '6', '7', '8', '9'].map(key),
      h('span'), key('0'), h('button', { type: 'button', class: 'key', aria: { label: t.erase }, onclick: erase }, '⌫'));
    const sheet = h('div', { class: 'cashier', role: 'dialog', aria: { modal: 'true', label: t.password }, tabIndex: -1, data: { first: '' }, onkeydown: typed },
      h('header', {}, h('button', { type: 'button', class: 'away', aria: { label: t.cancel }, onclick: away }, '✕'), h('b', {}, t.password)),
      h('p', { class: 'who' }, `${t.to} ${merchant}`),
      h('p', { class: 'much' }, h('small', {}, '¥'), yuan(fen)),
      h('p', { class: 'what' }, description),
      h('label', { class: 'method' }, t.method, method),
      dots, said, h('p', { class: 'hint' }, t.hint), keys);
    const close = dialogs.cover(sheet);

    function typed(event) {
      if (event.target === method) return;
      if (/^\d$/.test(event.key)) press(event.key);
      else if (event.key === 'Backspace') erase();
      else if (event.key === 'Escape') away();
      else return;
      event.preventDefault();
    }

    function press(digit) {
      if (busy) return;
      show(digits + digit, '');
      if (digits.length === LENGTH) submit();
    }

    function erase() {
      if (!busy) show(digits.slice(0, -1), '');
    }

    function show(next, message) {
      digits = next;
      said.textContent = message;
      [...dots.children].forEach((dot, index) => dot.classList.toggle('full', index < digits.length));
    }

    async function submit() {
      if (digits === WRONG) return show('', t.wrong);
      if (poor) return show('', t.notEnough);
      busy = true;
      said.textContent = t.working;
      const errMsg = await pay();
      if (errMsg === OK) return paid();
      // WeChat's words, between the brackets.
      const words = /\((.*)\)/.exec(errMsg)?.[1] ?? errMsg;
      close();
      await dialogs.question({ content: words, showCancel: false });
      resolve(errMsg);
    }

    function paid() {
      close();
      const done = () => {
        leave();
        resolve(OK);
      };
      const leave = dialogs.cover(h('div', { class: 'paid', role: 'dialog', aria: { modal: 'true' } },
        h('div', { class: 'sign' }, '✓'),
        h('h2', {}, t.paid),
        h('p', { class: 'much' }, h('small', {}, '¥'), yuan(fen)),
        h('p', { class: 'who' }, merchant),
        h('button', { type: 'button', class: 'main', onclick: done }, t.done)));
    }

    async function away() {
      if (busy) return;
      busy = true;
      const errMsg = await cancel();
      close();
      resolve(errMsg);
    }
  });
}
