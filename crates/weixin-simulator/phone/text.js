// What stands on the page and on the phone, apart from the mini program. WeChat's own words are WeChat's.

const KEY = 'zhanggui-phone.language';
const chosen = localStorage.getItem(KEY) ?? (/^zh/i.test(navigator.language) ? 'zh' : 'en');

const zh = {
  title: '模拟微信',
  fake: '一切都是模拟的：没有真钱，没有真密钥',
  tabs: { phone: '手机', wire: '线路', trouble: '意外' },
  customers: '顾客',
  newCustomer: '新顾客',
  newCustomerName: '新顾客的名字（字母或数字）',
  language: 'English',
  failed: '出错了',
  home: {
    title: '微信',
    program: '小程序',
    pay: '微信支付',
    service: '客服消息',
    subscribed: '服务通知',
    nothing: '暂无消息',
    open: '打开小程序',
    remove: '删除小程序（清空它的数据）',
  },
  back: '返回',
  close: '关闭小程序',
  menu: '更多',
  cashier: {
    to: '付款给',
    password: '请输入支付密码',
    hint: '任意六位数字；000000 是错误的密码',
    method: '付款方式',
    rich: '零钱',
    poor: '零钱（余额不足）',
    wrong: '支付密码错误，请重试',
    notEnough: '零钱余额不足，请更换支付方式',
    paid: '支付成功',
    done: '完成',
    cancel: '关闭收银台',
    erase: '退格',
    working: '支付中…',
  },
  ok: '确定',
  no: '取消',
  phoneNumber: { title: '申请获取并验证你的手机号', allow: '允许', refuse: '不允许' },
  subscribe: { title: '申请发送以下消息', allow: '允许', refuse: '取消', template: '模板' },
  letters: {
    paid: '付款凭证', amount: '付款金额', merchant: '收款方', refunded: '退款到账通知', refund: '退款金额', way: '退回零钱', number: '商户单号',
  },
  chat: { title: '客服会话', say: '输入消息', send: '发送', picture: '图片', card: '发送卡片', typing: '对方正在输入…', ai: '内容由第三方 AI 生成', empty: '想问什么都可以' },
  agents: { title: '微信客服', intro: '服务器转过来的对话才会出现在这里。', waiting: '在等待', taken: '接待中', take: '接入', answer: '回复', send: '发送', end: '结束会话' },
  wire: {
    title: '线路', clear: '清空', empty: '手机、服务器和微信之间说的每一句话都会出现在这里。', phone: '手机 → 服务器', out: '服务器 → 微信', in: '微信 → 服务器',
    error: '小程序出错', request: '请求', answer: '应答', opened: '解密后', headers: '头', none: '没有应答', follow: '自动滚动',
    login: '登录换取 openid', token: '获取 access_token', order: '下单', query: '查询订单', closing: '关闭订单', refund: '退款', refundQuery: '查询退款', bill: '账单',
    certificates: '平台证书', paid: '支付结果通知', refunded: '退款结果通知', push: '消息推送', verify: '验证推送地址', send: '发送客服消息', typing: '正在输入', number: '手机号', notification: '通知', media: '图片',
    subscribe: '发送订阅消息',
  },
  trouble: {
    title: '意外', intro: '先按一下，再去手机上付款，看它怎么好起来。', armed: '已安排', clear: '全部取消', clock: '微信时间',
    groups: { pay: '支付', network: '网络', chat: '客服', time: '时间', customer: '顾客' },
    lost: '通知丢失', lostHint: '微信的支付通知丢在路上',
    twice: '通知重复', twiceHint: '同一个通知同时来两次',
    tampered: '通知被改', tamperedHint: '有人改了通知的内容',
    noAnswer: '微信应答丢失', noAnswerHint: '下单成功了，服务器却没收到应答',
    busy: '微信繁忙', busyHint: '下单时微信说太频繁',
    loseAnswer: '服务器应答丢失', loseAnswerHint: '手机的下一个请求到了服务器，应答没有回来',
    offline: '手机断网', offlineHint: '手机的下一个请求发不出去',
    closing: '付款时关单', closingHint: '收银台打开时，商家关闭订单', closingNot: '先在手机上打开收银台',
    payTwice: '付两次', payTwiceHint: '微信自己关掉第一个单号，顾客付了第二个，然后第一个也扣了款', payTwiceFirst: '微信关闭了这个单号，请再点一次支付',
    repeated: '消息重复', repeatedHint: '同一条客服消息推送两次',
    pushLost: '消息丢失', pushLostHint: '推送丢在路上，微信会再推',
    hour: '两小时后', day: '一天后',
    blocked: '封禁顾客', unblocked: '解除封禁', blockedHint: '微信拒绝这个顾客登录',
  },
};

