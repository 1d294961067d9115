//! What a customer does in the chat, and where it goes: to the app's server, or straight to WeChat's own agents.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html>.

use jiff::Timestamp;
use weixin::push::Fields;

use super::{
    AgentLine, ChatLine, CustomerMessage, ENTERING_ALLOWS, Handover, MESSAGE_ALLOWS, PICTURE_PREFIX, Said, Session,
    Speaker, Way,
};
use crate::{Phone, Shared, push::NewPush, world::World};

/// A picture of one white dot, for cards whose picture nobody has chosen.
const WHITE_DOT_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
\0\0\0\nIDAT\x78\x9c\x63\xf8\x0f\0\x01\x01\x01\0\x1b\xb6\xee\x56\0\0\0\0IEND\xae\x42\x60\x82";

impl Phone {
    /// Presses the contact button with this `session-from` (at most 1,024 characters; the phone cuts the rest off).
    pub fn enter_session(&self, session_from: &str) {
        let session_from = session_from.chars().take(SESSION_FROM_CHARACTERS_MAX).collect();
        self.chat_action(|world, now, _| world.enters_session(now, &self.key, session_from));
    }

    /// Sends a text, and gives WeChat's number of the message.
    pub fn send_text(&self, content: &str) -> String {
        let said = Said::Text { content: content.to_owned() };
        self.chat_action(|world, now, shared| world.says(shared, now, &self.key, said))
    }

    /// Sends a picture, and gives WeChat's number of the message. Bytes that are no picture are sent, too: a server must
    /// live with that.
    pub fn send_image(&self, bytes: impl Into<Vec<u8>>) -> String {
        let bytes = bytes.into();
        self.chat_action(|world, now, shared| {
            let media_id = world.media.store(world.seed(), now, &self.appid, bytes);
            world.says(shared, now, &self.key, Said::Image { media_id })
        })
    }

    /// Sends a card that leads to a page of the app, and gives WeChat's number of the message.
    pub fn send_card(&self, title: &str, page_path: &str) -> String {
        self.chat_action(|world, now, shared| {
            let thumb_media_id = world.media.store(world.seed(), now, &self.appid, WHITE_DOT_PNG.to_vec());
            let (title, page_path) = (title.to_owned(), page_path.to_owned());
            let appid = self.appid.to_string();
            world.says(shared, now, &self.key, Said::Card { title, appid, page_path, thumb_media_id })
        })
    }

    /// Everything that the customer sees in the chat, from old to new.
    pub fn chat(&self) -> Vec<ChatLine> {
        let world = self.shared.world();
        world.conversations.get(&self.key).map(|conversation| conversation.chat.clone()).unwrap_or_default()
    }

    /// Whether the customer sees that somebody is typing.
    pub fn sees_typing(&self) -> bool {
        let world = self.shared.world();
        let now = self.shared.time(&world);
        let until = world.conversations.get(&self.key).and_then(|conversation| conversation.typing_until);
        until.is_some_and(|until| now < until)
    }

    /// Does something, at the simulator's time, and has what follows from it sent.
    pub(crate) fn chat_action<T>(&self, action: impl FnOnce(&mut World, Timestamp, &Shared) -> T) -> T {
        let mut world = self.shared.world();
        let now = self.shared.time(&world);
        world.is_active(&self.key, now);
        let result = action(&mut world, now, &self.shared);
        drop(world);
        self.shared.changed();
        self.shared.push_work.notify_one();
        result
    }
}

/// The event of the contact button.
const ENTER_SESSION: &str = "user_enter_tempsession";

/// Source: <https://developers.weixin.qq.com/miniprogram/dev/component/button.html>.
const SESSION_FROM_CHARACTERS_MAX: usize = 1024;

impl World {
    fn enters_session(&mut self, now: Timestamp, key: &str, session_from: String) {
        self.conversation(key).allowance.grant(now, ENTERING_ALLOWS);
        let fields = Fields::new().with("SessionFrom", session_from);
        self.push_event_of_customer(now, key, ENTER_SESSION, fields);
    }

    /// Pushes an event that a customer caused.
    pub(crate) fn push_event_of_customer(&mut self, now: Timestamp, key: &str, event: &str, fields: Fields) {
        let subject = format!("{key}/{}", self.conversation(key).next());
        let mut all = Fields::new().with("MsgType", "event").with("Event", event);
        for (name, value) in fields.iter() {
            all = all.with(name, value.clone());
        }
        let in_chat = event == ENTER_SESSION;
        self.push_of_customer(now, key, subject, all, in_chat);
    }

    /// The customer says something in words.
    pub(crate) fn says_text(&mut self, shared: &Shared, now: Timestamp, key: &str, text: &str) {
        self.says(shared, now, key, Said::Text { content: text.to_owned() });
    }

    /// The customer says something. WeChat's number of it comes back.
    fn says(&mut self, shared: &Shared, now: Timestamp, key: &str, said: Said) -> String {
        let seed = self.seed();
        let conversation = self.conversation(key);
        let msg_id = seed.msg_id(key, conversation.next());
        conversation.say(now, Speaker::Customer, said.clone());
        conversation.allowance.grant(now, MESSAGE_ALLOWS);
        let in_session = matches!(conversation.session(now), Session::Taken { .. });
        let pushed = match in_session {
            true => None,
            false => {
                let fields = message_fields(&said, &shared.base_url()).with("MsgId", msg_id);
                self.push_of_customer(now, key, format!("{key}/{msg_id}"), fields, true)
            }
        };
        let way = pushed.map_or(Way::Agents, Way::Push);
        let conversation = self.conversation(key);
        let (msg_id, by) = (msg_id.to_string(), if in_session { Handover::InSession } else { Handover::PushOff });
        if way == Way::Agents {
            let line = AgentLine { at: now, msg_id: Some(msg_id.clone()), said: Some(said.clone()), event: None, by };
            conversation.reach_agents(now, line, None);
        }
        conversation.messages.push(CustomerMessage { at: now, msg_id: msg_id.clone(), said, way });
        msg_id
    }

    /// Pushes something that a customer did, if the app has message push. What was done in the chat fails in the chat.
    fn push_of_customer(
        &mut self,
        now: Timestamp,
        key: &str,
        subject: String,
        fields: Fields,
        in_chat: bool,
    ) -> Option<u64> {
        let customer = self.customers.get(key)?;
        let push = NewPush {
            appid: customer.appid.clone(),
            from: customer.openid.clone(),
            chat: in_chat.then(|| key.to_owned()),
            subject,
            fields,
        };
        self.push(now, push)
    }
}

/// The fields of a message of a customer, by its kind.
fn message_fields(said: &Said, base_url: &str) -> Fields {
    let picture = |media_id: &str| format!("{base_url}{PICTURE_PREFIX}{media_id}");
    let fields = Fields::new().with("MsgType", said.msg_type());
    match said {
        Said::Text { content } => fields.with("Content", content.as_str()),
        Said::Image { media_id } => fields.with("PicUrl", picture(media_id)).with("MediaId", media_id.as_str()),
        Said::Card { title, appid, page_path, thumb_media_id } => fields
            .with("Title", title.as_str())
            .with("AppId", appid.as_str())
            .with("PagePath", page_path.as_str())
            .with("ThumbUrl", picture(thumb_media_id))
            .with("ThumbMediaId", thumb_media_id.as_str()),
        // Customers of mini programs cannot send links; the page lists the kind for public accounts.
        Said::Link { title, description, url, .. } => {
            fields.with("Title", title.as_str()).with("Description", description.as_str()).with("Url", url.as_str())
        }
    }
}
