// What WeChat lays over the mini program: toasts, questions, choices. One at a time, closed by Escape where WeChat has a
// way out.

import { h } from './dom.js';
import { text } from './text.js';

/** The layer over the screen of a phone. */
export class Dialogs {
  #toast;
  #timer;

  constructor() {
    this.element = h('div', { class: 'over' });
  }

  /** `wx.showToast`, `wx.showLoading`. */
  toast({ title = '', icon = 'success', duration = 1500, mask = false }) {
    this.hideToast();
    const sign = { success: '✓', error: '✕', loading: '' }[icon];
    this.#toast = h('div', { class: `toast ${icon}`, role: 'status' }, sign !== undefined && h('div', { class: 'sign' }, sign), h('div', {}, title));
    if (mask) this.#toast.classList.add('mask');
    this.element.append(this.#toast);
    if (duration !== Infinity) this.#timer = setTimeout(() => this.hideToast(), duration);
  }

  hideToast() {
    clearTimeout(this.#timer);
    this.#toast?.remove();
  }

  /** `wx.showModal`: true if confirmed. */
  question({ title = '', content = '', showCancel = true, cancelText = text.no, confirmText = text.ok }) {
    return this.#open('dialog', (done) => [
      title && h('h2', {}, title),
      content && h('p', { class: 'content' }, content),
      h('div', { class: 'answers' },
        showCancel && h('button', { type: 'button', onclick: () => done(false) }, cancelText),
        h('button', { type: 'button', class: 'main', onclick: () => done(true) }, confirmText)),
    ], showCancel ? false : true);
  }

  /** `wx.showActionSheet`: the index of the choice, or nothing. */
  choice(items) {
    return this.#open('choices', (done) => [
      items.map((item, index) => h('button', { type: 'button', onclick: () => done(index) }, item)),
      h('button', { type: 'button', class: 'away', onclick: () => done(undefined) }, text.no),
    ], undefined);
  }

  /** A permission that WeChat asks for: true if given. */
  permission({ who, title, lines, allow, refuse }) {
    return this.#open('permission', (done) => [
      h('h2', {}, who, h('span', {}, title)),
      lines.map((line) => h('p', { class: 'line' }, line)),
      h('div', { class: 'answers' },
        h('button', { type: 'button', onclick: () => done(false) }, refuse),
        h('button', { type: 'button', class: 'main', onclick: () => done(true) }, allow)),
    ], false);
  }

  /** Lays an element over everything until `close` is called. */
  cover(element) {
    const before = document.activeElement;
    const curtain = h('div', { class: 'curtain' }, element);
    this.element.append(curtain);
    (element.querySelector('[data-first], .main, button') ?? element).focus({ preventScroll: true });
    return () => {
      curtain.remove();
      before?.focus?.({ preventScroll: true });
    };
  }

  #open(kind, content, escaped) {
    return new Promise((resolve) => {
      let close;
      const done = (answer) => {
        close();
        resolve(answer);
      };
      const escape = ({ key }) => key === 'Escape' && done(escaped);
      const element = h('div', { class: kind, role: 'dialog', aria: { modal: 'true' }, tabIndex: -1, onkeydown: escape }, content(done));
      close = this.cover(element);
    });
  }
}
