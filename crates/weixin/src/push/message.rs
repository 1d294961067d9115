//! What a push says: a message of a customer, or an event.
//!
//! Kinds that we do not know are kept whole ([`Message::fields`]), because WeChat adds kinds without notice.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/receive.html>,
//! <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/subscribe-message.html>.

use aws_lc_rs::digest::{SHA256, digest};

use super::{Fields, Format};

/// The longest key that is used as it is; longer ones are hashed.
const KEY_BYTES_MAX: usize = 128;

/// What a push says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The original id of the app, `gh_…`.
    pub to_user_name: String,
    /// The customer's `openid`; an id of WeChat's own for events of the platform.
    pub from_user_name: String,
    /// When it was made, in seconds since 1970. The order of messages is not guaranteed, this is how they are sorted.
    pub create_time_s: i64,
    /// Which sub-merchant the customer talks to, if the app has some.
    pub business_id: Option<String>,
    /// The number of a message; events have none. 64 bits, kept as text.
    pub msg_id: Option<String>,
    /// What it is about.
    pub content: Content,
    /// Everything that came, also what is not understood.
    pub fields: Fields,
}

/// What a push is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text {
        /// The text; may be empty.
        content: String,
    },
    /// A picture.
    Image {
        /// A temporary address of the picture.
        pic_url: String,
        /// For downloading it within three days.
        media_id: String,
    },
    /// A card that leads to a page of the mini program.
    MiniProgramPage {
        /// The title of the card.
        title: String,
        /// The app.
        appid: String,
        /// The page with its query.
        page_path: String,
        /// A temporary address of the card's picture.
        thumb_url: String,
        /// For downloading the card's picture within three days.
        thumb_media_id: String,
    },
    /// Something happened.
    Event(Event),
    /// A kind of message that the page does not list.
    Other {
        /// WeChat's word.
        msg_type: String,
    },
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The customer pressed the contact button (`user_enter_tempsession`).
    EnterSession {
        /// The button's `session-from`; chosen by the page, so anybody can set it.
        session_from: String,
    },
    /// The customer answered the question for subscribe messages (`subscribe_msg_popup_event`).
    SubscribePopup(Vec<SubscribeChoice>),
    /// The customer switched subscribe messages off in WeChat's settings (`subscribe_msg_change_event`).
    SubscribeChange(Vec<SubscribeChoice>),
    /// What became of subscribe messages (`subscribe_msg_sent_event`).
    SubscribeSent(Vec<SubscribeResult>),
    /// The verdict on a picture or sound (`wxa_media_check`).
    MediaCheck {
        /// The check that this answers.
        trace_id: String,
        /// 0, or why there is no verdict.
        errcode: i64,
        /// `pass`, `review` or `risky`.
        suggest: Option<String>,
        /// What was found.
        label: Option<i64>,
    },
    /// An order was shipped or settled (`trade_manage_order_settlement`).
    OrderSettlement(SettledOrder),
    /// WeChat wants an order to be shipped (`trade_manage_remind_shipping`).
    RemindShipping(SettledOrder),
    /// Any other event.
    Other {
        /// WeChat's word.
        event: String,
    },
}

/// What a customer chose for one template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeChoice {
    /// The template.
    pub template_id: String,
    /// `accept` or `reject`.
    pub status: String,
}

/// What became of one subscribe message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeResult {
    /// The template.
    pub template_id: String,
    /// The number that the send was answered with.
    pub msg_id: String,
    /// 0, or why it did not arrive.
    pub error_code: i64,
    /// WeChat's word for it.
    pub error_status: String,
}

/// Which order a shipping event is about. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledOrder {
    /// WeChat's number of the payment.
    pub transaction_id: String,
    /// The merchant.
    pub merchant_id: String,
    /// The merchant's number of the payment.
    pub merchant_trade_no: String,
    /// When it was shipped.
    pub shipped_time_s: Option<i64>,
    /// When it is expected to be settled.
    pub estimated_settlement_time_s: Option<i64>,
    /// When the customer confirmed, or the time was over.
    pub confirm_receive_time_s: Option<i64>,
    /// When the money was released.
    pub settlement_time_s: Option<i64>,
}

