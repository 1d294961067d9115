// WXML: the subset that shops need, read into a tree and filled with data. What the phone does not know is an error that
// names it, never something that silently looks different from WeChat.
// Source: https://developers.weixin.qq.com/miniprogram/dev/reference/wxml/

import { shown, template } from './expression.js';

const TAGS = ['view', 'text', 'image', 'button', 'input', 'textarea', 'navigator', 'scroll-view', 'label', 'block'];
const EVENTS = ['tap', 'input', 'confirm', 'focus', 'blur', 'change', 'getphonenumber'];
const CONTROLS = ['wx:if', 'wx:elif', 'wx:else', 'wx:for', 'wx:for-item', 'wx:for-index', 'wx:key'];
const ENTITIES = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", nbsp: '\u00a0' };

/** Reads a file. */
export function parse(source, file) {
  const root = { children: [] };
  const open = [root];
  const scan = /<!--[\s\S]*?-->|<\/([\w-]+)\s*>|<([\w-]+)((?:\s+[\w:-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?)*)\s*(\/?)>|((?:[^<{]|\{\{[\s\S]*?\}\}|\{)+)|(<)/g;
  for (const found of source.matchAll(scan)) {
    const [, closing, tag, attributes, alone, text, broken] = found;
    const fail = (what) => {
      const line = source.slice(0, found.index).split('\n').length;
      throw new SyntaxError(`${file}:${line}: ${what}`);
    };
    const parent = open.at(-1);
    if (broken) fail('the phone cannot read this tag');
    else if (text) addText(parent, text);
    else if (closing) {
      if (parent.tag !== closing) fail(`</${closing}> closes <${parent.tag ?? 'nothing'}>`);
      open.pop();
    } else if (tag) {
      if (!TAGS.includes(tag)) fail(`the phone does not have <${tag}>; it has ${TAGS.join(', ')}`);
      const element = read(tag, attributes, fail);
      parent.children.push(element);
      if (!alone) open.push(element);
    }
  }
  if (open.length > 1) throw new SyntaxError(`${file}: <${open.at(-1).tag}> is not closed`);
  return root.children;
}

function addText(parent, text) {
  if (!text.trim()) return;
  const decoded = text.replace(/&(?:#(\d+)|(\w+));/g, (whole, code, name) => (code ? String.fromCodePoint(code) : ENTITIES[name] ?? whole));
  // Line breaks count in <text> only.
  const kept = parent.tag === 'text' ? decoded : decoded.replace(/\s*\n\s*/g, ' ').replace(/^ | $/g, '');
  parent.children.push({ text: template(kept) });
}

function read(tag, attributes, fail) {
  const element = { tag, control: {}, attributes: [], events: {}, children: [] };
  for (const [, name, , double, single] of attributes.matchAll(/([\w:-]+)(\s*=\s*(?:"([^"]*)"|'([^']*)'))?/g)) {
    const value = double ?? single;
    const bound = /^(bind|catch):?(\w+)$/.exec(name);
    if (bound && !EVENTS.includes(bound[2])) fail(`the phone does not tell ${name}; it tells ${EVENTS.join(', ')}`);
    if (bound) element.events[bound[2]] = { handler: template(value ?? ''), stop: bound[1] === 'catch' };
    else if (CONTROLS.includes(name)) element.control[name.slice(3)] = name.includes('for-') || name === 'wx:key' ? value : template(value ?? '');
    else if (name.startsWith('wx:') || name.startsWith('bind') || name.startsWith('catch')) fail(`the phone does not know ${name}`);
    else element.attributes.push([name, value === undefined ? () => true : template(value)]);
  }
  return element;
}

/** Fills the tree with data: a list of `{tag, key, props, data, on, children}` and `{text}`. */
export function fill(nodes, data) {
  const filled = [];
  let taken = false;
  for (const node of nodes) {
    if (node.text) {
      filled.push({ text: shown(node.text(data)) });
      continue;
    }
    const { control } = node;
    if (control.for) {
      filled.push(...repeat(node, data));
      continue;
    }
    if (control.if) taken = Boolean(control.if(data));
    else if (control.elif) {
      if (taken) continue;
      taken = Boolean(control.elif(data));
    } else if (control.else) {
      if (taken) continue;
      taken = true;
    }
    if ((control.if || control.elif) && !taken) continue;
    filled.push(...fillOne(node, data));
  }
  return filled;
}

function repeat(node, data) {
  const { control } = node;
  const list = control.for(data) ?? [];
  const [item, index, key] = [control['for-item'] ?? 'item', control['for-index'] ?? 'index', control.key];
  return Array.from(list).flatMap((value, position) => {
    const inner = { ...data, [item]: value, [index]: position };
    if (control.if && !control.if(inner)) return [];
    const name = key === undefined ? position : key === '*this' ? value : value?.[key];
    return fillOne(node, inner).map((filled) => ({ ...filled, key: String(name) }));
  });
}

function fillOne(node, data) {
  const children = fill(node.children, data);
  if (node.tag === 'block') return children;
  const [props, dataset] = [{}, {}];
  for (const [name, value] of node.attributes) {
    if (name.startsWith('data-')) dataset[camel(name.slice(5))] = value(data);
    else props[name] = value(data);
  }
  const on = {};
  for (const [name, { handler, stop }] of Object.entries(node.events)) on[name] = { handler: shown(handler(data)), stop };
  return [{ tag: node.tag, props, data: dataset, on, children }];
}

/** data-order-id becomes orderId, data-orderId becomes orderid, as in WeChat. */
function camel(name) {
  return name.toLowerCase().replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
}
