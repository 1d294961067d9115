// A customer's phone: WeChat with its list of chats, the mini program, the chat with the shop, the letters of WeChat Pay.

import { Chat } from './chat.js';
import { post } from './control.js';
import { Dialogs } from './dialogs.js';
import { h } from './dom.js';
import { Letters } from './letters.js';
import { PayTwice } from './paytwice.js';
import { MiniProgram } from './runtime.js';
import { clock, text } from './text.js';
import { wxOf } from './wx.js';

const PAGE_TITLE = 'navigationBarTitleText';

export class Phone {
  /** Requests of the mini program that shall go wrong: `offline`, `lose_answer`. */
  network = [];
  payTwice = new PayTwice();
  /** What is on the payment sheet while it is open. */
  paying = undefined;

  /** `world` has appid, name, server, templates, time; `heard` gets what the mini program and its server say. */
  constructor(customer, program, world, heard) {
    Object.assign(this, { customer, program, world, appid: world.appid, title: world.name });
    this.ext = world.server ? { baseUrl: world.server } : {};
    this.heard = (sent, answer, at) => heard({ kind: 'phone', customer, sent, answer, at });
    this.told = heard;
    this.storage = new Storage(`zhanggui-phone/${this.appid}/${customer}/`);
    this.dialogs = new Dialogs();
    this.letters = new Letters(this);
    this.chat = new Chat(this);
    this.time = h('time', {});
    this.screen = h('div', { class: 'screen' });
    this.element = h('section', { class: 'phone', aria: { label: customer } },
      h('div', { class: 'status' }, this.time, h('span', { class: 'owner' }, customer), h('span', { class: 'battery' })),
      this.screen, this.dialogs.element);
    this.frame = this.#frame();
    this.start();
    this.tick();
  }

  /** Who acts, for the control API. */
  who() {
    return { appid: this.appid, customer: this.customer };
  }

  /** Starts the mini program anew. */
  start() {
    this.frame.pages.replaceChildren();
    this.runtime = new MiniProgram(this.program, this, (runtime) => wxOf(runtime, this));
    this.runtime.launch();
    this.go('app');
  }

  /** Shows the mini program, WeChat's list of chats, the chat with the shop, or the letters. */
  go(place) {
    if (this.place === 'app' && place !== 'app') this.runtime.hide();
    if (this.place && this.place !== 'app' && place === 'app') this.runtime.show();
    this.place = place;
    const shown = { app: this.frame.element, home: this.#home(), chat: this.chat.element, letters: this.letters.element }[place];
    this.screen.replaceChildren(shown);
    if (place === 'chat') this.chat.opened();
    if (place === 'letters') this.letters.opened();
  }

  /** The clock of the phone goes with WeChat's. */
  tick() {
    this.time.textContent = clock(this.world.now());
  }

  /** Something happened at WeChat: letters and chat may have grown. */
  async refresh(ledger) {
    this.letters.read(ledger);
    await this.chat.read();
    if (this.place === 'home') this.go('home');
  }

  // The mini program's frame: title, capsule, pages, tabs.

  #frame() {
    const back = h('button', { type: 'button', class: 'back', aria: { label: text.back }, onclick: () => this.runtime.guard(() => this.runtime.back()) }, '‹');
    const title = h('h1', {});
    const capsule = h('div', { class: 'capsule' },
      h('button', { type: 'button', aria: { label: text.menu }, onclick: () => this.#menu() }, '•••'),
      h('button', { type: 'button', aria: { label: text.close }, onclick: () => this.go('home') }, '◉'));
    const pages = h('div', { class: 'pages' });
    const tabs = h('nav', { class: 'tabs' });
    const bar = h('header', { class: 'bar' }, back, title, capsule);
    return { element: h('div', { class: 'app' }, bar, pages, tabs), bar, back, title, pages, tabs };
  }

  async #menu() {
    const choice = await this.dialogs.choice([text.home.remove]);
    if (choice !== 0) return;
    this.storage.clear();
    this.start();
  }

  /** The runtime shows a page. */
  show(page) {
    const { bar, back, title, pages, tabs } = this.frame;
    const look = this.program.window(page.path);
    title.textContent = look[PAGE_TITLE] ?? '';
    bar.style.background = look.navigationBarBackgroundColor ?? '#fff';
    bar.style.color = look.navigationBarTextStyle === 'white' ? '#fff' : '#000';
    this.element.style.setProperty('--page', look.backgroundColor ?? '#fff');
    back.hidden = this.runtime.stack.length < 2;
    if (page.element.parentNode !== pages) pages.append(page.element);
    [...pages.children].forEach((element) => element.toggleAttribute('hidden', element !== page.element));
    const isTab = this.program.isTab(page.path);
    tabs.hidden = !isTab;
    if (isTab) this.#showTabs(page.path);
  }

  #showTabs(current) {
    const look = this.program.app.tabBar;
    this.frame.tabs.style.background = look.backgroundColor ?? '#fff';
    const tab = ({ pagePath, text: label }) => {
      const button = h('button', { type: 'button', onclick: () => this.runtime.guard(() => this.runtime.switchTab(pagePath)) }, label);
      if (pagePath === current) button.setAttribute('aria-current', 'page');
      button.style.color = (pagePath === current ? look.selectedColor : look.color) ?? '';
      return button;
    };
    this.frame.tabs.replaceChildren(...this.program.tabs.map(tab));
  }

