/** The phone in a real browser: what a developer does in the first minutes, and what goes wrong. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DESKTOP, NARROW, Stage } from './stage.js';

let stage;
before(async () => (stage = await Stage.start()));
after(() => stage.stop());

test('a lost notification heals, because the mini program asks', () => stage.visit({}, async (li) => {
  await li.trouble('lost');
  await li.page.locator('[data-name=lost] .badge:visible').waitFor();
  await li.choose('手冲咖啡');
  await li.payNow();
  await li.orderSays('支付成功');
  const { paid: [payment] } = await li.books();
  assert.match(payment.attempts[0].error, /lost/);
  assert.equal(await li.wire('支付结果通知').count(), 0);
  await li.screenshot('lost-notification');
}));

test('a notification that comes twice and one that was changed change nothing', () => stage.visit({}, async (li) => {
  await li.trouble('tampered');
  await li.choose('茉莉花茶');
  await li.payNow();
  await li.orderSays('支付成功');
  await li.wire('支付结果通知').first().waitFor();
  await li.button('返回').click();
  await li.trouble('twice');
  await li.choose('茉莉花茶');
  await li.payNow();
  await li.orderSays('支付成功');
  assert.equal((await li.books()).paid.length, 2);
}));

test("WeChat's lost answer is asked for again, and there is one number", () => stage.visit({}, async (li) => {
  await li.trouble('noAnswer');
  await li.choose('抹茶蛋糕');
  await li.payNow();
  await li.orderSays('支付成功');
  assert.equal((await li.books()).all.length, 1);
}));

test('a phone without network and a lost answer of the server do not disturb the payment', () => stage.visit({}, async (li) => {
  await li.choose('手冲咖啡');
  await li.trouble('offline');
  await li.payNow();
  await li.orderSays('支付成功');
  await li.button('返回').click();
  await li.choose('手冲咖啡');
  await li.pressPay();
  await li.page.locator('.cashier').waitFor();
  await li.trouble('loseAnswer');
  await li.page.locator('.cashier').focus();
  await li.typePassword();
  await li.page.locator('.paid .main').click();
  await li.orderSays('支付成功');
  assert.equal((await li.books()).paid.length, 2);
}));

test('a forged paySign is refused in the words of WeChat', () => stage.visit({}, async (li) => {
  await li.page.route('**/_sim/wx/request', async (route) => {
    const response = await route.fetch();
    const answer = await response.json();
    if (answer.data?.includes('paySign')) answer.data = answer.data.replace(/"paySign":"./, '"paySign":"!');
    await route.fulfill({ response, json: answer });
  });
  await li.choose('手冲咖啡');
  await li.pressPay();
  await li.page.locator('.dialog', { hasText: '支付验证签名失败' }).first().waitFor();
  await li.screenshot('wrong-pay-sign');
  assert.equal((await li.books()).paid.length, 0);
}));

test('an order that is paid twice is paid once, and the other money comes back', () => stage.visit({}, async (li) => {
  await li.trouble('payTwice');
  await li.choose('手冲咖啡');
  await li.pressPay();
  await li.orderSays('待支付');
  await li.payNow();
  await li.orderSays('支付成功');
  await li.page.locator('.strip', { hasText: '退款到账通知' }).waitFor();
  await li.page.locator('.strip', { hasText: '退款到账通知' }).click();
  assert.equal(await li.page.locator('.letter', { hasText: '付款凭证' }).count(), 2);
  assert.equal(await li.page.locator('.letter', { hasText: '退款到账通知' }).count(), 1);
  await li.screenshot('paid-twice');
  const { refunds } = await li.world.control('ledger');
  const numbers = (await li.books()).all.map(({ out_trade_no: number }) => number);
  assert.equal(refunds.filter(({ out_trade_no: number }) => numbers.includes(number)).length, 1);
}));