const en = {
  title: 'A WeChat of your own',
  fake: 'Everything is simulated: no real money, no real keys',
  tabs: { phone: 'Phone', wire: 'Wire', trouble: 'Bad days' },
  customers: 'Customers',
  newCustomer: 'New customer',
  newCustomerName: 'Name of the new customer (letters or digits)',
  language: '中文',
  failed: 'Something went wrong',
  home: {
    title: 'WeChat',
    program: 'Mini Program',
    pay: 'WeChat Pay',
    service: 'Customer service',
    subscribed: 'Service messages',
    nothing: 'No messages yet',
    open: 'Open the mini program',
    remove: 'Delete the mini program (clears its data)',
  },
  back: 'Back',
  close: 'Close the mini program',
  menu: 'More',
  cashier: {
    to: 'Pay',
    password: 'Enter payment password',
    hint: 'Any six digits; 000000 is a wrong password',
    method: 'Payment method',
    rich: 'Balance',
    poor: 'Balance (not enough)',
    wrong: 'Incorrect password. Try again.',
    notEnough: 'The balance is not enough. Choose another method.',
    paid: 'Payment successful',
    done: 'Done',
    cancel: 'Close the payment sheet',
    erase: 'Delete',
    working: 'Paying…',
  },
  ok: 'OK',
  no: 'Cancel',
  phoneNumber: { title: 'asks for your phone number', allow: 'Allow', refuse: 'Reject' },
  subscribe: { title: 'asks to send you these messages', allow: 'Allow', refuse: 'Cancel', template: 'Template' },
  letters: {
    paid: 'Payment receipt', amount: 'Amount', merchant: 'Payee', refunded: 'Refund received', refund: 'Refund', way: 'Returned to balance', number: 'Merchant’s number',
  },
  chat: { title: 'Customer service', say: 'Message', send: 'Send', picture: 'Picture', card: 'Send card', typing: 'Typing…', ai: 'Written by a third-party AI', empty: 'Ask anything' },
  agents: { title: 'WeChat’s agents', intro: 'Only what the server forwards appears here.', waiting: 'waits', taken: 'in session', take: 'Take', answer: 'Answer', send: 'Send', end: 'End the session' },
  wire: {
    title: 'Wire', clear: 'Clear', empty: 'Every word between phone, server and WeChat appears here.', phone: 'phone → server', out: 'server → WeChat', in: 'WeChat → server',
    error: 'error in the mini program', request: 'Request', answer: 'Answer', opened: 'opened', headers: 'Headers', none: 'no answer', follow: 'Follow',
    login: 'log-in: code for openid', token: 'access token', order: 'order', query: 'query the order', closing: 'close the order', refund: 'refund', refundQuery: 'query the refund', bill: 'bill',
    certificates: 'platform certificates', paid: 'notification: paid', refunded: 'notification: refund', push: 'message push', verify: 'push address is verified', send: 'customer service message', typing: 'typing', number: 'phone number', notification: 'notification', media: 'picture',
    subscribe: 'subscribe message',
  },
  trouble: {
    title: 'Bad days', intro: 'Press one, then pay on the phone, and see how it heals.', armed: 'waiting', clear: 'Forget all', clock: 'WeChat’s time',
    groups: { pay: 'Payment', network: 'Network', chat: 'Chat', time: 'Time', customer: 'Customer' },
    lost: 'Lose the notification', lostHint: 'WeChat’s next notification gets lost on its way',
    twice: 'Notify twice', twiceHint: 'The same notification comes twice at once',
    tampered: 'Tampered notification', tamperedHint: 'Somebody has changed the notification',
    noAnswer: 'Lose WeChat’s answer', noAnswerHint: 'The order is made, but the server does not hear of it',
    busy: 'WeChat is busy', busyHint: 'WeChat refuses the next order: too frequent',
    loseAnswer: 'Lose the server’s answer', loseAnswerHint: 'The phone’s next request arrives, its answer does not',
    offline: 'No network', offlineHint: 'The phone’s next request does not leave the phone',
    closing: 'Close while paying', closingHint: 'The shop closes the order while the payment sheet is open', closingNot: 'Open the payment sheet on the phone first',
    payTwice: 'Pay twice', payTwiceHint: 'WeChat closes the first number by itself, the customer pays a second one, and then the first is paid, too', payTwiceFirst: 'WeChat has closed this number: press pay again',
    repeated: 'Repeat the message', repeatedHint: 'The next chat message is pushed twice',
    pushLost: 'Lose the message', pushLostHint: 'The push gets lost; WeChat pushes again',
    hour: 'Two hours later', day: 'One day later',
    blocked: 'Block the customer', unblocked: 'Unblock', blockedHint: 'WeChat refuses the customer’s log-in',
  },
};

/** The texts of the page's language. */
export const text = chosen === 'zh' ? zh : en;

/** `zh` or `en`. */
export const language = chosen;

/** The other language, from the beginning. */
export function switchLanguage() {
  localStorage.setItem(KEY, chosen === 'zh' ? 'en' : 'zh');
  location.reload();
}

/** 1990 fen are 19.90, by digits. */
export function yuan(fen) {
  const digits = String(fen).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** The clock on the wall. */
export function clock(at, withSeconds) {
  const parts = { hour: '2-digit', minute: '2-digit', ...(withSeconds && { second: '2-digit' }), hour12: false };
  return new Date(at).toLocaleTimeString('zh-CN', parts);
}
