//! Who does something: a customer with a phone, a system of the merchant, somebody who means harm.

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use weixin::pay::v2::request_payment::RequestPayment;
use weixin_simulator::Choice;

use super::{Http, Reply, SealedLetter};

/// A customer who is logged in.
#[derive(Clone)]
pub(crate) struct Phone {
    pub(crate) wechat: weixin_simulator::Phone,
    pub(crate) token: String,
    /// The customer's id at the server.
    pub(crate) customer: String,
    pub(crate) http: Http,
}

impl Phone {
    pub(crate) async fn log_in(wechat: weixin_simulator::Phone, http: Http) -> Self {
        let body = json!({ "code": wechat.login().as_str(), "appid": wechat.appid().as_str() });
        let answer = http.post("/v1/login", None, &body).await.json(200);
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        Self { token: text("token"), customer: text("customer"), wechat, http }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.http.get(path, Some(&self.token)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.http.post(path, Some(&self.token), body).await
    }

    /// Orders one piece and gives the number of the order.
    pub(crate) async fn order(&self, sku: &str) -> String {
        let answer = self.post("/v1/orders", &json!({ "items": [{ "sku": sku }] })).await.json(201);
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Presses "pay" in the mini program.
    pub(crate) async fn press(&self, order: &str) -> Reply {
        self.post(&format!("/v1/orders/{order}/pay"), &json!({})).await
    }

    /// What `wx.requestPayment` is given.
    pub(crate) async fn parameters(&self, order: &str) -> RequestPayment {
        serde_json::from_value(self.press(order).await.json(200)).unwrap()
    }

    /// Presses and pays.
    pub(crate) async fn pay(&self, order: &str) {
        self.wechat.request_payment(&self.parameters(order).await, Choice::Pay).unwrap();
    }

    /// Gives the order up.
    pub(crate) async fn close(&self, order: &str) -> Reply {
        self.post(&format!("/v1/orders/{order}/close"), &json!({})).await
    }

    pub(crate) async fn see(&self, order: &str) -> Value {
        self.get(&format!("/v1/orders/{order}")).await.json(200)
    }

    /// What the mini program calls when the customer comes back from the payment sheet.
    pub(crate) async fn refresh(&self, order: &str) -> Value {
        self.get(&format!("/v1/orders/{order}?refresh=true")).await.json(200)
    }
}

/// One of the merchant's own systems.
#[derive(Clone)]
pub(crate) struct Merchant {
    pub(crate) key: String,
    pub(crate) http: Http,
}

impl Merchant {
    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.http.get(path, Some(&self.key)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.http.post(path, Some(&self.key), body).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &Value) -> Reply {
        Reply::of(self.http.request(method, path).bearer_auth(&self.key).json(body)).await
    }

    pub(crate) async fn order(&self, body: &Value) -> Reply {
        self.post("/v1/orders", body).await
    }

    /// Posts under an `Idempotency-Key`.
    pub(crate) async fn once(&self, path: &str, key: &str, body: impl Into<Bytes>) -> Reply {
        let request = self.http.request(Method::POST, path).bearer_auth(&self.key);
        let request = request.header("content-type", "application/json").header("idempotency-key", key);
        Reply::of(request.body(body.into())).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        Reply::of(self.http.request(Method::PUT, path).bearer_auth(&self.key).json(body)).await
    }

    /// Posts bytes as they are.
    pub(crate) async fn upload(&self, path: &str, bytes: impl Into<Bytes>) -> Reply {
        Reply::of(self.http.request(Method::POST, path).bearer_auth(&self.key).body(bytes.into())).await
    }

    /// Answers a customer with a text.
    pub(crate) async fn reply(&self, conversation: &str, client_id: &str, text: &str) -> Reply {
        let body = json!({ "client_id": client_id, "type": "text", "text": text });
        self.post(&format!("/v1/conversations/{conversation}/messages"), &body).await
    }

    /// Hands a conversation to somebody.
    pub(crate) async fn hand_over(&self, conversation: &str, handler: &str) -> Value {
        let body = json!({ "handler": handler });
        self.post(&format!("/v1/conversations/{conversation}/handler"), &body).await.json(200)
    }

    /// Asks for money of an order to go back.
    pub(crate) async fn refund(&self, order: &str, body: &Value) -> Reply {
        self.post(&format!("/v1/orders/{order}/refunds"), body).await
    }

    /// The same for so many fen, and gives the id of the refund.
    pub(crate) async fn refund_fen(&self, order: &str, fen: i64) -> String {
        let answer = self.refund(order, &json!({ "amount": fen })).await.json(201);
        answer["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn see_refund(&self, refund: &str) -> Value {
        self.get(&format!("/v1/refunds/{refund}")).await.json(200)
    }

    /// The types of the events of an order, in their sequence.
    pub(crate) async fn told(&self, order: &str) -> Vec<String> {
        let page = self.get(&format!("/v1/events?subject={order}&limit=200")).await.json(200);
        let events = page["events"].as_array().unwrap().iter();
        events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }
}

/// Anybody on the internet. What WeChat posts can be posted by others, too.
#[derive(Clone)]
pub(crate) struct Attacker {
    pub(crate) http: Http,
}

impl Attacker {
    /// Posts bytes to the address where WeChat reports the payments of a merchant.
    pub(crate) async fn notify(&self, mchid: &str, body: impl Into<Bytes>) -> Reply {
        let request = self.http.request(Method::POST, &format!("/wechat/pay/{mchid}"));
        Reply::of(request.header("content-type", "text/xml").body(body.into())).await
    }

    /// The same with a letter of API v3.
    pub(crate) async fn notify_v3(&self, mchid: &str, letter: &SealedLetter) -> Reply {
        let mut request = self.http.request(Method::POST, &format!("/wechat/pay/{mchid}"));
        for (name, value) in &letter.headers {
            request = request.header(*name, value);
        }
        Reply::of(request.header("content-type", "application/json").body(letter.body.clone())).await
    }
}
