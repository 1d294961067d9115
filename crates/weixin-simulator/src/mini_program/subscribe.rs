//! Subscribe messages: what a customer agrees to, and `POST /cgi-bin/message/subscribe/send`, which uses it up.
//!
//! One consent to a one-time template is one message, whenever; consent to a long-term template lasts until it is taken
//! back. The values are checked before the rights; the order is an assumption.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html> and
//! <https://developers.weixin.qq.com/miniprogram/dev/server/API/mp-message-management/subscribe-message/api_sendmessage.html>.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weixin::{
    AppId, OpenId,
    mini_program::{
        ErrCode,
        subscribe_send::{self, Request, Response, TemplateData, TemplateId},
    },
    push::Fields,
};

use super::{Call, Refusal};
use crate::{Phone, answer::Answer, world::World};

/// A template of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateSetup {
    /// Its number (`priTmplId`).
    pub template_id: TemplateId,
    /// Its title, shown to people.
    pub title: String,
    /// The keys of its values, for example `thing1`. A message must have exactly these.
    pub keys: Vec<String>,
    /// How long consent lasts.
    #[serde(default)]
    pub kind: TemplateKind,
}

/// How long consent to a template lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TemplateKind {
    /// For one message.
    #[default]
    OneTime,
    /// Until it is taken back; for public services.
    LongTerm,
}

/// What a customer says to a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Yes.
    Accept,
    /// No.
    Reject,
}

impl Consent {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }
}

/// A subscribe message that a customer got, among the service notices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Simulated time.
    pub at: Timestamp,
    /// The app.
    pub appid: AppId,
    /// The customer.
    pub openid: OpenId,
    /// The template.
    pub template_id: TemplateId,
    /// WeChat's number of the message.
    pub msg_id: String,
    /// The values, by key.
    pub values: BTreeMap<String, String>,
    /// The page that a tap opens.
    pub page: Option<String>,
}

/// The app has no such template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the app has no template {0}; add it to the set-up of the app")]
pub struct UnknownTemplate(pub String);

impl Phone {
    /// Answers the pop-up of `wx.requestSubscribeMessage`.
    ///
    /// # Errors
    /// The app has no such template. Nothing was answered.
    pub fn answer_subscribe_popup(&self, answers: &[(&str, Consent)]) -> Result<(), UnknownTemplate> {
        self.chat_action(|world, now, _| world.answers_popup(now, &self.key, answers))
    }

    /// Switches a template off in the settings.
    ///
    /// # Errors
    /// The app has no such template.
    pub fn unsubscribe(&self, template_id: &str) -> Result<(), UnknownTemplate> {
        self.chat_action(|world, now, _| world.unsubscribes(now, &self.key, template_id))
    }

    /// The subscribe messages that the customer got, from old to new.
    pub fn notices(&self) -> Vec<Notice> {
        let world = self.shared.world();
        let mine = world.notices.iter().filter(|notice| notice.appid == self.appid && notice.openid == *self.openid());
        mine.cloned().collect()
    }
}

impl World {
    pub(crate) fn answers_popup(
        &mut self,
        now: Timestamp,
        key: &str,
        answers: &[(&str, Consent)],
    ) -> Result<(), UnknownTemplate> {
        for (template_id, _) in answers {
            self.template(key, template_id)?;
        }
        let mut fields = Fields::new();
        for (template_id, consent) in answers {
            if let Some(customer) = self.customers.get_mut(key) {
                let rights = customer.subscriptions.entry((*template_id).to_owned()).or_default();
                match consent {
                    Consent::Accept => *rights += 1,
                    Consent::Reject => {}
                }
            }
            fields = fields.with("List", choice(template_id, *consent).with("PopupScene", "0"));
        }
        self.push_event_of_customer(now, key, "subscribe_msg_popup_event", fields);
        Ok(())
    }

