// The tool of WeChat's own agents: who waits, what was forwarded to them, and their answers. With message push on, they see
// nothing but what the shop's server forwards.

import { post } from './control.js';
import { h } from './dom.js';
import { text } from './text.js';

/** In whose name the answers are written. */
const AGENT = 'agent@zhanggui';

export class AgentsView {
  #drawn = '';
  #drafts = new Map();

  /** `world` has the app, `names` tells a customer's name by openid, `changed` is called after an act, `say` with failures. */
  constructor(world, names, changed, say) {
    Object.assign(this, { world, names, changed, say });
    const t = text.agents;
    this.list = h('div', { class: 'conversations' });
    this.element = h('section', { class: 'agents', hidden: true, aria: { label: t.title } },
      h('header', {}, h('h2', {}, t.title)), h('p', { class: 'quiet' }, t.intro), this.list);
  }

  /** Shows what has changed. What somebody is typing stays. */
  refresh({ conversations }) {
    const ours = conversations.filter(({ appid, session }) => appid === this.world.appid && session.is !== 'nobody');
    const drawn = JSON.stringify(ours.map(({ openid, session, forwarded }) => [openid, session, forwarded]));
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const typing = this.list.contains(document.activeElement);
    this.element.hidden = ours.length === 0;
    this.list.replaceChildren(...ours.map((conversation) => this.#show(conversation)));
    if (typing) this.list.querySelector('input')?.focus();
  }

  #show({ openid, session, forwarded }) {
    const t = text.agents;
    const act = (path, body) => async () => {
      try {
        await post(`agents/${path}`, { appid: this.world.appid, openid, ...body });
      } catch (error) {
        this.say(error.message);
      }
      await this.changed();
    };
    const keep = ({ target }) => this.#drafts.set(openid, target.value);
    const field = h('input', { type: 'text', value: this.#drafts.get(openid) ?? '', aria: { label: t.answer }, placeholder: t.answer, oninput: keep });
    const answer = (event) => {
      event.preventDefault();
      const content = field.value;
      field.value = '';
      this.#drafts.delete(openid);
      return content && act('answer', { content })();
    };
    const said = forwarded.map(({ said: what }) => what?.content ?? what?.title ?? `[${what?.is ?? 'event'}]`);
    return h('div', { class: 'conversation' },
      h('b', {}, this.names(openid)), h('span', { class: 'quiet' }, session.is === 'waiting' ? t.waiting : t.taken),
      h('p', {}, h('bdi', {}, said.slice(-3).join(' / '))),
      session.is === 'waiting'
        ? h('button', { type: 'button', class: 'bad-day', onclick: act('take', { agent: AGENT }) }, t.take)
        : h('form', { onsubmit: answer }, field, h('button', { type: 'submit', class: 'bad-day' }, t.send), h('button', { type: 'button', class: 'bad-day', onclick: act('close') }, t.end)));
  }
}
