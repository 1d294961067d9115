// Runs a mini program for one customer: modules, App, Page, the stack of pages, setData.
// Source: https://developers.weixin.qq.com/miniprogram/dev/reference/api/Page.html

import { patch } from './dom.js';
import { fill } from './wxml.js';

/** So many pages may lie on each other. */
const PAGES_MAX = 10;

const BASE = new CSSStyleSheet();
BASE.replaceSync(`
  :host { display: block; height: 100%; overflow-y: auto; overscroll-behavior: contain; }
  :host([hidden]) { display: none; }
  .page-root { position: relative; box-sizing: border-box; min-height: 100%; }
  *, *::before { box-sizing: border-box; }
  [hidden] { display: none !important; }
  wx-view, wx-scroll-view { display: block; }
  wx-text { white-space: pre-line; }
  wx-navigator { display: block; cursor: pointer; }
  wx-image { display: inline-block; width: 320px; height: 240px; background: center no-repeat; }
  [role=button] { cursor: pointer; }
  input, textarea { border: 0; padding: 0; font: inherit; color: inherit; background: none; outline-offset: 4px; }
  button { display: block; margin: 0 auto; padding: 8px 24px; border: 0; border-radius: 4px; min-width: 0; font: inherit;
    font-size: 17px; font-weight: 500; line-height: 1.41; text-align: center; color: #06ae56; background: #f2f2f2; cursor: pointer; }
  button[data-type=primary] { color: #fff; background: #07c160; }
  button[data-type=warn] { color: #fa5151; }
  button[disabled] { cursor: default; opacity: 0.4; }
  button:active:not([disabled]), [role=button]:active { filter: brightness(0.94); }
  :focus-visible { outline: 2px solid #0a7cff; outline-offset: 2px; }
`);

/** A mini program that runs. `screen` shows pages, `wxOf(this)` makes its `wx`. */
export class MiniProgram {
  #modules = new Map();
  #registered;
  /** Tabs that are not on the stack. */
  #tabs = new Map();

  constructor(program, screen, wxOf) {
    Object.assign(this, { program, screen, stack: [] });
    this.wx = wxOf(this);
  }

  /** Starts it with its first page. */
  launch() {
    this.guard(() => {
      this.require('app.js');
      this.app ??= {};
      const path = this.program.app.pages[0];
      this.call(this.app, 'onLaunch', { path, query: {}, scene: 1001 });
      this.call(this.app, 'onShow', { path, query: {}, scene: 1001 });
      this.open(path, {});
    });
  }