    pub(crate) fn unsubscribes(&mut self, now: Timestamp, key: &str, template_id: &str) -> Result<(), UnknownTemplate> {
        self.template(key, template_id)?;
        if let Some(customer) = self.customers.get_mut(key) {
            customer.subscriptions.remove(template_id);
        }
        let fields = Fields::new().with("List", choice(template_id, Consent::Reject));
        self.push_event_of_customer(now, key, "subscribe_msg_change_event", fields);
        Ok(())
    }

    /// A template of the customer's app.
    fn template(&self, customer: &str, template_id: &str) -> Result<&TemplateSetup, UnknownTemplate> {
        let app = self.customers.get(customer).and_then(|customer| self.apps.get(customer.appid.as_str()));
        let template = app.and_then(|app| app.templates.iter().find(|known| known.template_id.as_str() == template_id));
        template.ok_or_else(|| UnknownTemplate(template_id.to_owned()))
    }

    /// Uses a right up, if there is one.
    fn use_right(&mut self, customer: &str, template_id: &str, kind: TemplateKind) -> Result<(), ErrCode> {
        let customer = self.customers.get_mut(customer).ok_or(ErrCode::INVALID_OPENID)?;
        let rights = customer.subscriptions.get_mut(template_id).filter(|rights| **rights > 0);
        let rights = rights.ok_or(ErrCode::NOT_SUBSCRIBED)?;
        if kind == TemplateKind::OneTime {
            *rights -= 1;
        }
        Ok(())
    }
}

/// An entry of the events about consent.
pub(crate) fn choice(template_id: &str, consent: Consent) -> Fields {
    Fields::new().with("TemplateId", template_id).with("SubscribeStatusString", consent.as_str())
}

pub(super) fn send(call: Call<'_>) -> Result<Answer, Refusal> {
    let request = Request::from_json(&call.request.body)?;
    let customer = call.customer(&request.touser)?;
    let Call { world, now, appid, .. } = call;
    let template = world.template(&customer, request.template_id.as_str());
    let template = template.map_err(|_| ErrCode::INVALID_TEMPLATE_ID)?.clone();
    check_keys(&template, &request.data)?;
    world.use_right(&customer, request.template_id.as_str(), template.kind)?;
    let (seed, made) = (world.seed(), world.conversation(&customer).next());
    let msg_id = seed.msg_id(&customer, made).to_string();
    let result = Fields::new()
        .with("TemplateId", request.template_id.as_str())
        .with("MsgID", msg_id.as_str())
        .with("ErrorCode", "0")
        .with("ErrorStatus", "success");
    world.notices.push(Notice {
        at: now,
        appid,
        openid: request.touser,
        template_id: request.template_id,
        msg_id: msg_id.clone(),
        values: request.data.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        page: request.page.map(String::from),
    });
    world.push_event_of_customer(now, &customer, "subscribe_msg_sent_event", Fields::new().with("List", result));
    Ok(Answer::json(Response { msg_id: Some(msg_id) }.to_json()))
}

/// The values must be exactly those of the template. The sentence names the first key that is not.
fn check_keys(template: &TemplateSetup, data: &TemplateData) -> Result<(), Refusal> {
    let missing = template.keys.iter().find(|key| !data.iter().any(|(known, _)| known == key.as_str()));
    let foreign = data.iter().map(|(key, _)| key).find(|key| !template.keys.iter().any(|known| known == key));
    let wrong = match (missing, foreign) {
        (Some(key), _) => format!("argument invalid! data.{key}.value is empty"),
        (None, Some(key)) => format!("argument invalid! data.{key} is not in the template"),
        (None, None) => return Ok(()),
    };
    Err(Refusal { code: ErrCode::INVALID_ARGUMENT, errmsg: Some(wrong) })
}

impl From<subscribe_send::Refusal> for Refusal {
    fn from(refusal: subscribe_send::Refusal) -> Self {
        Self { code: refusal.errcode, errmsg: Some(refusal.errmsg) }
    }
}
