//! Taking a push in: one transaction writes down what came, decides who answers, and keeps the exact answer to WeChat.
//!
//! The same push again gets the same bytes. Anything slow (a picture, a reply) is a job of the transaction.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use weixin::{
    OpenId, Verified,
    mini_program::{BusinessId, media_upload::MEDIA_VALID_S},
    push::{Answer, Content as Pushed, Event as PushedEvent, Fields, Format, Message as PushedMessage, Push, Transfer},
};

use super::{
    Conversation, Handler,
    message::{Content, Direction, Message, State},
    rule,
    rule::{Occasion, Rule},
    send,
    store::{
        self,
        conversation::Parties,
        message::Place,
        push::{NewPush, StoredAnswer},
    },
    unanswered,
};
use crate::{
    app::App,
    clock::{ms, random},
    config,
    database::{DatabaseError, Tx},
    event, id, payment, session, subscribe_message,
};

/// The longest `session_from` that is kept, in characters. WeChat's own limit is 1024.
const SESSION_FROM_CHARS_MAX: usize = 1024;

/// Everything that a push is taken in with.
pub(super) struct Intake<'a> {
    pub(super) app: &'a App,
    pub(super) mini_program: &'a config::App,
    pub(super) agreed: &'a config::Push,
    pub(super) now: Timestamp,
}

