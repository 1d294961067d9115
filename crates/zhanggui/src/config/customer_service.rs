//! `[customer_service]`, and for each app `[app.push]`, `[[app.rule]]` and `[[app.subscribe_message]]`.

use jiff::SignedDuration;
use weixin::{
    AppId, EncodingAesKey, PushToken,
    mini_program::subscribe_send::{Lang, MiniprogramState, TemplateId},
    push::{Mode, Receiver},
};

use super::{
    reader::{Reader, Section},
    real_if_live,
};
use crate::{
    customer_service::{
        Handler,
        allowance::{Grant, Limits},
        rule::{self, Draft, Rule},
    },
    database::Realm,
};

/// What an app has agreed with WeChat about message push, and who answers customers.
pub struct Push {
    /// Verifies pushes.
    pub receiver: Receiver,
    /// Who answers in a conversation that begins.
    pub handler: Handler,
}

/// A message that a customer has subscribed to, with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeMessage {
    /// Names it in the API.
    pub name: String,
    /// The template in WeChat's console.
    pub template_id: TemplateId,
    /// Whether it is sent by itself when an order is paid.
    pub on_order_paid: bool,
    /// The page that it leads to; `{…}` as in `data`.
    pub page: Option<String>,
    /// Key of the template and content; `{order}`, `{description}` and the like are filled in.
    pub data: Vec<(String, String)>,
    /// Which version of the mini program it leads to.
    pub miniprogram_state: MiniprogramState,
    /// The language of the template.
    pub lang: Lang,
}

/// `[customer_service]`.
pub(super) fn read_limits(reader: &mut Reader<'_>) -> Option<Limits> {
    let mut section = reader.section("customer_service");
    let usual = Limits::default();
    let replies_after_message = section.number_or(reader, "replies_after_message", usual.message.replies, 0..=100);
    let message_window_h = section.number_or(reader, "message_window_h", usual.message.within.as_hours(), 1..=720);
    let replies_after_enter = section.number_or(reader, "replies_after_enter", usual.enter.replies, 0..=100);
    let enter_window_s = section.number_or(reader, "enter_window_s", usual.enter.within.as_secs(), 1..=86_400);
    section.end(reader);
    Some(Limits {
        message: Grant { replies: replies_after_message?, within: SignedDuration::from_hours(message_window_h?) },
        enter: Grant { replies: replies_after_enter?, within: SignedDuration::from_secs(enter_window_s?) },
    })
}

/// `[app.push]`.
pub(super) fn read_push(
    reader: &mut Reader<'_>,
    app: &mut Section,
    realm: Realm,
    appid: Option<&AppId>,
) -> Option<Push> {
    let mut section = app.section(reader, "push")?;
    let token = section.secret(reader, "token");
    let token_old = section.optional_secret(reader, "token_old");
    let aes_key = section.optional_secret(reader, "encoding_aes_key");
    let aes_key_old = section.optional_secret(reader, "encoding_aes_key_old");
    let mode = section.text_or(reader, "mode", "secure").and_then(|text| {
        let mode = Mode::from_word(&text.value);
        reader.check(&text, mode.ok_or_else(|| "must be \"secure\", \"compatible\" or \"plain\"".to_owned()))
    });
    let handler = section.text_or(reader, "handler", "wechat").and_then(|text| {
        let handler = Handler::from_word(&text.value);
        reader.check(&text, handler.ok_or_else(|| "must be \"wechat\", \"desk\" or \"bot\"".to_owned()))
    });
    let before = reader.count();
    let mut tokens = Vec::new();
    for text in [token, token_old].into_iter().flatten() {
        let token = PushToken::parse(text.value.as_str()).map_err(|error| error.rule.to_owned());
        tokens.extend(reader.check(&text, real_if_live(realm, &text.value, token)));
    }
    let mut aes_keys = Vec::new();
    for text in [aes_key, aes_key_old].into_iter().flatten() {
        let key = EncodingAesKey::parse(text.value.as_str()).map_err(|error| error.rule.to_owned());
        aes_keys.extend(reader.check(&text, real_if_live(realm, &text.value, key)));
    }
    if mode.is_some_and(|mode| mode != Mode::Plain) && aes_keys.is_empty() && reader.count() == before {
        section.problem(reader, "encoding_aes_key", "is missing: it opens the messages, unless mode = \"plain\"");
    }
    section.end(reader);
    let receiver = Receiver { appid: appid?.clone(), mode: mode?, tokens, aes_keys };
    Some(Push { receiver, handler: handler? })
}

