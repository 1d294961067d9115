// WXSS into CSS: rpx, the selectors of WeChat's elements, @import.
// Source: https://developers.weixin.qq.com/miniprogram/dev/framework/view/wxss.html

const ELEMENTS = /(^|[\s>+~,(])(page|view|text|image|navigator|scroll-view)(?![\w-])/g;

/** Makes a sheet of a file. `load(path)` gives other files; 750rpx are the width of the screen. */
export function sheet(path, load) {
  const result = new CSSStyleSheet();
  result.replaceSync(translate(path, load));
  return result;
}

/** The CSS of a file and of all that it imports. */
export function translate(path, load, seen = new Set()) {
  if (seen.has(path)) return '';
  seen.add(path);
  return (load(path) ?? '')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/@import\s+["']([^"']+)["']\s*;/g, (_, name) => translate(new URL(name, `x:/${path}`).pathname.slice(1), load, seen))
    .replace(/(-?\d*\.?\d+)rpx/g, 'calc($1 * var(--rpx))')
    .replace(/[^{}]+(?=\{)/g, (selector) => (selector.trim().startsWith('@') ? selector : selector.replace(ELEMENTS, element)));
}

function element(_, before, name) {
  return before + (name === 'page' ? '.page-root' : `wx-${name}`);
}
