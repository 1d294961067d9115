/** A developer's own mini program on the phone: what pages can do, and how mistakes show. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { chromium } from 'playwright-core';

import world from '../../clients/miniprogram/tests/world.js';

const FILES = {
  'app.json': JSON.stringify({
    pages: ['pages/a/a', 'pages/b/b', 'pages/tab/tab'],
    window: { navigationBarTitleText: 'Own' },
    tabBar: { list: [{ pagePath: 'pages/a/a', text: 'One' }, { pagePath: 'pages/tab/tab', text: 'Two' }] },
  }),
  'app.js': 'App({ data: "of the app", onShow() { this.shown = (this.shown || 0) + 1; } });',
  'app.wxss': '.wide { width: 750rpx; height: 10px; }',
  'lib/index.js': 'exports.greet = (name) => `Hello ${name}`;',
  'pages/a/a.wxml': `
    <view class="wide" id="wide"></view>
    <input id="name" value="{{name}}" placeholder="name" bindinput="typed" bindconfirm="confirmed" />
    <text id="greeting">{{greeting}}</text>
    <view id="outer" bindtap="outer" data-from="outer"><view id="inner" catchtap="inner" data-number="{{7}}">inner</view><view id="other">other</view></view>
    <text id="log">{{log}}</text>
    <view wx:for="{{list}}" wx:key="id" class="row">{{index}}:{{item.text}}</view>
    <button id="shuffle" bindtap="shuffle">shuffle</button>
    <navigator id="go" url="/pages/b/b?id=5">go</navigator>
    <button id="choose" bindtap="choose">choose</button>
    <button id="break" bindtap="broken">break</button>
    <button id="ask" bindtap="ask">ask</button>
    <button id="missing" bindtap="nobody">missing</button>`,
  'pages/a/a.js': `
    const { greet } = require('../../lib');
    Page({
      data: { name: '', greeting: '', log: '', list: [{ id: 'x', text: 'one' }, { id: 'y', text: 'two' }] },
      typed({ detail }) { this.setData({ greeting: greet(detail.value) }); },
      confirmed({ detail }) { this.setData({ log: 'confirmed ' + detail.value }); },
      outer({ target, currentTarget }) { this.setData({ log: 'outer ' + target.id + ' ' + currentTarget.dataset.from }); },
      inner({ currentTarget }) { this.setData({ log: 'inner ' + typeof currentTarget.dataset.number }); },
      shuffle() { this.setData({ list: this.data.list.slice().reverse(), 'list[0].text': 'changed' }); },
      choose() { wx.showActionSheet({ itemList: ['red', 'green'] }).then(({ tapIndex }) => this.setData({ log: 'chose ' + tapIndex }), ({ errMsg }) => this.setData({ log: errMsg })); },
      ask() { wx.request({ url: 'shop.example.com/v1/products', fail: ({ errMsg }) => this.setData({ log: errMsg }), complete: ({ errMsg }) => this.setData({ greeting: errMsg }) }); },
      broken() { wx.createCanvasContext('x'); },
    });`,
  'pages/tab/tab.wxml': '<button id="count" bindtap="count">count</button><text id="counted">{{counted}}</text><button id="anew" bindtap="anew">anew</button>',
  'pages/tab/tab.js': `
    Page({
      data: { counted: 0 },
      count() { this.setData({ counted: this.data.counted + 1 }); },
      anew() { wx.reLaunch({ url: '/pages/a/a' }); },
    });`,
  'pages/b/b.wxml': '<view id="where">{{id}} {{pages}} {{app}}</view><button id="far" bindtap="far">far</button><text id="said">{{said}}</text>',
  'pages/b/b.js': `
    Page({
      data: { id: '', said: '' },
      onLoad({ id }) { this.setData({ id, pages: getCurrentPages().length, app: getApp().data }); wx.setNavigationBarTitle({ title: 'Five' }); },
      far() { wx.navigateTo({ url: '/pages/c/c', fail: ({ errMsg }) => this.setData({ said: errMsg }) }); },
    });`,
};

let folder;
let server;
let browser;
let page;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zhanggui-program-'));
  for (const [name, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  server = await world.start('--program', folder);
  const root = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--disable-gpu', ...root] });
});
after(async () => {
  await browser.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  page = await browser.newPage();
  page.setDefaultTimeout(10_000);
  await page.goto(server.phoneUrl);
  await page.locator('#shuffle').waitFor();
});

const says = (id, text) => page.locator(`#${id}`, { hasText: text }).waitFor();

test('mistakes of the mini program are told beside the phone', async () => {
  await page.locator('#break').click();
  await page.locator('.wire .from-error', { hasText: 'createCanvasContext is not a function' }).waitFor();
  await page.locator('#missing').click();
  await page.locator('.wire .from-error', { hasText: 'pages/a/a has no method nobody' }).waitFor();
});

test('a request to what is no address fails at once, and stands on the wire', async () => {
  await page.locator('#ask').click();
  await says('log', 'request:fail invalid url "shop.example.com/v1/products"');
  await says('greeting', 'request:fail invalid url');
  await page.locator('.wire .from-phone', { hasText: 'shop.example.com/v1/products' }).waitFor();
});

test('what is typed arrives, and the field keeps its focus', async () => {
  await page.locator('#name').focus();
  await page.keyboard.type('Li');
  await says('greeting', 'Hello Li');
  await page.keyboard.press('Enter');
  await says('log', 'confirmed Li');
});

test('a tap bubbles until it is caught, and data keep their type', async () => {
  await page.locator('#inner').click();
  await says('log', 'inner number');
  await page.locator('#other').click();
  await says('log', 'outer other outer');
});

test('rows with keys move with their elements', async () => {
  await page.locator('.row').first().evaluate((row) => (row.mark = 'first'));
  await page.locator('#shuffle').click();
  await page.locator('.row', { hasText: '0:changed' }).waitFor();
  assert.deepEqual(await page.locator('.row').evaluateAll((rows) => rows.map(({ mark }) => mark ?? '')), ['', 'first']);
});

test('pages lie on each other, and a page that is not there is refused', async () => {
  await page.locator('#go').click();
  await says('where', '5 2 of the app');
  await page.locator('.bar h1', { hasText: 'Five' }).waitFor();
  await page.locator('#far').click();
  await says('said', 'navigateTo:fail page "pages/c/c" is not found');
  await page.locator('.back:visible').click();
  await page.locator('#shuffle').waitFor();
});

test('a tab is kept while another one is shown, and is new after reLaunch', async () => {
  const tab = (name) => page.locator('.tabs button', { hasText: name }).click();
  await tab('Two');
  await page.locator('#count').click();
  await says('counted', '1');
  await tab('One');
  await tab('Two');
  await says('counted', '1');
  await tab('One');
  await tab('Two');
  await page.locator('#anew').click();
  await page.locator('#shuffle').waitFor();
  await tab('Two');
  await says('counted', '0');
  await page.locator('#count').click();
  await says('counted', '1');
});

test('a choice is made or cancelled with the keyboard', async () => {
  await page.locator('#choose').click();
  await page.locator('.choices').waitFor();
  await page.keyboard.press('Escape');
  await says('log', 'showActionSheet:fail cancel');
  await page.locator('#choose').click();
  await page.locator('.choices button', { hasText: 'green' }).click();
  await says('log', 'chose 1');
});

test('750rpx are the width of the screen', async () => {
  const [wide, screen] = await page.evaluate(() => {
    const root = document.querySelector('mini-page').shadowRoot;
    return [root.querySelector('#wide').getBoundingClientRect().width, document.querySelector('.pages').clientWidth];
  });
  assert.ok(Math.abs(wide - screen) < 1, `${wide} ${screen}`);
});