/// `[[app.rule]]`.
pub(super) fn read_rules(reader: &mut Reader<'_>, app: &mut Section) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for mut section in app.sections(reader, "rule") {
        let before = reader.count();
        let text = |section: &mut Section, reader: &mut Reader<'_>, key| {
            section.optional_text(reader, key).map(|found| found.value)
        };
        let draft = Draft {
            name: text(&mut section, reader, "name").unwrap_or_default(),
            on: text(&mut section, reader, "on").unwrap_or_default(),
            keywords: section.texts(reader, "keywords"),
            hours: text(&mut section, reader, "hours"),
            outside_hours: text(&mut section, reader, "outside_hours"),
            while_handled_by: section.texts(reader, "while_handled_by"),
            after_min: section.optional_number(reader, "after_min", 1..=2880),
            reply: text(&mut section, reader, "reply"),
            again_after_min: section.optional_number(reader, "again_after_min", 0..=2880),
            handler: text(&mut section, reader, "handler"),
        };
        section.end(reader);
        if reader.count() > before {
            continue;
        }
        match Rule::try_from(draft) {
            Ok(rule) if rules.iter().any(|known| known.name == rule.name) => {
                section.problem(reader, "name", "stands twice in the rules of the app");
            }
            Ok(rule) => rules.push(rule),
            Err(error) => section.problem(reader, "name", &format!("is of a rule that cannot work: {error}")),
        }
    }
    if rules.len() > rule::RULES_MAX {
        app.problem(reader, "rule", &format!("stands more than {} times", rule::RULES_MAX));
    }
    rules
}

/// `[[app.subscribe_message]]`.
pub(super) fn read_subscribe_messages(reader: &mut Reader<'_>, app: &mut Section) -> Vec<SubscribeMessage> {
    let mut messages: Vec<SubscribeMessage> = Vec::new();
    for mut section in app.sections(reader, "subscribe_message") {
        let name = section.text(reader, "name").and_then(|text| {
            let of_form = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let is_name = (1..=64).contains(&text.value.len()) && text.value.bytes().all(of_form);
            let name = if is_name {
                Ok(text.value.clone())
            } else {
                Err("must be 1 to 64 letters, digits, - or _".to_owned())
            };
            reader.check(&text, name)
        });
        let template_id = section.parsed(reader, "template_id", TemplateId::parse);
        let on = section.optional_text(reader, "on");
        let on_order_paid = match on {
            None => Some(false),
            Some(text) => {
                let on = if text.value == "order.paid" {
                    Ok(true)
                } else {
                    Err("must be \"order.paid\", or left out".to_owned())
                };
                reader.check(&text, on)
            }
        };
        let page = section.optional_text(reader, "page").map(|found| found.value);
        let miniprogram_state = section.text_or(reader, "miniprogram_state", "formal").and_then(|text| {
            let state = MiniprogramState::from_word(&text.value);
            reader.check(&text, state.ok_or_else(|| "must be \"formal\", \"trial\" or \"developer\"".to_owned()))
        });
        let lang = section.text_or(reader, "lang", "zh_CN").and_then(|text| {
            let lang = Lang::from_word(&text.value);
            reader.check(&text, lang.ok_or_else(|| "must be zh_CN, zh_HK, zh_TW or en_US".to_owned()))
        });
        let data = match section.section(reader, "data") {
            Some(mut data) => data.free_texts(reader),
            None => Vec::new(),
        };
        if data.is_empty() {
            section.problem(reader, "data", "is missing: the keys of the template and their content");
        }
        section.end(reader);
        if messages.iter().any(|known| Some(&known.name) == name.as_ref()) {
            section.problem(reader, "name", "stands twice in the messages of the app");
        }
        let message = || {
            Some(SubscribeMessage {
                name: name?,
                template_id: template_id?,
                on_order_paid: on_order_paid?,
                page,
                data,
                miniprogram_state: miniprogram_state?,
                lang: lang?,
            })
        };
        messages.extend(message());
    }
    messages
}