impl Message {
    /// Reads the fields of a push.
    ///
    /// # Errors
    /// The kind or the sender is missing.
    pub fn from_fields(fields: Fields) -> Result<Self, MessageError> {
        let required = |name| fields.text(name).filter(|text| !text.is_empty()).ok_or(MessageError(name));
        let (from_user_name, msg_type) = (required("FromUserName")?, required("MsgType")?);
        let create_time_s = fields.number("CreateTime").ok_or(MessageError("CreateTime"))?;
        let text = |name| fields.text(name).unwrap_or_default();
        let content = match msg_type.as_str() {
            "text" => Content::Text { content: text("Content") },
            "image" => Content::Image { pic_url: text("PicUrl"), media_id: text("MediaId") },
            "miniprogrampage" => Content::MiniProgramPage {
                title: text("Title"),
                appid: text("AppId"),
                page_path: text("PagePath"),
                thumb_url: text("ThumbUrl"),
                thumb_media_id: text("ThumbMediaId"),
            },
            "event" => Content::Event(read_event(required("Event")?, &fields)),
            _ => Content::Other { msg_type },
        };
        Ok(Self {
            to_user_name: text("ToUserName"),
            from_user_name,
            create_time_s,
            business_id: fields.text("BusinessId").filter(|id| !id.is_empty()),
            msg_id: fields.text("MsgId").filter(|id| !id.is_empty() && !matches!(content, Content::Event(_))),
            content,
            fields,
        })
    }

    /// Whether it is a message of a customer, as opposed to an event. Only messages may be forwarded to agents.
    pub fn is_from_customer(&self) -> bool {
        !matches!(self.content, Content::Event(_))
    }

    /// The same for every delivery of one push and different for two pushes of one app; at most 128 visible characters.
    /// `plaintext` is what came, for kinds that have no number.
    ///
    /// Two content checks in one second differ in nothing but their `trace_id`, and repeats of virtual payment count
    /// themselves in the text.
    pub fn dedupe_key(&self, plaintext: &[u8]) -> String {
        let parts = match &self.content {
            Content::Event(event) => self.event_key(event),
            _ => self.msg_id.as_ref().map(|msg_id| vec![msg_id.clone()]),
        };
        let key = parts.map(|parts| parts.join("|"));
        match key {
            Some(key) if key.len() <= KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic()) => key,
            Some(key) => hex::encode(digest(&SHA256, key.as_bytes())),
            None => hex::encode(digest(&SHA256, plaintext)),
        }
    }

    fn event_key(&self, event: &Event) -> Option<Vec<String>> {
        let name = self.fields.text("Event")?;
        let who_and_when = || [name.clone(), self.from_user_name.clone(), self.create_time_s.to_string()];
        let named = |fields: &[&str]| -> Option<Vec<String>> {
            let said = |field: &&str| self.fields.text(field).filter(|text| !text.is_empty());
            let values = fields.iter().map(said).collect::<Option<Vec<_>>>()?;
            Some(std::iter::once(name.clone()).chain(values).collect())
        };
        match event {
            Event::EnterSession { .. } => Some(who_and_when().to_vec()),
            Event::SubscribePopup(choices) | Event::SubscribeChange(choices) => {
                let mut chosen: Vec<_> = choices.iter().map(|c| format!("{}={}", c.template_id, c.status)).collect();
                chosen.sort_unstable();
                Some(who_and_when().into_iter().chain(chosen).collect())
            }
            // Without numbers, two reports would look like one.
            Event::SubscribeSent(results) if results.is_empty() => None,
            Event::SubscribeSent(results) if results.iter().any(|result| result.msg_id.is_empty()) => None,
            Event::SubscribeSent(results) => {
                Some(std::iter::once(name).chain(results.iter().map(|result| result.msg_id.clone())).collect())
            }
            Event::MediaCheck { .. } => named(&["trace_id"]),
            Event::RemindShipping(_) => named(&["transaction_id", "CreateTime"]),
            Event::OrderSettlement(_) => {
                named(&["transaction_id", "settlement_time"]).or_else(|| named(&["transaction_id", "shipped_time"]))
            }
            Event::Other { event } => match event.as_str() {
                _ if event.starts_with("xpay_") => self.xpay_key(event, named),
                "retail_pay_notify" => named(&["mchid", "out_trade_no", "pay_status"]),
                "retail_refund_notify" => named(&["mchid", "out_refund_no", "refund_status"]),
                _ => None,
            },
        }
    }

    /// Virtual payment: by its numbers, or by everything but the counter of its tries.
    fn xpay_key(&self, event: &str, named: impl Fn(&[&str]) -> Option<Vec<String>>) -> Option<Vec<String>> {
        let by_number = match event {
            "xpay_goods_deliver_notify" | "xpay_coin_pay_notify" => named(&["OutTradeNo", "Env"]),
            "xpay_refund_notify" => named(&["WxRefundId"]),
            "xpay_complaint_notify" => named(&["ComplaintId", "RequestId"]).or_else(|| named(&["ComplaintId"])),
            _ => None,
        };
        by_number.or_else(|| Some(vec![self.fields.clone().without("RetryTimes").write(Format::Json)]))
    }
}

