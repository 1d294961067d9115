//! `POST /cgi-bin/message/custom/send`: a customer-service message to a customer.
//!
//! A customer's message allows five within 48 hours, entering the session two within a minute. There is no number that
//! would make a repetition harmless, so after a time-out a message may have been delivered. What a refusal means is told
//! by [`Conclusion`](super::Conclusion).
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/server/API/kf-mgnt/kf-message/api_sendcustommessage.html>,
//! <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    BusinessId, ErrCode, KfAccount, MediaId, PagePath, WebUrl,
    field::is_line,
    message_text::{MessageText, TEXT_BYTES_MAX},
    read_body,
};
use crate::{AppId, FieldError, OpenId, id::checked_text};

/// The path below the host.
pub const PATH: &str = "/cgi-bin/message/custom/send";

checked_text! {
    /// The title of a link or card.
    CardTitle, "title", "must be 1 to 256 bytes without control characters",
    |text| is_line(text, 256)
}

checked_text! {
    /// What a link says below its title.
    LinkDescription, "description", "must be 1 to 1024 bytes without control characters",
    |text| is_line(text, 1024)
}

/// Sends a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The customer.
    pub touser: OpenId,
    /// What is said.
    pub message: Message,
    /// In the name of which of WeChat's own agents.
    pub kf_account: Option<KfAccount>,
    /// In the conversation with which sub-merchant.
    pub business_id: Option<BusinessId>,
    /// Who wrote it.
    pub author: Author,
}

/// What can be sent from a mini program. The page lists more kinds, for public accounts (45162 from a mini program).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A text.
    Text(MessageText),
    /// A picture.
    Image(MediaId),
    /// A link to a web page, with a picture.
    Link(Link),
    /// A card that opens a page of the mini program.
    MiniProgramPage(Card),
}

impl Message {
    /// WeChat's word for the kind.
    pub fn msgtype(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Image(_) => "image",
            Self::Link(_) => "link",
            Self::MiniProgramPage(_) => "miniprogrampage",
        }
    }
}

/// A link to a web page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The title.
    pub title: CardTitle,
    /// What stands below it.
    pub description: LinkDescription,
    /// The page that opens.
    pub url: WebUrl,
    /// Where the picture is: JPEG or PNG, 640×320 or 80×80.
    pub thumb_url: WebUrl,
}

/// A card that opens a page of the mini program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The title.
    pub title: CardTitle,
    /// The app whose page it is; the sending app if absent, as older pages have it.
    pub appid: Option<AppId>,
    /// The page.
    pub pagepath: PagePath,
    /// The picture, uploaded as an image of 520×416.
    pub thumb_media_id: MediaId,
}

/// Who wrote a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Author {
    /// A person, or nobody in particular.
    #[default]
    Person,
    /// An artificial intelligence: WeChat says so in a grey line below (`is_ai_msg`).
    Ai,
}

impl Request {
    /// A message of a person, in nobody's name.
    pub fn new(touser: OpenId, message: Message) -> Self {
        Self { touser, message, kf_account: None, business_id: None, author: Author::default() }
    }

    /// The body: JSON with the characters as they are. `\uXXXX` would be shown to the customer.
    pub fn to_json(&self) -> String {
        let msgtype = self.message.msgtype();
        let mut body = json!({ "touser": self.touser, "msgtype": msgtype });
        body[msgtype] = match &self.message {
            Message::Text(text) => json!({ "content": text }),
            Message::Image(media_id) => json!({ "media_id": media_id }),
            Message::Link(link) => json!({
                "title": link.title,
                "description": link.description,
                "url": link.url,
                "thumb_url": link.thumb_url,
            }),
            Message::MiniProgramPage(card) => card.to_value(),
        };
        if let Some(kf_account) = &self.kf_account {
            body["customservice"] = json!({ "kf_account": kf_account });
        }
        if let Some(business_id) = &self.business_id {
            body["businessid"] = json!(business_id);
        }
        if self.author == Author::Ai {
            body["aimsgcontext"] = json!({ "is_ai_msg": 1 });
        }
        body.to_string()
    }

    /// Reads the body as WeChat does.
    ///
    /// # Errors
    /// The code that WeChat answers.
    pub fn from_json(body: &[u8]) -> Result<Self, ErrCode> {
        let wire: Wire = read_body(body)?;
        let touser = wire.touser.ok_or(ErrCode::DATA_FORMAT)?;
        let message = match wire.msgtype.as_deref().ok_or(ErrCode::DATA_FORMAT)? {
            "text" => Message::Text(read_text(wire.text)?),
            "image" => Message::Image(wire.image.ok_or(ErrCode::DATA_FORMAT)?.read()?),
            "link" => Message::Link(wire.link.ok_or(ErrCode::DATA_FORMAT)?.read()?),
            "miniprogrampage" => Message::MiniProgramPage(wire.miniprogrampage.ok_or(ErrCode::DATA_FORMAT)?.read()?),
            known if FOR_PUBLIC_ACCOUNTS.contains(&known) => return Err(ErrCode::INVALID_TYPE),
            _ => return Err(ErrCode::INVALID_MESSAGE_TYPE),
        };
        let ai = wire.aimsgcontext.is_some_and(|context| context.is_ai_msg == Some(1));
        Ok(Self {
            touser: OpenId::parse(touser).map_err(|_| ErrCode::INVALID_OPENID)?,
            message,
            kf_account: wire.customservice.map(|wire| checked(wire.kf_account, KfAccount::parse)).transpose()?,
            business_id: wire.businessid.map(|id| checked(Some(id), BusinessId::parse)).transpose()?,
            author: if ai { Author::Ai } else { Author::Person },
        })
    }
}