test('a wrong password, an empty purse and a change of mind leave the order open; it can be paid later', () => stage.visit({}, async (li) => {
  await li.choose('手冲咖啡');
  await li.pressPay();
  await li.typePassword('000000');
  await li.page.getByText('支付密码错误').waitFor();
  await li.page.locator('.cashier select').selectOption('poor');
  await li.page.locator('.cashier').focus();
  await li.typePassword();
  await li.page.getByText('余额不足，请更换').waitFor();
  await li.page.keyboard.press('Escape');
  await li.orderSays('待支付');
  await li.screenshot('cancelled');
  await li.payNow();
  await li.orderSays('支付成功');
  assert.equal((await li.books()).all.length, 1);
}));

test('an order that is closed while the sheet is open cannot be paid', () => stage.visit({}, async (li) => {
  await li.choose('手冲咖啡');
  await li.pressPay();
  await li.page.locator('.cashier').waitFor();
  await li.trouble('closing');
  await li.wire('/close').first().waitFor();
  await li.page.locator('.cashier').focus();
  await li.typePassword();
  await li.page.locator('.dialog', { hasText: '该订单已过期' }).first().waitFor();
  await li.screenshot('closed-while-paying');
  await li.page.locator('.dialog .main').click();
  await li.page.locator('.dialog .main').click();
  await li.orderSays('已关闭');
  assert.equal((await li.books()).paid.length, 0);
}));

test('after two hours an order that was not paid is replaced by a new one', () => stage.visit({}, async (li) => {
  await li.choose('茉莉花茶');
  await li.pressPay();
  await li.page.locator('.cashier .away').click();
  await li.orderSays('待支付');
  const { expires_at: until } = await li.order();
  await li.trouble('hour');
  // The server closes it at WeChat by itself. Each answer is waited for, so this asks a few times and not for ever.
  for (let asked = 0; asked < 2000 && (await li.order()).state !== 'closed'; asked += 1);
  assert.ok(Date.parse(until) < Date.parse((await li.world.control('clock')).now));
  await li.button('刷新').click();
  await li.orderSays('已关闭');
  await li.button('返回').click();
  await li.payNow();
  await li.orderSays('支付成功');
}));

test('a customer buys: the sheet, the letter of WeChat Pay, every word on the wire', () => stage.visit({}, async (li) => {
  await li.screenshot('shelf');
  await li.choose('手冲咖啡', '手冲咖啡', '抹茶蛋糕');
  await li.pressPay();
  await li.page.locator('.cashier').waitFor();
  assert.match(await li.page.locator('.cashier').innerText(), /88\.00/);
  await li.screenshot('payment-sheet');
  await li.typePassword();
  await li.page.locator('.paid').waitFor();
  await li.screenshot('payment-successful');
  await li.page.locator('.paid .main').click();
  await li.orderSays('支付成功');
  const told = li.wire('支付结果通知').last();
  await told.locator('summary').click();
  await told.locator('pre.opened', { hasText: 'SUCCESS' }).waitFor();
  await li.screenshot('wire');
  await li.button('关闭小程序').click();
  await li.button(/微信支付/).click();
  await li.page.locator('.letter', { hasText: '88.00' }).waitFor();
  await li.screenshot('letter');
}));

test('nothing secret stands on the wire', () => stage.visit({}, async (li) => {
  await li.choose('茉莉花茶');
  await li.payNow();
  await li.orderSays('支付成功');
  for (const summary of await li.page.locator('.wire summary').all()) await summary.click();
  const shown = await li.page.locator('.wire').innerText();
  const token = await li.page.evaluate(() => Object.entries(localStorage).find(([key]) => key.endsWith('zhanggui.session'))[1]);
  assert.match(shown, /redacted/);
  assert.ok(!shown.includes(JSON.parse(token).token), 'the session token');
  for (const secret of ['fakeAppSecret', 'fakeApiV3Key', '"session_key":"[^[]']) assert.doesNotMatch(shown, new RegExp(secret));
}));