  setTitle(title) {
    this.frame.title.textContent = title;
  }

  /** The mini program has an error. It goes to the wire view; a customer would see nothing. */
  complain(error) {
    console.error(error);
    this.told({ kind: 'error', customer: this.customer, error });
  }

  // Buttons that are more than a tap.

  async pressed(page, tag, props, element) {
    if (tag === 'navigator') return this.#navigate(props);
    const open = { contact: this.#contact, getPhoneNumber: this.#phoneNumber }[props['open-type']];
    if (open) await open.call(this, page, props, element);
    else if (props['open-type']) this.complain(new Error(`the phone does not have open-type="${props['open-type']}"`));
  }

  #navigate(props) {
    const call = { navigate: 'navigateTo', redirect: 'redirectTo', switchTab: 'switchTab', reLaunch: 'reLaunch', navigateBack: 'navigateBack' }[props['open-type'] ?? 'navigate'];
    this.runtime.wx[call]({ url: props.url, fail: ({ errMsg }) => this.complain(new Error(errMsg)) });
  }

  async #contact(page, props) {
    await post('chat/enter', { ...this.who(), session_from: String(props['session-from'] ?? '') });
    const wantsCard = props['show-message-card'] === true || props['show-message-card'] === 'true';
    const card = wantsCard && { title: props['send-message-title'] || this.frame.title.textContent, page_path: props['send-message-path'] || page.path };
    this.chat.offer(card || undefined);
    this.go('chat');
  }

  async #phoneNumber(page, props, element) {
    const t = text.phoneNumber;
    const allowed = await this.dialogs.permission({ who: this.title, title: t.title, lines: [], allow: t.allow, refuse: t.refuse });
    const handler = element.vnode.on.getphonenumber?.handler;
    if (!handler) return;
    const detail = allowed
      ? { errMsg: 'getPhoneNumber:ok', code: (await post('wx/getPhoneNumber', this.who())).code }
      : { errMsg: 'getPhoneNumber:fail user deny' };
    const about = { id: element.id, dataset: { ...element.vnode.data } };
    page.emit(handler, { type: 'getphonenumber', detail, timeStamp: performance.now(), target: about, currentTarget: about });
  }

  /** The customer answered the pop-up of wx.requestSubscribeMessage. */
  subscribed(templates, answer) {
    return post('wx/requestSubscribeMessage', { ...this.who(), answers: Object.fromEntries(templates.map((id) => [id, answer])) });
  }

  // WeChat itself.

  #home() {
    const row = (sign, name, line, unread, place) => h('button', { type: 'button', class: 'row', onclick: () => this.go(place) },
      h('span', { class: `sign ${sign}` }), h('span', { class: 'name' }, name), h('span', { class: 'line' }, line || text.home.nothing),
      unread > 0 && h('span', { class: 'unread' }, String(unread)));
    return h('div', { class: 'home' },
      h('header', { class: 'bar' }, h('h1', {}, text.home.title)),
      row('program', this.title, text.home.open, 0, 'app'),
      row('pay', text.home.pay, this.letters.last, this.letters.unread, 'letters'),
      row('service', text.home.service, this.chat.last, this.chat.unread, 'chat'));
  }

  /** A strip from above: something has come. */
  announce(name, line, place) {
    const strip = h('button', { type: 'button', class: 'strip', onclick: () => (strip.remove(), this.go(place)) }, h('b', {}, name), h('span', {}, line));
    this.element.append(strip);
    setTimeout(() => strip.remove(), 4000);
  }
}

/** The storage of one mini program on one phone. */
class Storage {
  constructor(prefix) {
    this.prefix = prefix;
  }

  get(key) {
    const text = localStorage.getItem(this.prefix + key);
    return text === null ? undefined : JSON.parse(text);
  }

  set(key, value) {
    localStorage.setItem(this.prefix + key, JSON.stringify(value) ?? 'null');
  }

  remove(key) {
    localStorage.removeItem(this.prefix + key);
  }

  keys() {
    return Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).map((key) => key.slice(this.prefix.length));
  }

  clear() {
    this.keys().forEach((key) => this.remove(key));
  }
}
