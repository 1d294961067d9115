// One order: how it stands, paying it, asking about it.
const text = require('../../text.js');
const { shippedTemplate } = require('../../config.js');
const { yuan, clock, complain } = require('../../format.js');
const orders = require('../../orders.js');

const { shop } = getApp();

Page({
  data: { t: text, order: null, state: 'open', failed: '', busy: false },

  onLoad({ id, asked }) {
    this.id = id;
    // The phone said "paid", and WeChat has not confirmed it yet: the customer must not pay again.
    this.confirming = asked === 'unknown';
  },

  onShow() {
    this.refresh();
  },

  async refresh() {
    try {
      this.show(await shop.order(this.id, { refresh: true }));
    } catch (error) {
      this.setData({ failed: text.problems[error.code] || error.detail });
    }
  },

  async pay() {
    this.setData({ busy: true });
    try {
      const { outcome, message } = await shop.pay(this.id);
      this.confirming = outcome === 'unknown';
      if (outcome === 'failed') wx.showModal({ title: text.sorry, content: message, showCancel: false });
      if (outcome === 'cancelled') wx.showToast({ title: text.cancelled, icon: 'none' });
    } catch (error) {
      complain(error);
    }
    this.setData({ busy: false });
    await this.refresh();
  },

  show(order) {
    orders.remember(order);
    const state = order.state === 'open' && this.confirming ? 'confirming' : order.state;
    this.setData({
      order,
      state,
      failed: '',
      items: order.items.map(({ sku, name, price, quantity }) => ({ sku, name, quantity, sum: yuan(price * quantity) })),
      total: yuan(order.amount),
      refunded: order.refunded > 0 ? yuan(order.refunded) : '',
      paidAt: order.paid_at ? clock(order.paid_at) : '',
      contact: shop.contact({
        order: order.id,
        title: order.description,
        path: `/pages/order/order?id=${order.id}`,
      }),
    });
  },

  subscribe() {
    wx.requestSubscribeMessage({
      tmplIds: [shippedTemplate],
      success: (answer) => {
        const title = answer[shippedTemplate] === 'accept' ? text.notified : text.notNotified;
        wx.showToast({ title, icon: 'none' });
      },
      fail: ({ errMsg }) => wx.showModal({ title: text.sorry, content: errMsg, showCancel: false }),
    });
  },
});