impl Intake<'_> {
    /// Takes a push, or finds that it was taken before. Gives the bytes for WeChat.
    pub(super) fn take(&self, tx: &mut Tx, push: &Verified<Push>) -> Result<StoredAnswer, DatabaseError> {
        let (app, message) = (self.app, &push.message);
        let appid = self.mini_program.appid.as_str();
        let dedupe_key = message.dedupe_key(&push.plaintext);
        if let Some(answer) = store::push::answered(tx, appid, &dedupe_key)? {
            return Ok(answer);
        }
        let (kind, handler) = match &message.content {
            Pushed::Event(event) => {
                self.take_event(tx, message, event)?;
                (message.fields.text("Event").unwrap_or_default(), None)
            }
            _ => ("message".to_owned(), Some(self.take_message(tx, message)?)),
        };
        let answer = self.answer(push, handler);
        let id = id::new(id::Kind::Push, self.now, &app.entropy);
        let plaintext_sealed = app.seal.seal(store::push::place(&id), &push.plaintext);
        let kind: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
        let new = NewPush { appid, dedupe_key: &dedupe_key, id: &id, kind: &kind, answer: &answer, plaintext_sealed };
        store::push::insert(tx, new, self.now)?;
        Ok(answer)
    }

    /// The answer: messages that WeChat's agents answer are handed on, and nothing else is. Events never are.
    pub(super) fn answer(&self, push: &Push, handler: Option<Handler>) -> StoredAnswer {
        let now_s = self.now.as_second();
        let answer = match handler {
            Some(Handler::Wechat) => Answer::Transfer(Transfer::of(&push.message, now_s)),
            Some(Handler::Desk | Handler::Bot) | None => Answer::Success,
        };
        let content_type = match answer {
            Answer::Success => "text/plain; charset=utf-8",
            _ => push.format.content_type(),
        };
        let body = answer.write(&self.agreed.receiver, push, now_s, random(&self.app.entropy));
        StoredAnswer { body, content_type: content_type.to_owned() }
    }

    /// Writes a customer's message down; says who answers it.
    fn take_message(&self, tx: &mut Tx, pushed: &PushedMessage) -> Result<Handler, DatabaseError> {
        let Some(mut conversation) = self.conversation(tx, pushed)? else {
            // Nobody we could answer. WeChat's agents can, and the push itself is kept.
            tracing::warn!(
                wechat.appid = self.mini_program.appid.as_str(),
                "a message came from somebody who cannot be answered: its openid or BusinessId is none"
            );
            return Ok(Handler::Wechat);
        };
        let (app, now) = (self.app, self.now);
        let said = self.said(pushed);
        let content = self.content(tx, pushed)?;
        conversation.allowance = conversation.allowance.granted(app.config.reply_limits.message, said);
        conversation.last_message = conversation.last_message.max(said);
        let text = match &content {
            Content::Text { text } => text.as_str(),
            _ => "",
        };
        let rules = self.rules(tx)?;
        let verdict = self.judge(tx, &rules, Occasion::Message(text), &conversation)?;
        let before = conversation.handler;
        conversation.handler = verdict.handler.unwrap_or(before);
        match conversation.handler {
            Handler::Wechat => {
                conversation.forwarded = Some(now);
                conversation.waiting_since = None;
            }
            Handler::Desk | Handler::Bot => {
                conversation.unread += 1;
                let since = *conversation.waiting_since.get_or_insert(now);
                unanswered::schedule(tx, &rules, &conversation.id, (since, now), now)?;
            }
        }
        let message = Message {
            id: id::new(id::Kind::Message, now, &app.entropy),
            conversation_id: conversation.id.clone(),
            direction: Direction::In,
            content,
            state: State::Received,
            handler: Some(conversation.handler),
            author: None,
            client_id: None,
            attempts: 0,
            said,
            created: now,
            updated: now,
        };
        let msg_id = pushed.msg_id.as_ref().and_then(|msg_id| msg_id.parse().ok());
        store::message::insert(tx, app, &message, &Place { msg_id, fingerprint: None })?;
        let data = json!({ "conversation": conversation.view(now), "message": message.view() });
        event::append(tx, app, now, event::Type::MessageReceived, &conversation.id, &data)?;
        self.apply(tx, &mut conversation, before, verdict)?;
        Ok(conversation.handler)
    }

    fn take_event(&self, tx: &mut Tx, pushed: &PushedMessage, happened: &PushedEvent) -> Result<(), DatabaseError> {
        let (app, now, appid) = (self.app, self.now, self.mini_program.appid.as_str());
        let tell =
            |tx: &mut Tx, kind, subject: &str, data: Value| event::append(tx, app, now, kind, subject, &data).map(drop);
        match happened {
            PushedEvent::EnterSession { session_from } => self.enter(tx, pushed, session_from),
            PushedEvent::SubscribePopup(choices) | PushedEvent::SubscribeChange(choices) => {
                let Some(customer) = self.customer(tx, pushed)? else { return Ok(()) };
                let choices: Vec<_> = choices
                    .iter()
                    .map(|choice| json!({ "template_id": choice.template_id, "status": choice.status }))
                    .collect();
                let data = json!({ "appid": appid, "customer": customer, "choices": choices });
                tell(tx, event::Type::SubscriptionChanged, &customer, data)
            }
            PushedEvent::SubscribeSent(results) if !results.is_empty() => {
                results.iter().try_for_each(|result| subscribe_message::arrived(tx, app, now, appid, result))
            }
            PushedEvent::MediaCheck { trace_id, errcode, suggest, label } => {
                let data = json!({
                    "appid": appid, "trace_id": trace_id, "errcode": errcode, "suggest": suggest, "label": label,
                });
                tell(tx, event::Type::MediaChecked, appid, data)
            }
            PushedEvent::OrderSettlement(settled) | PushedEvent::RemindShipping(settled) => {
                let order = payment::order_of(tx, &settled.merchant_id, &settled.merchant_trade_no)?;
                let subject = order.as_deref().unwrap_or(appid).to_owned();
                let data = json!({ "appid": appid, "order": order, "fields": all_fields(&pushed.fields) });
                tell(tx, event::Type::ShippingReported, &subject, data)
            }
            // A report without results is told as it came.
            PushedEvent::SubscribeSent(_) | PushedEvent::Other { .. } => {
                let word = pushed.fields.text("Event");
                let data = json!({ "appid": appid, "event": word, "fields": all_fields(&pushed.fields) });
                tell(tx, event::Type::PushReceived, appid, data)
            }
        }
    }

    /// The customer pressed the contact button.
    fn enter(&self, tx: &mut Tx, pushed: &PushedMessage, session_from: &str) -> Result<(), DatabaseError> {
        let Some(mut conversation) = self.conversation(tx, pushed)? else { return Ok(()) };
        let (app, now) = (self.app, self.now);
        let session_from: String =
            session_from.chars().filter(|c| !c.is_control()).take(SESSION_FROM_CHARS_MAX).collect();
        conversation.session_from = Some(session_from).filter(|text| !text.is_empty());
        conversation.allowance = conversation.allowance.granted(app.config.reply_limits.enter, self.said(pushed));
        let rules = self.rules(tx)?;
        let verdict = self.judge(tx, &rules, Occasion::Enter, &conversation)?;
        let before = conversation.handler;
        conversation.handler = verdict.handler.unwrap_or(before);
        let data = json!({ "conversation": conversation.view(now) });
        event::append(tx, app, now, event::Type::ConversationEntered, &conversation.id, &data)?;
        self.apply(tx, &mut conversation, before, verdict)
    }

    /// Does what a rule said, and saves the conversation.
    fn apply(
        &self,
        tx: &mut Tx,
        conversation: &mut Conversation,
        before: Handler,
        verdict: rule::Verdict,
    ) -> Result<(), DatabaseError> {
        let rule::Verdict { rule, reply, .. } = verdict;
        let rule = rule.unwrap_or_default();
        if conversation.handler != before {
            super::conversation::tell_handled(tx, self.app, self.now, conversation, &format!("rule:{rule}"))?;
        }
        if let Some(text) = reply {
            send::reply_by_rule(tx, self.app, self.now, conversation, &rule, text)?;
        }
        store::conversation::save(tx, conversation)
    }

    fn judge(
        &self,
        tx: &mut Tx,
        rules: &[Rule],
        occasion: Occasion<'_>,
        conversation: &Conversation,
    ) -> Result<rule::Verdict, DatabaseError> {
        if rules.is_empty() {
            return Ok(rule::Verdict::default());
        }
        let uses = store::rule::last_uses(tx, &conversation.id)?;
        let last_reply = |name: &str| uses.iter().find(|(rule, _)| rule == name).map(|(_, at)| *at);
        Ok(rule::judge(rules, occasion, conversation.handler, self.now, last_reply))
    }

    fn rules(&self, tx: &mut Tx) -> Result<Vec<Rule>, DatabaseError> {
        super::rules::of_app(tx, self.mini_program)
    }

    /// The chat with whoever sent this; `None` if that is nobody who can be answered.
    fn conversation(&self, tx: &mut Tx, pushed: &PushedMessage) -> Result<Option<Conversation>, DatabaseError> {
        let Some(customer_id) = self.customer(tx, pushed)? else { return Ok(None) };
        let business_id = pushed.business_id.as_deref().unwrap_or_default();
        // An answer would have to name it.
        if !business_id.is_empty() && BusinessId::parse(business_id).is_err() {
            return Ok(None);
        }
        let parties = Parties { appid: self.mini_program.appid.as_str(), customer_id: &customer_id, business_id };
        let new_id = id::new(id::Kind::Conversation, self.now, &self.app.entropy);
        store::conversation::of(tx, &parties, &new_id, self.agreed.handler, self.now).map(Some)
    }

    /// Our id of whoever sent this; `None` if it is not a customer.
    fn customer(&self, tx: &mut Tx, pushed: &PushedMessage) -> Result<Option<String>, DatabaseError> {
        let Ok(openid) = OpenId::parse(pushed.from_user_name.as_str()) else { return Ok(None) };
        let new_id = id::new(id::Kind::Customer, self.now, &self.app.entropy);
        session::customer_of_openid(tx, &new_id, &self.mini_program.appid, &openid, ms(self.now)).map(Some)
    }

    /// When it was said, by WeChat's clock; never in the future, or the chat would be out of order for ever.
    fn said(&self, pushed: &PushedMessage) -> Timestamp {
        Timestamp::from_second(pushed.create_time_s).map_or(self.now, |said| said.min(self.now))
    }

    fn content(&self, tx: &mut Tx, pushed: &PushedMessage) -> Result<Content, DatabaseError> {
        Ok(match &pushed.content {
            Pushed::Text { content } => Content::Text { text: content.clone() },
            Pushed::Image { media_id, .. } => Content::Image { picture: self.picture(tx, media_id)? },
            Pushed::MiniProgramPage { title, page_path, thumb_media_id, .. } => {
                let picture = if thumb_media_id.is_empty() { None } else { Some(self.picture(tx, thumb_media_id)?) };
                Content::MiniProgramPage { title: title.clone(), page_path: page_path.clone(), picture }
            }
            Pushed::Other { msg_type } => Content::Unsupported { msg_type: msg_type.clone() },
            // Events are no messages; the caller has sorted them out.
            Pushed::Event(_) => Content::Unsupported { msg_type: "event".to_owned() },
        })
    }

    /// A picture that a job fetches by its number. The address that came with it is never called: anybody who can make
    /// WeChat push could make us call it.
    fn picture(&self, tx: &mut Tx, media_id: &str) -> Result<String, DatabaseError> {
        let id = id::new(id::Kind::Picture, self.now, &self.app.entropy);
        let appid = self.mini_program.appid.as_str();
        let until = self.now + SignedDuration::from_secs(MEDIA_VALID_S);
        let media_id: String = media_id.chars().filter(|c| c.is_ascii_graphic()).collect();
        store::picture::insert_pending(tx, &id, appid, (&media_id, until), self.now)?;
        crate::job::schedule(tx, crate::job::Kind::FetchPicture, &id, self.now, self.now)?;
        Ok(id)
    }
}

/// All fields of a push, for those who know what they mean.
fn all_fields(fields: &Fields) -> Value {
    // What was written here a moment ago can be read again.
    serde_json::from_str(&fields.write(Format::Json)).unwrap_or_default()
}
