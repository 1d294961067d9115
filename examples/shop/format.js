// How amounts, times and failures are shown.
const text = require('./text.js');

/** 1990 fen -> ¥19.90, by digits and without a float. */
function yuan(fen) {
  const digits = String(fen).padStart(3, '0');
  return `¥${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** An RFC 3339 time as the clock on the wall shows it. */
function clock(time) {
  const at = new Date(time);
  const two = (number) => String(number).padStart(2, '0');
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Tells the customer what went wrong. The request id helps the shop's people to find it in the log. */
function complain(error) {
  const known = text.problems[error.code] || error.detail || error.message;
  const content = error.requestId && !text.problems[error.code] ? `${known}\n${error.requestId}` : known;
  wx.showModal({ title: text.sorry, content, showCancel: false });
}

module.exports = { yuan, clock, complain };
