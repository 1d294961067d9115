/** The subset of WXML, its expressions and WXSS, tried where they run. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

import world from '../../clients/miniprogram/tests/world.js';

let server;
let browser;
let page;
before(async () => {
  server = await world.start();
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--disable-gpu', ...root] });
  page = await browser.newPage();
  await page.goto(server.phoneUrl);
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** What a template becomes with these data; an error becomes its message. */
function shows(text, data = {}) {
  return page.evaluate(async ([source, values]) => {
    const { template } = await import('/phone/expression.js');
    try {
      return template(source)(values);
    } catch (error) {
      return `error: ${error.message}`;
    }
  }, [text, data]);
}

function filled(source, data = {}) {
  return page.evaluate(async ([wxml, values]) => {
    const { fill, parse } = await import('/phone/wxml.js');
    try {
      return fill(parse(wxml, 'page.wxml'), values);
    } catch (error) {
      return `error: ${error.message}`;
    }
  }, [source, data]);
}

test('expressions have the operators of WXML and their order', async () => {
  for (const [source, data, wanted] of [
    ['{{1 + 2 * 3}}', {}, 7],
    ['{{(1 + 2) * 3 - -1}}', {}, 10],
    ["{{a ? 'yes' : 'no'}}", { a: 1 }, 'yes'],
    ['{{a === 0 || !b && c}}', { a: 1, b: 0, c: 'c' }, 'c'],
    ["{{'Order ' + list[1].name}}", { list: [{}, { name: 'tea' }] }, 'Order tea'],
    ['{{list.length > 1}}', { list: [1, 2] }, true],
    ['{{[a, 2][0]}}', { a: 1 }, 1],
    ['{{a}}/{{b}}', { a: 1 }, '1/'],
    ['plain', {}, 'plain'],
    ['{{"\\"" + \'it\\\'s\'}}', {}, '"it\'s'],
  ]) {
    assert.deepEqual(await shows(source, data), wanted, source);
  }
});

test('a member of nothing is nothing, and the inside of objects is out of reach', async () => {
  assert.equal(await shows('[{{a.b.c}}]'), '[]');
  assert.equal(await shows('[{{a.constructor}}{{a.__proto__}}{{constructor}}]', { a: {} }), '[]');
});

test('what is no expression of WXML is an error and is never run', async () => {
  for (const bad of ['{{alert(1)}}', '{{a = 1}}', '{{a b}}', '{{}}', '{{a.}}', '{{`x`}}', '{{a ? b}}']) {
    assert.match(String(await shows(bad, { a: 1 })), /^error: /, bad);
  }
});

test('conditions choose one of their branches, also with false ones before', async () => {
  const source = '<view wx:if="{{a}}">1</view><view wx:elif="{{b}}">2</view><view wx:else>3</view>';
  for (const [data, wanted] of [[{ a: 1, b: 1 }, '1'], [{ b: 1 }, '2'], [{}, '3']]) {
    const nodes = await filled(source, data);
    assert.deepEqual(nodes.map(({ children }) => children[0].text), [wanted]);
  }
});

test('lists have item, index and keys, and can be nested under other names', async () => {
  const source = '<block wx:for="{{rows}}" wx:for-item="row" wx:key="id"><text wx:for="{{row.cells}}" wx:key="*this" data-cell-no="{{index}}">{{row.id}}{{item}}</text></block>';
  const nodes = await filled(source, { rows: [{ id: 'a', cells: [1, 2] }, { id: 'b', cells: [3] }] });
  assert.deepEqual(nodes.map(({ children }) => children[0].text), ['a1', 'a2', 'b3']);
  assert.deepEqual(nodes[1].data, { cellNo: 1 });
});

test('what the phone does not know is named, with its line', async () => {
  for (const [source, wanted] of [
    ['<view>\n<swiper/></view>', /page\.wxml:2: .*<swiper>/],
    ['<view wx:model="{{a}}"/>', /wx:model/],
    ['<view bindtouchstart="a"/>', /bindtouchstart/],
    ['<view></text>', /<\/text> closes <view>/],
    ['<view>', /not closed/],
    ['<view class=a>', /cannot read/],
  ]) {
    assert.match(String(await filled(source)), wanted);
  }
});

test('rpx, element names and imports become CSS', async () => {
  const css = await page.evaluate(async () => {
    const { translate } = await import('/phone/wxss.js');
    const files = { 'a/b.wxss': '@import "../c.wxss"; page > view.text .view { width: 10rpx; margin: -2.5rpx 1px } @media (min-width: 1px) { text, image { color: red } }', 'c.wxss': '/* view */ .c { top: 0 }' };
    return translate('a/b.wxss', (name) => files[name]);
  });
  assert.match(css, /\.c \{ top: 0 \}/);
  assert.match(css, /\.page-root > wx-view\.text \.view \{ width: calc\(10 \* var\(--rpx\)\); margin: calc\(-2\.5 \* var\(--rpx\)\) 1px \}/);
  assert.match(css, /@media \(min-width: 1px\) \{ wx-text, wx-image \{ color: red \} \}/);
});