fn read_event(event: String, fields: &Fields) -> Event {
    let text = |name| fields.text(name).unwrap_or_default();
    match event.as_str() {
        "user_enter_tempsession" => Event::EnterSession { session_from: text("SessionFrom") },
        "subscribe_msg_popup_event" => Event::SubscribePopup(choices(fields, "SubscribeMsgPopupEvent")),
        "subscribe_msg_change_event" => Event::SubscribeChange(choices(fields, "SubscribeMsgChangeEvent")),
        "subscribe_msg_sent_event" => {
            let result = |entry: &Fields| SubscribeResult {
                template_id: entry.text("TemplateId").unwrap_or_default(),
                msg_id: entry.text("MsgID").or_else(|| entry.text("MsgId")).unwrap_or_default(),
                error_code: entry.number("ErrorCode").unwrap_or_default(),
                error_status: entry.text("ErrorStatus").unwrap_or_default(),
            };
            Event::SubscribeSent(list(fields, "SubscribeMsgSentEvent").map(result).collect())
        }
        "wxa_media_check" => {
            let result = fields.all("result").next();
            Event::MediaCheck {
                trace_id: text("trace_id"),
                errcode: fields.number("errcode").unwrap_or_default(),
                suggest: result.and_then(|result| result.text("suggest")),
                label: result.and_then(|result| result.number("label")),
            }
        }
        "trade_manage_order_settlement" => Event::OrderSettlement(settled_order(fields)),
        "trade_manage_remind_shipping" => Event::RemindShipping(settled_order(fields)),
        _ => Event::Other { event },
    }
}

fn choices(fields: &Fields, wrapper: &'static str) -> Vec<SubscribeChoice> {
    let choice = |entry: &Fields| SubscribeChoice {
        template_id: entry.text("TemplateId").unwrap_or_default(),
        status: entry.text("SubscribeStatusString").unwrap_or_default(),
    };
    list(fields, wrapper).map(choice).collect()
}

/// The entries of subscribe events: `List` below a wrapper (XML), `List` at the top (JSON), or, in a few samples, the
/// wrapper itself repeated.
fn list<'a>(fields: &'a Fields, wrapper: &'static str) -> Box<dyn Iterator<Item = &'a Fields> + 'a> {
    if fields.all("List").next().is_some() {
        return Box::new(fields.all("List"));
    }
    let nested = fields.all(wrapper).any(|inside| inside.all("List").next().is_some());
    match nested {
        true => Box::new(fields.all(wrapper).flat_map(|inside| inside.all("List"))),
        false => Box::new(fields.all(wrapper)),
    }
}

fn settled_order(fields: &Fields) -> SettledOrder {
    let text = |name| fields.text(name).unwrap_or_default();
    SettledOrder {
        transaction_id: text("transaction_id"),
        merchant_id: text("merchant_id"),
        merchant_trade_no: text("merchant_trade_no"),
        shipped_time_s: fields.number("shipped_time"),
        estimated_settlement_time_s: fields.number("estimated_settlement_time"),
        confirm_receive_time_s: fields.number("confirm_receive_time"),
        settlement_time_s: fields.number("settlement_time"),
    }
}

/// A push that does not say what every push says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the push lacks {0}")]
pub struct MessageError(pub &'static str);