test('a customer asks, the server forwards, an agent of WeChat answers', () => stage.visit({}, async (li) => {
  await li.choose('手冲咖啡');
  await li.payNow();
  await li.orderSays('支付成功');
  await li.button('联系客服').click();
  await li.button(/^发送卡片/).click();
  await li.trouble('repeated');
  await li.page.getByLabel('输入消息').fill('我的咖啡好了吗？<b>急</b>');
  await li.page.keyboard.press('Enter');
  await li.page.locator('.bubble', { hasText: '<b>急</b>' }).waitFor();
  await li.button('接入').click();
  await li.page.getByLabel('回复').fill('马上就好！');
  await li.page.keyboard.press('Enter');
  await li.page.locator('.said.agent .bubble', { hasText: '马上就好！' }).waitFor();
  await li.wire('消息推送: text').nth(1).waitFor();
  await li.screenshot('chat');
  const { conversations } = await li.world.merchant('GET', '/v1/conversations');
  const { messages } = await li.world.merchant('GET', `/v1/conversations/${conversations[0].id}/messages`);
  assert.equal(messages.filter(({ type }) => type === 'text').length, 1, 'the repeated push is one message');
}));

test('the phone number and a subscription are given only if the customer agrees', () => stage.visit({}, async (li) => {
  await li.choose('手冲咖啡');
  await li.payNow();
  await li.orderSays('支付成功');
  await li.button('发货时通知我').click();
  await li.screenshot('subscribe');
  await li.page.locator('.permission .main').click();
  await li.page.getByText('发货时会通知你').waitFor();
  await li.button('返回').click();
  await li.button('我的 Me').click();
  await li.button('提供手机号').click();
  await li.button('不允许').click();
  await li.page.getByText('没有提供手机号').waitFor();
  await li.button('提供手机号').click();
  await li.page.locator('.permission .main').click();
  await li.page.locator('.number:visible', { hasText: /^\+?\d+$/ }).waitFor();
  await li.screenshot('me');
}));

test('everything can be done with the keyboard', () => stage.visit({}, async (li) => {
  const { keyboard } = li.page;
  // From the page's first button as often as needed; a bound, because a trap would be a failure.
  const tabTo = async (name) => {
    for (let presses = 0; presses < 60; presses += 1) {
      await keyboard.press('Tab');
      const focused = await li.page.evaluate(() => {
        let element = document.activeElement;
        while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
        return element?.getAttribute('aria-label') ?? element?.textContent ?? '';
      });
      if (name.test(focused)) return;
    }
    assert.fail(`the keyboard does not reach ${name}`);
  };
  await tabTo(/^\+1 手冲咖啡/);
  await keyboard.press('Enter');
  await tabTo(/^支付/);
  await keyboard.press('Enter');
  await li.typePassword();
  await li.page.locator('.paid .main').waitFor();
  await keyboard.press('Enter');
  await li.orderSays('支付成功');
}));

test('on a narrow screen the phone is the screen, and the rest is one tap away', () => stage.visit({ viewport: NARROW }, async (li) => {
  const { page } = li;
  await li.choose('手冲咖啡');
  await li.screenshot('narrow-shelf');
  await li.pressPay();
  await page.locator('.cashier').waitFor();
  await li.screenshot('narrow-sheet');
  await li.typePassword();
  await page.locator('.paid .main').click();
  await li.orderSays('支付成功');
  await page.locator('.page-tabs button').nth(1).click();
  await li.wire('支付结果通知').first().waitFor();
  await li.screenshot('narrow-wire');
  await page.locator('.page-tabs button').nth(2).click();
  await page.locator('[data-name=lost]').waitFor();
  await li.screenshot('narrow-trouble');
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing sticks out');
}));

test('in English everything is English but the words of WeChat and the goods', () => stage.visit({ locale: 'en-GB' }, async (li) => {
  await li.choose('手冲咖啡');
  await li.payNow();
  await li.orderSays('Paid');
  await li.screenshot('english');
  await li.button('中文').click();
  await li.page.locator('.head', { hasText: '模拟微信' }).waitFor();
}));

test('customers have phones of their own', () => stage.visit({ viewport: DESKTOP }, async (li) => {
  await li.choose('手冲咖啡');
  li.page.once('dialog', (dialog) => dialog.accept('cousin'));
  await li.button('新顾客').click();
  await li.page.locator('.phone[aria-label=cousin] .product').first().waitFor();
  assert.match(await li.page.locator('.sum').innerText(), /0\.00/);
  await li.button(li.customer).click();
  assert.match(await li.page.locator('.sum').innerText(), /28\.00/);
}));
