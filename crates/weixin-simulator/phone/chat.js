// The chat with the shop. What the customer says goes to WeChat; what is shown is what WeChat has.

import { get, post } from './control.js';
import { h } from './dom.js';
import { clock, text } from './text.js';

/** Where WeChat keeps pictures. */
const PICTURES = '/mmbiz_pic/';

export class Chat {
  unread = 0;
  last = '';
  #shown = 0;
  #first = true;

  constructor(phone) {
    this.phone = phone;
    const t = text.chat;
    this.list = h('div', { class: 'list', role: 'log' });
    this.typing = h('p', { class: 'typing', hidden: true }, t.typing);
    this.card = h('div', { class: 'offer' });
    this.field = h('input', { type: 'text', placeholder: t.say, aria: { label: t.say }, maxLength: 2000 });
    const picture = h('input', { type: 'file', accept: 'image/*', hidden: true, onchange: () => this.#sendPicture(picture) });
    this.element = h('div', { class: 'chat' },
      h('header', { class: 'bar' }, h('button', { type: 'button', class: 'back', aria: { label: text.back }, onclick: () => phone.go('app') }, '‹'), h('h1', {}, t.title)),
      this.list, this.typing, this.card,
      h('form', { class: 'say', onsubmit: (event) => this.#say(event) },
        h('button', { type: 'button', class: 'picture', aria: { label: t.picture }, onclick: () => picture.click() }, '＋'), picture,
        this.field, h('button', { type: 'submit', class: 'send' }, t.send)));
  }

  opened() {
    this.unread = 0;
    this.list.scrollTop = this.list.scrollHeight;
    this.field.focus({ preventScroll: true });
    this.read();
  }

  /** The contact button wants a card to be sent. The customer decides. */
  offer(card) {
    const send = async () => {
      this.card.replaceChildren();
      await post('chat/card', { ...this.phone.who(), ...card });
      await this.read();
    };
    this.card.replaceChildren(...(card ? [h('button', { type: 'button', onclick: send }, `${text.chat.card}: ${card.title}`)] : []));
  }

  /** Shows what is new. */
  async read() {
    const { appid, customer } = this.phone.who();
    const { lines, typing } = await get(`chat?appid=${appid}&customer=${encodeURIComponent(customer)}`);
    this.typing.hidden = !typing;
    for (const line of lines.slice(this.#shown)) {
      this.list.append(this.#show(line));
      this.last = line.said.content ?? line.said.title ?? `[${line.said.is}]`;
      const foreign = line.by !== 'customer';
      if (foreign && !this.#first && this.phone.place !== 'chat') {
        this.unread += 1;
        this.phone.announce(text.home.service, this.last, 'chat');
      }
    }
    if (lines.length > this.#shown) this.list.scrollTop = this.list.scrollHeight;
    this.#shown = lines.length;
    this.#first = false;
  }

  #show({ at, by, said, ai }) {
    const speaker = typeof by === 'string' ? by : 'agent';
    return h('div', { class: `said ${speaker}`, title: clock(at, true) },
      typeof by === 'object' && h('span', { class: 'agent-name' }, Object.values(by)[0]),
      this.#content(said), ai && h('span', { class: 'ai' }, text.chat.ai));
  }

  #content(said) {
    // Texts of strangers are text, whatever stands in them; bdi keeps their direction to themselves.
    if (said.is === 'text') return h('p', { class: 'bubble' }, h('bdi', {}, said.content));
    if (said.is === 'image') return h('img', { class: 'bubble', src: PICTURES + said.media_id, alt: text.chat.picture });
    const below = said.is === 'card' ? said.page_path : said.description;
    return h('div', { class: 'bubble card' }, h('b', {}, said.title), h('small', {}, below));
  }

  async #say(event) {
    event.preventDefault();
    const content = this.field.value;
    if (!content) return;
    this.field.value = '';
    await post('chat/text', { ...this.phone.who(), content });
    await this.read();
  }

  async #sendPicture(input) {
    const [file] = input.files;
    if (!file) return;
    const bytes = new Uint8Array(await file.arrayBuffer());
    const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
    input.value = '';
    await post('chat/image', { ...this.phone.who(), base64 });
    await this.read();
  }
}