impl Card {
    fn to_value(&self) -> Value {
        let mut card = json!({
            "title": self.title,
            "pagepath": self.pagepath,
            "thumb_media_id": self.thumb_media_id,
        });
        if let Some(appid) = &self.appid {
            card["appid"] = json!(appid);
        }
        card
    }
}

/// Kinds of messages that the page lists and a mini program cannot send.
const FOR_PUBLIC_ACCOUNTS: [&str; 8] =
    ["voice", "video", "music", "news", "mpnews", "mpnewsarticle", "msgmenu", "wxcard"];

#[derive(Deserialize)]
struct Wire {
    touser: Option<String>,
    msgtype: Option<String>,
    text: Option<WireText>,
    image: Option<WireImage>,
    link: Option<WireLink>,
    miniprogrampage: Option<WireCard>,
    customservice: Option<WireService>,
    businessid: Option<String>,
    aimsgcontext: Option<WireContext>,
}

#[derive(Deserialize)]
struct WireText {
    content: Option<String>,
}

#[derive(Deserialize)]
struct WireImage {
    media_id: Option<String>,
}

#[derive(Deserialize)]
struct WireLink {
    title: Option<String>,
    description: Option<String>,
    url: Option<String>,
    thumb_url: Option<String>,
}

#[derive(Deserialize)]
struct WireCard {
    title: Option<String>,
    appid: Option<String>,
    pagepath: Option<String>,
    thumb_media_id: Option<String>,
}

#[derive(Deserialize)]
struct WireService {
    kf_account: Option<String>,
}

#[derive(Deserialize)]
struct WireContext {
    is_ai_msg: Option<i64>,
}

fn read_text(wire: Option<WireText>) -> Result<MessageText, ErrCode> {
    let content = wire.and_then(|text| text.content).unwrap_or_default();
    match content.len() {
        0 => Err(ErrCode::EMPTY_CONTENT),
        1..=TEXT_BYTES_MAX => MessageText::parse(content).map_err(|_| ErrCode::INVALID_CHARSET),
        _ => Err(ErrCode::CONTENT_SIZE),
    }
}

impl WireImage {
    fn read(self) -> Result<MediaId, ErrCode> {
        read_media_id(self.media_id)
    }
}

impl WireLink {
    fn read(self) -> Result<Link, ErrCode> {
        Ok(Link {
            title: checked(self.title, CardTitle::parse)?,
            description: checked(self.description, LinkDescription::parse)?,
            url: checked(self.url, WebUrl::parse)?,
            thumb_url: checked(self.thumb_url, WebUrl::parse)?,
        })
    }
}

impl WireCard {
    fn read(self) -> Result<Card, ErrCode> {
        Ok(Card {
            title: checked(self.title, CardTitle::parse)?,
            appid: self.appid.map(AppId::parse).transpose().map_err(|_| ErrCode::INVALID_APPID)?,
            pagepath: checked(self.pagepath, PagePath::parse)?,
            thumb_media_id: read_media_id(self.thumb_media_id)?,
        })
    }
}

fn read_media_id(text: Option<String>) -> Result<MediaId, ErrCode> {
    let text = text.filter(|text| !text.is_empty()).ok_or(ErrCode::MEDIA_ID_MISSING)?;
    MediaId::parse(text).map_err(|_| ErrCode::INVALID_MEDIA_ID)
}

/// A field that must be there and in order.
fn checked<T>(text: Option<String>, parse: fn(String) -> Result<T, FieldError>) -> Result<T, ErrCode> {
    parse(text.ok_or(ErrCode::DATA_FORMAT)?).map_err(|_| ErrCode::INVALID_ARGS)
}

