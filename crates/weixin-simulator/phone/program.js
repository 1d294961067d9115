// The files of the mini program: loaded once, run anew for every customer.

import { parse } from './wxml.js';
import { sheet } from './wxss.js';

const factories = new Map();

// The modules come as scripts that call this, as in WeChat.
window.miniprogram = { define: (name, factory) => factories.set(name, factory) };

/** Loads all files. */
export async function loadProgram() {
  const { files } = await (await fetch('program.json')).json();
  const texts = new Map();
  const isText = (name) => /\.(json|wxml|wxss)$/.test(name);
  await Promise.all(files.map(async (name) => {
    if (name.endsWith('.js')) await script(name);
    else if (isText(name)) texts.set(name, await (await fetch(`program/${name}`)).text());
  }));
  return new Program(new Set(files), texts);
}

function script(name) {
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = `program/${name}`;
    element.onload = resolve;
    element.onerror = () => reject(new Error(`${name} cannot be loaded`));
    document.head.append(element);
  });
}

class Program {
  #templates = new Map();
  #sheets = new Map();

  constructor(files, texts) {
    Object.assign(this, { files, texts });
    this.app = this.json('app.json');
    if (!Array.isArray(this.app?.pages)) throw new Error('app.json lists no pages');
    this.tabs = this.app.tabBar?.list ?? [];
  }

  json(name) {
    const text = this.texts.get(name);
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new SyntaxError(`${name}: ${error.message}`);
    }
  }

  factory(name) {
    return factories.get(name);
  }

  /** Title, colours: the page's own, and those of all. */
  window(path) {
    return { ...this.app.window, ...this.json(`${path}.json`) };
  }

  template(path) {
    if (!this.#templates.has(path)) this.#templates.set(path, parse(this.texts.get(`${path}.wxml`) ?? '', `${path}.wxml`));
    return this.#templates.get(path);
  }

  sheets(path) {
    return ['app.wxss', `${path}.wxss`].map((name) => {
      if (!this.#sheets.has(name)) this.#sheets.set(name, sheet(name, (file) => this.texts.get(file)));
      return this.#sheets.get(name);
    });
  }

  isTab(path) {
    return this.tabs.some(({ pagePath }) => pagePath === path);
  }
}
