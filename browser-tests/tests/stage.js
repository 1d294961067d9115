/** Server, simulator and browser for the tests, and what a customer does on the page. */

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

import world from '../../clients/miniprogram/tests/world.js';

const SCREENSHOTS = fileURLToPath(new URL('../screenshots', import.meta.url));
const FLAGS = [
  '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
  // A sandbox is not possible as root.
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
];

/** Nothing on this machine takes longer than this. */
const WITHIN_MS = 15_000;

export const DESKTOP = { width: 1280, height: 900 };
export const NARROW = { width: 390, height: 844 };

export class Stage {
  #customers = 0;

  static async start() {
    mkdirSync(SCREENSHOTS, { recursive: true });
    const stage = new Stage();
    stage.world = await world.start();
    stage.browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
    return stage;
  }

  async stop() {
    await this.browser.close();
    await this.world.stop();
  }

  /** Opens the page with a customer of its own, lets `story` happen, and checks that the page had no errors. */
  async visit({ viewport = DESKTOP, locale = 'zh-CN', mayFail = [] }, story) {
    this.#customers += 1;
    const customer = `visitor-${this.#customers}`;
    const context = await this.browser.newContext({ viewport, locale, timezoneId: 'Asia/Shanghai' });
    await context.addInitScript((names) => localStorage.setItem('zhanggui-phone.customers', JSON.stringify(names)), [customer]);
    const page = await context.newPage();
    page.setDefaultTimeout(WITHIN_MS);
    const wrong = [];
    page.on('pageerror', (error) => wrong.push(error.message));
    page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      const here = protocol === 'data:' || protocol === 'blob:' || host === new URL(this.world.phoneUrl).host;
      if (!here) wrong.push(`the page asked for ${request.url()}`);
    });
    try {
      await page.goto(this.world.phoneUrl);
      await page.locator('.product').first().waitFor();
      await story(new Visitor(this, page, customer));
    } catch (error) {
      await page.screenshot({ path: join(SCREENSHOTS, `failed-${customer}.png`) });
      throw error;
    } finally {
      await context.close();
    }
    assert.deepEqual(wrong.filter((line) => !mayFail.some((known) => known.test(line))), []);
  }
}

/** A person before the page. */
class Visitor {
  constructor(stage, page, customer) {
    Object.assign(this, { stage, page, customer, world: stage.world });
  }

  screenshot(name) {
    return this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), animations: 'disabled' });
  }

  button(name) {
    return this.page.getByRole('button', { name });
  }

  /** One of the bad days. */
  async trouble(name) {
    await this.page.locator(`[data-name=${name}]`).click();
  }

  async choose(...names) {
    for (const name of names) await this.page.getByLabel(`+1 ${name}`).click();
  }

  async pressPay() {
    await this.page.locator('.pages .action:visible', { hasText: /^(支付|Pay)/ }).click();
  }

  /** Types the password and goes back to the mini program. */
  async typePassword(digits = '123456') {
    await this.page.locator('.cashier').waitFor();
    await this.page.keyboard.type(digits);
  }

  async payNow() {
    await this.pressPay();
    await this.typePassword();
    await this.page.locator('.paid .main').click();
  }

  /** Waits until the order page says so. */
  async orderSays(state) {
    await this.page.locator('.pages .state:visible', { hasText: state }).waitFor();
  }

  /** The order on the page, as the merchant's system sees it. */
  async order() {
    const id = await this.page.locator('.pages .small:visible', { hasText: 'ord_' }).first().innerText();
    return this.world.merchant('GET', `/v1/orders/${id}?refresh=true`);
  }

  books() {
    return this.world.books(this.customer);
  }

  /** Lines of the wire view that have this text. */
  wire(text) {
    return this.page.locator('.wire .line', { hasText: text });
  }
}