/// The codes that are documented or known for this endpoint, besides those of access tokens.
pub const ERR_CODES: &[ErrCode] = &[
    ErrCode::BUSY,
    ErrCode::INVALID_OPENID,
    ErrCode::INVALID_MEDIA_ID,
    ErrCode::INVALID_MESSAGE_TYPE,
    ErrCode::INVALID_APPID,
    ErrCode::INVALID_ARGS,
    ErrCode::MEDIA_ID_MISSING,
    ErrCode::EMPTY_POST_DATA,
    ErrCode::EMPTY_CONTENT,
    ErrCode::CONTENT_SIZE,
    ErrCode::DAILY_QUOTA,
    ErrCode::RESPONSE_TIME,
    ErrCode::RESPONSE_COUNT,
    ErrCode::INVALID_TYPE,
    ErrCode::DATA_FORMAT,
    ErrCode::API_UNAUTHORIZED,
    ErrCode::CUSTOMER_REFUSES,
    ErrCode::USER_LIMITED,
    ErrCode::MINORS_PROTECTION,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn request(message: Message) -> Request {
        Request::new(OpenId::parse("oZ8kT5JmQ7sXb0aYwP3nLdR6uVcE").unwrap(), message)
    }

    fn media_id() -> MediaId {
        MediaId::parse("media-1_a").unwrap()
    }

    fn every_kind() -> [Message; 4] {
        let title = CardTitle::parse("订单 “1”").unwrap();
        let address = |path| WebUrl::parse(format!("https://shop.example.com/{path}")).unwrap();
        [
            Message::Text(MessageText::parse("你好 😀 \"<a>\"\n第二行").unwrap()),
            Message::Image(media_id()),
            Message::Link(Link {
                title: title.clone(),
                description: LinkDescription::parse("看一看").unwrap(),
                url: address("?a=1&b=2"),
                thumb_url: address("thumb.png"),
            }),
            Message::MiniProgramPage(Card {
                title,
                appid: Some(AppId::parse("wx0a1b2c3d4e5f6071").unwrap()),
                pagepath: PagePath::parse("pages/order/order?id=1").unwrap(),
                thumb_media_id: media_id(),
            }),
        ]
    }

    fn refusal(body: &str) -> ErrCode {
        Request::from_json(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn every_kind_is_read_as_it_was_written_and_has_no_escaped_character() {
        for message in every_kind() {
            let mut request = request(message);
            for full in [false, true] {
                if full {
                    request.kf_account = Some(KfAccount::parse("test1@kftest").unwrap());
                    request.business_id = Some(BusinessId::parse("1").unwrap());
                    request.author = Author::Ai;
                }
                let body = request.to_json();
                assert!(!body.contains("\\u") && !body.contains("null"), "{body}");
                assert_eq!(Request::from_json(body.as_bytes()), Ok(request.clone()), "{body}");
            }
        }
    }

    #[test]
    fn a_text_looks_as_the_page_prints_it() {
        let body = request(Message::Text(MessageText::parse("谢谢").unwrap())).to_json();
        let sample = r#"{"msgtype":"text","text":{"content":"谢谢"},"touser":"oZ8kT5JmQ7sXb0aYwP3nLdR6uVcE"}"#;
        assert_eq!(body, sample);
    }

    #[test]
    fn what_wechat_refuses_is_refused_with_its_code() {
        let long = "字".repeat(683);
        for (body, code) in [
            ("", ErrCode::EMPTY_POST_DATA),
            ("{", ErrCode::DATA_FORMAT),
            ("[]", ErrCode::DATA_FORMAT),
            (r#"{"msgtype":"text","text":{"content":"a"}}"#, ErrCode::DATA_FORMAT),
            (r#"{"touser":"o1"}"#, ErrCode::DATA_FORMAT),
            (r#"{"touser":"不","msgtype":"text","text":{"content":"a"}}"#, ErrCode::INVALID_OPENID),
            (r#"{"touser":"o1","msgtype":"text"}"#, ErrCode::EMPTY_CONTENT),
            (r#"{"touser":"o1","msgtype":"text","text":{"content":""}}"#, ErrCode::EMPTY_CONTENT),
            (r#"{"touser":"o1","msgtype":"text","text":{"content":1}}"#, ErrCode::DATA_FORMAT),
            (r#"{"touser":"o1","msgtype":"text","text":{"content":"\u0007"}}"#, ErrCode::INVALID_CHARSET),
            (r#"{"touser":"o1","msgtype":"image","image":{}}"#, ErrCode::MEDIA_ID_MISSING),
            (r#"{"touser":"o1","msgtype":"image","image":{"media_id":"a b"}}"#, ErrCode::INVALID_MEDIA_ID),
            (r#"{"touser":"o1","msgtype":"link","link":{"title":"a"}}"#, ErrCode::DATA_FORMAT),
            (r#"{"touser":"o1","msgtype":"news","news":{"articles":[]}}"#, ErrCode::INVALID_TYPE),
            (r#"{"touser":"o1","msgtype":"poem"}"#, ErrCode::INVALID_MESSAGE_TYPE),
        ] {
            assert_eq!(refusal(body), code, "{body}");
        }
        assert_eq!(
            refusal(&format!(r#"{{"touser":"o1","msgtype":"text","text":{{"content":"{long}"}}}}"#)),
            ErrCode::CONTENT_SIZE
        );
        let card = |appid, page| {
            let card = json!({ "title": "a", "appid": appid, "pagepath": page, "thumb_media_id": "m" });
            json!({ "touser": "o1", "msgtype": "miniprogrampage", "miniprogrampage": card }).to_string()
        };
        assert_eq!(refusal(&card("mine", "a")), ErrCode::INVALID_APPID);
        assert_eq!(refusal(&card("wx0a1b2c3d4e5f6071", "/a")), ErrCode::INVALID_ARGS);
    }
}
