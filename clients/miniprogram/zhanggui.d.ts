/** Types of zhanggui.js. Amounts are whole fen, times RFC 3339. */

/** How to reach the server. */
export interface Options {
  /** Address of the server, for example `https://shop.example.com`; it must be among the mini program's request domains. */
  baseUrl: string;
  /** Needed only if the server has several apps. */
  appid?: string;
  /** The platform; the global `wx` if absent. */
  wx?: Platform;
  /** How long one call may take. 10,000 if absent. */
  timeoutMs?: number;
  /** Prefix of the two keys in the phone's storage. `zhanggui` if absent. */
  storageKey?: string;
  /** How to pause; `setTimeout` if absent. For tests. */
  wait?: (ms: number) => Promise<void>;
}

/** What the client needs of `wx`. */
export interface Platform {
  login(call: object): void;
  request(call: object): unknown;
  requestPayment(call: object): void;
  getStorageSync(key: string): any;
  setStorageSync(key: string, value: any): void;
  removeStorageSync(key: string): void;
}

export interface Product {
  sku: string;
  name: string;
  /** Fen. */
  price: number;
}

export interface Item {
  sku: string;
  /** 1 if absent. */
  quantity?: number;
}

export interface Order {
  id: string;
  state: 'open' | 'closing' | 'paid' | 'closed';
  close_reason?: string;
  /** Fen. */
  amount: number;
  currency: string;
  /** What went back, in fen. */
  refunded: number;
  description: string;
  items: Array<{ sku: string; name: string; price: number; quantity: number }>;
  created_at: string;
  expires_at: string;
  paid_at?: string;
  /** With `refresh`: whether WeChat could be asked. */
  refreshed?: boolean;
}

/** How a payment ended, as far as the server knows. */
export interface Outcome {
  /**
   * `paid`: WeChat has confirmed it to the server. `cancelled`: the customer closed the sheet, and WeChat says that the
   * order is not paid. `failed`: the sheet did not open, or the order is closed. `unknown`: nobody could say within
   * half a minute; ask again with `order(id, {refresh: true})`, do not let the customer pay something new.
   */
  outcome: 'paid' | 'cancelled' | 'failed' | 'unknown';
  /** As the server last told it; only the id if it could not be asked at all. */
  order: Order | { id: string };
  /** What `wx.requestPayment` said, for example `requestPayment:fail cancel`. */
  message?: string;
  /** The order was paid before this press, which bought nothing: say so to the customer. */
  earlier?: boolean;
}

/** Attributes of `<button open-type="contact">`. */
export interface ContactButton {
  sessionFrom: string;
  showMessageCard: boolean;
  sendMessageTitle: string;
  sendMessagePath: string;
  sendMessageImg: string;
}

export interface Client {
  /** Logs in unless there is a session. `renew` forgets the session first. */
  login(asked?: { renew?: boolean }): Promise<{ customer: string; expiresAt: string }>;
  /** Forgets the session on this phone. */
  logout(): void;
  /** What can be bought. Needs no log-in. */
  products(): Promise<Product[]>;
  /** One order of this customer. `refresh` asks WeChat first, if the order is still open. */
  order(id: string, asked?: { refresh?: boolean }): Promise<Order>;
  /** Orders, pays and finds out how it ended. Takes products, or an order that exists. */
  pay(wanted: { items: Item[] } | { id: string } | string): Promise<Outcome>;
  /** What the shop's people shall know when the customer opens the chat. */
  contact(about?: { order?: string; note?: string; title?: string; path?: string; image?: string }): ContactButton;
  /** Any other call of the server in the customer's name, for example `request('POST', '/v1/phone-number', {code})`. */
  request(method: string, path: string, body?: object): Promise<any>;
}

/** Why a call did not succeed. */
export class ZhangguiError extends Error {
  /** The server's stable code, or one of the client's own. Both are listed in README.md. */
  code: string;
  /** One sentence that says what to do. */
  detail: string;
  /** The HTTP status, if the server answered. */
  status?: number;
  /** The server's log has it, too. */
  requestId?: string;
  /** What WeChat said, if WeChat was the cause. */
  wechat?: { code: string; message: string; request_id?: string };
}

/** Makes a client. One for the whole mini program. */
export function create(options: Options): Client;
