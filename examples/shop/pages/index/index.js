// The shelf: choose, pay.
const text = require('../../text.js');
const { yuan, complain } = require('../../format.js');
const orders = require('../../orders.js');

const { shop } = getApp();
const PICTURES = ['coffee', 'tea', 'cake'];

Page({
  data: { t: text, loading: true, failed: '', busy: false, products: [], count: 0, total: yuan(0) },

  onLoad() {
    this.load();
  },

  async load() {
    this.setData({ loading: true, failed: '' });
    try {
      const shelf = await shop.products();
      this.shelf = shelf.map((product) => ({ ...product, quantity: 0 }));
      this.setData({ loading: false });
      this.show();
    } catch (error) {
      this.setData({ loading: false, failed: text.problems[error.code] || error.detail });
    }
  },

  change({ currentTarget: { dataset } }) {
    const product = this.shelf.find(({ sku }) => sku === dataset.sku);
    product.quantity = Math.min(99, Math.max(0, product.quantity + Number(dataset.by)));
    this.show();
  },

  show() {
    const products = this.shelf.map(({ sku, name, price, quantity }) => ({
      sku,
      name,
      quantity,
      price: yuan(price),
      image: PICTURES.includes(sku) ? `/images/${sku}.svg` : '',
      initial: name.slice(0, 1),
    }));
    const count = this.shelf.reduce((sum, { quantity }) => sum + quantity, 0);
    const total = yuan(this.shelf.reduce((sum, { price, quantity }) => sum + price * quantity, 0));
    this.setData({ products, count, total });
  },

  async pay() {
    const chosen = this.shelf.filter(({ quantity }) => quantity > 0);
    this.setData({ busy: true });
    try {
      const { outcome, order, message, earlier } = await shop.pay({ items: chosen.map(({ sku, quantity }) => ({ sku, quantity })) });
      orders.remember(order);
      if (outcome === 'failed') wx.showModal({ title: text.sorry, content: message, showCancel: false });
      if (outcome === 'cancelled') wx.showToast({ title: text.cancelled, icon: 'none' });
      // The things stay chosen: who wants them once more presses again.
      if (earlier) wx.showModal({ title: text.paidEarlier, content: text.nothingOrdered, showCancel: false });
      else if (outcome === 'paid') this.empty();
      wx.navigateTo({ url: `/pages/order/order?id=${order.id}&asked=${outcome}` });
    } catch (error) {
      complain(error);
    } finally {
      this.setData({ busy: false });
    }
  },

  empty() {
    this.shelf.forEach((product) => (product.quantity = 0));
    this.show();
  },
});
