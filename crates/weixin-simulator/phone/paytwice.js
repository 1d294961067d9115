// A customer pays one order twice: the first number was closed by WeChat, the second one is paid, and then money comes for
// the first one after all, from another phone that still had its sheet open.

import { post } from './control.js';

export class PayTwice {
  #armed = false;
  #first = undefined;

  /** From the next payment sheet on. */
  arm() {
    this.#armed = true;
  }

  /** Whether it is still to happen. */
  get waits() {
    return this.#armed || this.#first !== undefined;
  }

  /** A sheet would open: true if WeChat closes this number instead. */
  async takes({ mchid, out_trade_no: number }) {
    if (!this.#armed) return false;
    this.#armed = false;
    this.#first = { mchid, out_trade_no: number };
    await post('orders/close', this.#first);
    return true;
  }

  /** The customer paid: now the first number is paid, too. */
  async paid() {
    if (!this.#first) return;
    const first = this.#first;
    this.#first = undefined;
    await post('orders/pay', first);
  }
}
