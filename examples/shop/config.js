// Where the server is. A third-party platform, or the simulator's phone, hands the address over as `ext`; otherwise put
// yours here. Source: https://developers.weixin.qq.com/miniprogram/dev/api/ext/wx.getExtConfigSync.html
const ext = wx.getExtConfigSync ? wx.getExtConfigSync() : {};

module.exports = {
  baseUrl: ext.baseUrl || 'http://127.0.0.1:8080',
  // The template of a subscribe message "your order was shipped", from the console of the mini program.
  shippedTemplate: ext.shippedTemplate || 'fakeTemplateShipped',
};
