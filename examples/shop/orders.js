// The customer's orders on this phone, the newest first. The server keeps the truth; this is only the list.
const KEY = 'orders';
const KEPT = 20;

function list() {
  return wx.getStorageSync(KEY) || [];
}

function remember({ id, description }) {
  const others = list().filter((order) => order.id !== id);
  wx.setStorageSync(KEY, [{ id, description: description || '' }].concat(others).slice(0, KEPT));
}

module.exports = { list, remember };
