//! A customer with a phone, for tests: logs in, pays and chats, as the mini program and the WeChat app would.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use weixin::{AppId, JsCode, OpenId, UnionId};

use crate::{Choice, PhoneError, Shared};

/// A customer of one app.
#[derive(Clone)]
pub struct Phone {
    pub(crate) shared: Arc<Shared>,
    pub(crate) key: String,
    pub(crate) appid: AppId,
    openid: OpenId,
    unionid: Option<UnionId>,
}

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Phone").field("appid", &self.appid).field("openid", &self.openid).finish_non_exhaustive()
    }
}

impl Phone {
    pub(crate) fn new(shared: &Arc<Shared>, appid: &AppId, name: &str) -> Result<Self, crate::UnknownApp> {
        let mut world = shared.world();
        let key = world.customer(appid, name)?;
        let customer = &world.customers[&key];
        let (openid, unionid) = (customer.openid.clone(), customer.unionid.clone());
        drop(world);
        shared.changed();
        Ok(Self { shared: Arc::clone(shared), key, appid: appid.clone(), openid, unionid })
    }

    /// The customer's number at this app. A mini program does not learn it from the phone, only from its server.
    pub fn openid(&self) -> &OpenId {
        &self.openid
    }

    /// The customer's number at the app's Open Platform account, if the app has one.
    pub fn unionid(&self) -> Option<&UnionId> {
        self.unionid.as_ref()
    }

    /// The app.
    pub fn appid(&self) -> &AppId {
        &self.appid
    }

    /// `wx.login`: a fresh code.
    pub fn login(&self) -> JsCode {
        let mut world = self.shared.world();
        let now = self.shared.time(&world);
        let code = world.wx_login(now, &self.key);
        drop(world);
        self.shared.changed();
        code
    }

    /// `wx.requestPayment` with what the server gave: a `RequestPayment` or its JSON.
    pub fn request_payment(&self, parameters: &impl Serialize, choice: Choice) -> Result<(), PhoneError> {
        let parameters = serde_json::to_value(parameters).unwrap_or(Value::Null);
        self.shared.request_payment(&self.key, &parameters, choice)
    }

    /// Blocks the customer as high risk, or no longer: `jscode2session` says 40226.
    pub fn set_blocked(&self, blocked: bool) {
        if let Some(customer) = self.shared.world().customers.get_mut(&self.key) {
            customer.blocked = blocked;
        }
        self.shared.changed();
    }
}