  /** A module, run once. */
  require(name) {
    if (this.#modules.has(name)) return this.#modules.get(name).exports;
    const factory = this.program.factory(name);
    if (!factory) throw new Error(`module '${name}' is not defined`);
    const module = { exports: {} };
    this.#modules.set(name, module);
    const require = (path) => this.require(this.#resolve(name, path));
    const app = (options) => void (this.app = options);
    const page = (options) => void (this.#registered = options);
    const pages = () => this.stack.map(({ instance }) => instance);
    factory(require, module, module.exports, this.wx, app, page, () => this.app, pages);
    return module.exports;
  }

  #resolve(from, path) {
    const plain = new URL(path, `x:/${from}`).pathname.slice(1);
    return [plain, `${plain}.js`, `${plain}/index.js`].find((name) => this.program.factory(name)) ?? plain;
  }

  /** Puts a page on the stack. */
  open(path, query) {
    if (this.stack.length >= PAGES_MAX) throw new Error(`webview count limit exceed`);
    this.top?.hide();
    const page = new PageView(this, path, query, this.#definition(path));
    this.stack.push(page);
    page.start();
    this.screen.show(page);
  }

  // A page's module registers what all pages of that path begin with.
  #definition(path) {
    const module = `${path}.js`;
    if (!this.#modules.has(module)) {
      this.#registered = undefined;
      this.require(module);
      this.#modules.get(module).page = this.#registered ?? {};
    }
    return this.#modules.get(module).page;
  }

  get top() {
    return this.stack.at(-1);
  }

  /** Takes so many pages off, and shows what lies below. */
  back(delta = 1) {
    const gone = this.stack.splice(Math.max(1, this.stack.length - delta));
    gone.reverse().forEach((page) => page.end());
    this.top.show();
    this.screen.show(this.top);
  }

  /** Shows a tab. Tabs live until everything is taken off; other pages on the stack end. */
  switchTab(path) {
    if (this.top?.path === path) return;
    while (this.top && !this.program.isTab(this.top.path)) this.stack.pop().end();
    const left = this.stack.pop();
    if (left) {
      left.hide();
      this.#tabs.set(left.path, left);
    }
    const known = this.#tabs.get(path);
    if (!known) return void this.open(path, {});
    this.#tabs.delete(path);
    this.stack.push(known);
    known.show();
    this.screen.show(known);
  }

  /** Takes everything off. */
  clear() {
    [...this.stack.splice(0).reverse(), ...this.#tabs.values()].forEach((page) => page.end());
    this.#tabs.clear();
  }

  hide() {
    this.top?.hide();
    this.call(this.app, 'onHide');
  }

  show() {
    this.call(this.app, 'onShow', { path: this.top?.path, query: this.top?.query, scene: 1001 });
    this.top?.show();
  }

  /** Calls a method, if it is there. What goes wrong in it is shown, and nothing else breaks. */
  call(object, method, ...args) {
    if (typeof object?.[method] !== 'function') return undefined;
    return this.guard(() => object[method](...args));
  }

  guard(work) {
    try {
      const result = work();
      result?.catch?.((error) => this.screen.complain(error));
      return result;
    } catch (error) {
      this.screen.complain(error);
      return undefined;
    }
  }
}

/** A page on the stack. */
class PageView {
  #ready = false;

  constructor(runtime, path, query, definition) {
    Object.assign(this, { runtime, path, query, visible: false });
    this.element = document.createElement('mini-page');
    const shadow = this.element.attachShadow({ mode: 'open' });
    shadow.adoptedStyleSheets = [BASE, ...runtime.program.sheets(path)];
    this.root = document.createElement('div');
    this.root.className = 'page-root';
    shadow.append(this.root);
    this.instance = {
      ...definition,
      data: copy(definition.data ?? {}),
      route: path,
      options: query,
      setData: (patch, done) => this.setData(patch, done),
    };
  }

  start() {
    this.render();
    this.runtime.call(this.instance, 'onLoad', this.query);
    this.show();
    this.#ready = true;
    this.runtime.call(this.instance, 'onReady');
  }

  show() {
    if (this.visible) return;
    this.visible = true;
    this.runtime.call(this.instance, 'onShow');
  }

  hide() {
    if (!this.visible) return;
    this.visible = false;
    this.runtime.call(this.instance, 'onHide');
  }

  end() {
    this.visible = false;
    this.runtime.call(this.instance, 'onUnload');
    this.element.remove();
    this.gone = true;
  }

  setData(patch, done) {
    for (const [path, value] of Object.entries(patch)) assign(this.instance.data, path, copy(value));
    if (!this.gone) this.render();
    done?.call(this.instance);
  }

  render() {
    this.runtime.guard(() => patch(this.root, fill(this.runtime.program.template(this.path), this.instance.data), this));
  }

  // What the tree on the screen tells, see dom.js.

  emit(handler, event) {
    if (typeof this.instance[handler] !== 'function') {
      this.runtime.screen.complain(new Error(`${this.path} has no method ${handler}`));
      return;
    }
    this.runtime.call(this.instance, handler, event);
  }

  pressed(tag, props, element) {
    this.runtime.guard(() => this.runtime.screen.pressed(this, tag, props, element));
  }

  resource(src) {
    return /^(data:|https?:)/.test(src) ? src : `program/${new URL(src, `x:/${this.path}`).pathname.slice(1)}`;
  }
}

/** What goes from the logic to the screen is data: functions and classes do not arrive. */
function copy(value) {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** Sets `a.b[0].c`. */
function assign(data, path, value) {
  const keys = path.match(/[^.[\]]+/g) ?? [];
  const last = keys.pop();
  let at = data;
  keys.forEach((key, index) => {
    const next = keys[index + 1] ?? last;
    at[key] ??= /^\d+$/.test(next) ? [] : {};
    at = at[key];
  });
  at[last] = value;
}
