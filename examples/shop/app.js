// One client for the whole mini program, so that a second press of "pay" meets the first one.
const { create } = require('./zhanggui.js');
const { baseUrl } = require('./config.js');

App({ shop: create({ baseUrl }) });
