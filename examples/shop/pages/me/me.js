// The customer: number, phone, orders, the way to the shop's people.
const text = require('../../text.js');
const { complain } = require('../../format.js');
const orders = require('../../orders.js');

const { shop } = getApp();

Page({
  data: { t: text, customer: '…', phone: '', orders: [], contact: shop.contact({ note: text.orders }) },

  async onShow() {
    this.setData({ orders: orders.list() });
    try {
      const { customer } = await shop.login();
      this.setData({ customer });
    } catch (error) {
      complain(error);
    }
  },

  open({ currentTarget: { dataset } }) {
    wx.navigateTo({ url: `/pages/order/order?id=${dataset.id}` });
  },

  /** The customer agreed to give the number, or did not. The server exchanges the code. */
  async phoneGiven({ detail }) {
    if (!detail.code) {
      wx.showToast({ title: text.phoneRefused, icon: 'none' });
      return;
    }
    try {
      const { phone_number: phone } = await shop.request('POST', '/v1/phone-number', { code: detail.code });
      this.setData({ phone });
    } catch (error) {
      complain(error);
    }
  },
});
