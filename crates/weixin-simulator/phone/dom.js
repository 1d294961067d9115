// Elements: a short way to make them, and the mini program's tree put on the screen, where only what differs is changed.

/** Makes an element. `props` are properties, `on…` listeners, `data`, `aria` and `class` what they say. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (name === 'aria') for (const [key, text] of Object.entries(value)) element.setAttribute(`aria-${key}`, text);
    else if (name in element && name !== 'list' && name !== 'form') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

const NAMES = { view: 'wx-view', text: 'wx-text', image: 'wx-image', navigator: 'wx-navigator', 'scroll-view': 'wx-scroll-view' };
const BACKGROUND_SIZES = { aspectFit: 'contain', aspectFill: 'cover', scaleToFill: '100% 100%', widthFix: 'contain', heightFix: 'contain' };

/**
 * Brings the children of an element to a filled tree (see wxml.js). `host` is told what the customer does:
 * `emit(handler, event)`, `pressed(props, element)` for buttons and navigators; `resource(src)` finds pictures.
 */
export function patch(parent, wanted, host) {
  const before = [...parent.childNodes];
  const keyed = new Map(before.filter(({ vnode }) => vnode?.key !== undefined).map((node) => [node.vnode.tag + node.vnode.key, node]));
  const free = before.filter(({ vnode }) => vnode?.key === undefined);
  let place = parent.firstChild;
  for (const vnode of wanted) {
    const node = reuse(vnode, keyed, free) ?? create(vnode, host);
    update(node, vnode, host);
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function reuse(vnode, keyed, free) {
  if (vnode.key !== undefined) {
    const name = vnode.tag + vnode.key;
    const node = keyed.get(name);
    keyed.delete(name);
    return node;
  }
  const index = free.findIndex((node) => node.vnode?.tag === vnode.tag);
  return index < 0 ? undefined : free.splice(index, 1)[0];
}

function create(vnode, host) {
  if (vnode.text !== undefined) return document.createTextNode('');
  const element = document.createElement(NAMES[vnode.tag] ?? vnode.tag);
  if (vnode.tag === 'button') element.type = 'button';
  listen(element, host);
  return element;
}

function listen(element, host) {
  const happened = (type, detail) => (native) => {
    const { on } = element.vnode;
    if (!on[type]) return;
    if (on[type].stop) native.stopPropagation();
    host.emit(on[type].handler, eventOf(type, element, native, detail(native)));
  };
  const value = () => ({ value: element.value });
  element.addEventListener('click', happened('tap', ({ clientX: x, clientY: y }) => ({ x, y })));
  element.addEventListener('click', () => {
    const { tag, props } = element.vnode;
    if (tag === 'button' || tag === 'navigator') host.pressed(tag, props, element);
  });
  element.addEventListener('input', happened('input', value));
  element.addEventListener('change', happened('change', value));
  element.addEventListener('focus', happened('focus', value));
  element.addEventListener('blur', happened('blur', value));
  element.addEventListener('keydown', (native) => {
    if (native.target !== element || native.key !== 'Enter') return;
    if (element.localName === 'input') happened('confirm', value)(native);
    else if (element.localName.startsWith('wx-') && element.tabIndex >= 0) element.click();
  });
}

/** An event as a page's handler gets it. */
export function eventOf(type, element, native, detail) {
  const target = native?.composedPath().find(({ vnode }) => vnode?.data) ?? element;
  const about = ({ id = '', vnode }) => ({ id, dataset: { ...vnode.data } });
  return { type, detail, timeStamp: performance.now(), target: about(target), currentTarget: about(element) };
}

function update(node, vnode, host) {
  const before = node.vnode;
  node.vnode = vnode;
  if (vnode.text !== undefined) {
    if (node.data !== vnode.text) node.data = vnode.text;
    return;
  }
  for (const name of Object.keys({ ...before?.props, ...vnode.props })) {
    if (!before || before.props[name] !== vnode.props[name]) set(node, vnode, name, vnode.props[name], host);
  }
  // What can be tapped can be reached with the keyboard.
  if (vnode.on.tap && node.localName.startsWith('wx-') || vnode.tag === 'navigator') {
    node.tabIndex = 0;
    node.setAttribute('role', vnode.tag === 'navigator' ? 'link' : 'button');
  }
  if (!['input', 'textarea', 'image'].includes(vnode.tag)) patch(node, vnode.children, host);
}

function set(element, { tag, props }, name, value, host) {
  const there = value !== undefined && value !== null && value !== false && value !== 'false';
  if (name === 'class') element.className = there ? value : '';
  else if (name === 'style') element.style.cssText = there ? String(value).replace(/(-?\d*\.?\d+)rpx/g, 'calc($1 * var(--rpx))') : '';
  else if (name === 'hidden' || name === 'disabled') element.toggleAttribute(name, there);
  else if (name === 'id' || name === 'role' || name.startsWith('aria-')) there ? element.setAttribute(name, value) : element.removeAttribute(name);
  else if (tag === 'image' && (name === 'src' || name === 'mode')) {
    element.setAttribute('role', 'img');
    element.style.backgroundImage = props.src ? `url("${encodeURI(host.resource(props.src))}")` : '';
    element.style.backgroundSize = BACKGROUND_SIZES[props.mode] ?? '100% 100%';
  } else if (tag === 'input' || tag === 'textarea') field(element, name, value, there);
  else if (tag === 'button' && (name === 'type' || name === 'size')) element.dataset[name] = value;
}

function field(element, name, value, there) {
  if (name === 'value' && element.value !== value) element.value = value ?? '';
  else if (name === 'placeholder') element.placeholder = value ?? '';
  else if (name === 'maxlength' && Number(value) >= 0) element.maxLength = Number(value);
  else if (name === 'password') element.type = there ? 'password' : 'text';
  else if (name === 'type') element.inputMode = { number: 'numeric', digit: 'decimal', idcard: 'text' }[value] ?? 'text';
  else if (name === 'focus' && there) queueMicrotask(() => element.focus());
}
