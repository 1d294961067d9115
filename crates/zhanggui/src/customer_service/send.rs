//! Sending replies: in order within a conversation, each at most once.
//!
//! A reply is `sending` on disk before WeChat is asked. When the answer does not come, or the process dies, nobody knows
//! whether the customer has it: it becomes `unknown` and is never sent again by itself. Only an answer that proves that WeChat
//! has not taken it lets it be tried again.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/open-ability/customer-message/send.html>.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use weixin::{
    FieldError,
    mini_program::{
        Again, ErrCode, MediaId, PagePath, WebUrl,
        custom_send::{self, Card, CardTitle, Link, LinkDescription, Request},
        message_text::MessageText,
    },
};
use weixin_client::SendError;

use super::{
    Conversation,
    allowance::{Allowance, Exhausted},
    message::{Content, Direction, Message, State},
    picture::{self, MediaError},
    rules,
    store::{self, message::Place},
    unanswered,
};
use crate::{
    app::App,
    crash::{self, Point},
    database::{DatabaseError, Tx},
    event,
    http::chain,
    id,
    job::{self, Kind, Outcome},
    sending::SENDING_MAX,
};

/// How often a reply is tried that WeChat did not take. A customer waits for it.
const ATTEMPTS_MAX: i64 = 6;

/// A reply that nobody has written down yet.
pub(super) fn new_reply(app: &App, now: Timestamp, conversation_id: &str, content: Content) -> Message {
    Message {
        id: id::new(id::Kind::Message, now, &app.entropy),
        conversation_id: conversation_id.to_owned(),
        direction: Direction::Out,
        content,
        state: State::Queued,
        handler: None,
        author: None,
        client_id: None,
        attempts: 0,
        said: now,
        created: now,
        updated: now,
    }
}

/// Writes a reply down, if WeChat still takes one. The caller saves the conversation.
pub(super) fn queue(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    conversation: &mut Conversation,
    message: &Message,
    fingerprint: Option<&str>,
    run: Timestamp,
) -> Result<Result<(), Exhausted>, DatabaseError> {
    conversation.allowance = match conversation.allowance.taken(now) {
        Ok(allowance) => allowance,
        Err(exhausted) => return Ok(Err(exhausted)),
    };
    conversation.last_message = conversation.last_message.max(now);
    store::message::insert(tx, app, message, &Place { msg_id: None, fingerprint })?;
    job::schedule(tx, Kind::SendMessages, &conversation.id, run, now)?;
    tell(tx, app, now, event::Type::MessageQueued, conversation, message)?;
    Ok(Ok(()))
}

/// Queues the reply of a rule. If WeChat takes none, the rule is silent.
pub(super) fn reply_by_rule(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    conversation: &mut Conversation,
    rule: &str,
    text: String,
) -> Result<(), DatabaseError> {
    let author = Some(format!("rule:{rule}"));
    let message = Message { author, ..new_reply(app, now, &conversation.id, Content::Text { text }) };
    match queue(tx, app, now, conversation, &message, None, now)? {
        Ok(()) => store::rule::used(tx, &conversation.id, rule, now),
        Err(_) => {
            tracing::info!(
                conversation.id = conversation.id,
                rule.name = rule,
                "a rule is silent: WeChat takes no reply now"
            );
            Ok(())
        }
    }
}

/// Sends what waits in a conversation.
pub async fn run_send_job(app: &Arc<App>, conversation_id: &str) -> Outcome {
    match send_queued(app, conversation_id).await {
        Ok(Ended::Empty) => Outcome::Done,
        Ok(Ended::Waiting(why)) => Outcome::Retry(why),
        Err(error) => Outcome::retry(&error),
    }
}

/// How far the replies of a conversation are.
pub(super) enum Ended {
    /// None waits.
    Empty,
    /// Some wait, for this reason.
    Waiting(String),
}

/// Sends the replies of a conversation in their order until none waits, or one has to wait.
pub(super) async fn send_queued(app: &Arc<App>, conversation_id: &str) -> Result<Ended, DatabaseError> {
    let _alone = app.alone_with(conversation_id).await;
    loop {
        let (claiming, now, id) = (Arc::clone(app), app.now(), conversation_id.to_owned());
        let claim = app.database.write(move |tx| claim(tx, &claiming, now, &id)).await?;
        app.event_wake.notify_waiters();
        let (conversation, message) = match claim {
            Claim::Nothing => return Ok(Ended::Empty),
            Claim::SomebodyElse => return Ok(Ended::Waiting("another node is sending".to_owned())),
            Claim::Settled => continue,
            Claim::Send(conversation, message) => (*conversation, *message),
        };
        crash::point(Point::MessageSendBeforeCall);
        let outcome = call(app, &conversation, &message).await;
        crash::point(Point::MessageSendAfterAnswer);
        let (waiting, asked) = (outcome.why_again(), conversation.allowance);
        let (recording, now) = (Arc::clone(app), app.now());
        app.database.write(move |tx| record(tx, &recording, now, asked, &message, &outcome)).await?;
        app.event_wake.notify_waiters();
        if let Some(why) = waiting {
            return Ok(Ended::Waiting(why));
        }
    }
}

enum Claim {
    Nothing,
    SomebodyElse,
    /// One was settled that a dead process had left behind.
    Settled,
    Send(Box<Conversation>, Box<Message>),
}

/// Takes the next reply: from here on it may have been sent.
fn claim(tx: &mut Tx, app: &App, now: Timestamp, conversation_id: &str) -> Result<Claim, DatabaseError> {
    let Some(message) = store::message::next_to_send(tx, app, conversation_id)? else {
        job::cancel(tx, Kind::SendMessages, conversation_id)?;
        return Ok(Claim::Nothing);
    };
    let conversation = store::conversation::find(tx, conversation_id)?.ok_or(DatabaseError::NotFound)?;
    if message.state == State::Sending {
        if now.duration_since(message.updated) < SENDING_MAX {
            return Ok(Claim::SomebodyElse);
        }
        settle(tx, app, now, conversation, &message, State::Unknown)?;
        return Ok(Claim::Settled);
    }
    if !store::message::change(tx, &message.id, State::Queued, State::Sending, now)? {
        return Err(DatabaseError::Aborted);
    }
    let message = Message { state: State::Sending, attempts: message.attempts + 1, ..message };
    Ok(Claim::Send(Box::new(conversation), Box::new(message)))
}

/// What is known after a call.
#[derive(Debug)]
enum Called {
    Sent,
    /// WeChat has not taken it and may take it later.
    Again(String),
    /// WeChat has not taken it and never will.
    Refused {
        errcode: Option<ErrCode>,
        why: String,
    },
    /// WeChat may have taken it.
    Unknown(String),
    /// WeChat does not have the picture any more: it is uploaded again.
    MediaGone,
}

impl Called {
    fn why_again(&self) -> Option<String> {
        match self {
            Self::Again(why) => Some(why.clone()),
            Self::MediaGone => Some("WeChat does not have the picture any more".to_owned()),
            Self::Sent | Self::Refused { .. } | Self::Unknown(_) => None,
        }
    }
}

async fn call(app: &Arc<App>, conversation: &Conversation, message: &Message) -> Called {
    let Some(credential) = app.app_credential(&conversation.appid) else {
        return Called::Refused { errcode: None, why: "the app is not in the configuration any more".to_owned() };
    };
    let media_id = match message.content.picture() {
        None => None,
        Some(picture) => match picture::media_id(app, &credential, picture).await {
            Ok(media_id) => Some(media_id),
            Err(MediaError::Later(why)) if message.attempts < ATTEMPTS_MAX => return Called::Again(why),
            Err(MediaError::Later(why) | MediaError::Never(why)) => return Called::Refused { errcode: None, why },
        },
    };
    let request = match wire_message(&message.content, media_id) {
        Ok(content) => Request {
            business_id: conversation.business_id.clone(),
            ..Request::new(conversation.openid.clone(), content)
        },
        Err(error) => return Called::Refused { errcode: None, why: error.to_string() },
    };
    let error = match app.mini_program.custom_send(&app.access_tokens, &credential, &request).await {
        Ok(()) => return Called::Sent,
        Err(error) => error,
    };
    let (errcode, why) = (error.errcode(), chain(&error));
    match error {
        SendError::Refused { errcode: ErrCode::INVALID_MEDIA_ID, .. } if message.attempts < ATTEMPTS_MAX => {
            Called::MediaGone
        }
        SendError::NotAccepted { again: Again::Once, .. } if message.attempts > 1 => Called::Refused { errcode, why },
        SendError::NotAccepted { .. } => again(message, errcode, why),
        SendError::Refused { .. } => Called::Refused { errcode, why },
        SendError::Unknown(_) => Called::Unknown(why),
    }
}

fn again(message: &Message, errcode: Option<ErrCode>, why: String) -> Called {
    if message.attempts < ATTEMPTS_MAX { Called::Again(why) } else { Called::Refused { errcode, why } }
}

fn wire_message(content: &Content, media_id: Option<MediaId>) -> Result<custom_send::Message, FieldError> {
    let media_id = || media_id.ok_or(FieldError { field: "picture", rule: "is missing" });
    Ok(match content {
        Content::Text { text } => custom_send::Message::Text(MessageText::parse(text.as_str())?),
        Content::Image { .. } => custom_send::Message::Image(media_id()?),
        Content::MiniProgramPage { title, page_path, .. } => custom_send::Message::MiniProgramPage(Card {
            title: CardTitle::parse(title.as_str())?,
            appid: None,
            pagepath: PagePath::parse(page_path.as_str())?,
            thumb_media_id: media_id()?,
        }),
        Content::Link { title, description, url, thumb_url } => custom_send::Message::Link(Link {
            title: CardTitle::parse(title.as_str())?,
            description: LinkDescription::parse(description.as_str())?,
            url: WebUrl::parse(url.as_str())?,
            thumb_url: WebUrl::parse(thumb_url.as_str())?,
        }),
        Content::Unsupported { .. } => return Err(FieldError { field: "type", rule: "cannot be sent" }),
    })
}

/// Writes down what became of a reply. `asked` is the allowance as it was when WeChat was asked.
fn record(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    asked: Allowance,
    message: &Message,
    called: &Called,
) -> Result<(), DatabaseError> {
    let mut conversation = store::conversation::find(tx, &message.conversation_id)?.ok_or(DatabaseError::NotFound)?;
    match called {
        Called::Sent => settle(tx, app, now, conversation, message, State::Sent)?,
        Called::Unknown(why) => {
            tracing::warn!(message.id = message.id, error.cause = why, "nobody knows whether a reply arrived");
            settle(tx, app, now, conversation, message, State::Unknown)?;
        }
        Called::Again(why) => {
            tracing::info!(message.id = message.id, error.cause = why, "a reply was not taken and is tried again");
            requeue(tx, now, message)?;
        }
        Called::MediaGone => {
            if let Some(picture) = message.content.picture() {
                store::picture::uploaded(tx, picture, None)?;
            }
            requeue(tx, now, message)?;
        }
        Called::Refused { errcode, why } => {
            tracing::warn!(
                message.id = message.id,
                wechat.errcode = errcode.map(|code| code.0),
                error.cause = why,
                "a reply was refused"
            );
            conversation.allowance = match *errcode {
                Some(ErrCode::RESPONSE_TIME) => conversation.allowance.corrected(asked, Exhausted::WindowClosed, now),
                Some(ErrCode::RESPONSE_COUNT) => conversation.allowance.corrected(asked, Exhausted::UsedUp, now),
                _ => conversation.allowance.given_back(asked, app.config.reply_limits),
            };
            settle(tx, app, now, conversation, message, State::Failed { errcode: errcode.map(|code| code.0) })?;
        }
    }
    if store::message::next_to_send(tx, app, &message.conversation_id)?.is_none() {
        job::cancel(tx, Kind::SendMessages, &message.conversation_id)?;
    }
    Ok(())
}

/// A person or a system has answered, so the customer waits at most for an answer to what was written after the reply was
/// posted. What a rule says is no answer.
fn answered(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    conversation: &mut Conversation,
    reply: &Message,
) -> Result<(), DatabaseError> {
    let by_rule = reply.author.as_deref().is_some_and(|author| author.starts_with("rule:"));
    if by_rule || conversation.waiting_since.is_none_or(|since| since > reply.created) {
        return Ok(());
    }
    conversation.waiting_since = store::message::first_said_after(tx, reply)?;
    if let Some((since, mini_program)) =
        conversation.waiting_since.zip(app.config.app(Some(conversation.appid.as_str())))
    {
        let rules = rules::of_app(tx, mini_program)?;
        // Nobody has looked for this waiting yet.
        unanswered::schedule(tx, &rules, &conversation.id, (since, since), now)?;
    }
    Ok(())
}

fn requeue(tx: &mut Tx, now: Timestamp, message: &Message) -> Result<(), DatabaseError> {
    if store::message::change(tx, &message.id, State::Sending, State::Queued, now)? {
        return Ok(());
    }
    Err(DatabaseError::Aborted)
}

/// Ends a reply that was being sent, and saves its conversation.
fn settle(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    mut conversation: Conversation,
    message: &Message,
    state: State,
) -> Result<(), DatabaseError> {
    if !store::message::change(tx, &message.id, State::Sending, state, now)? {
        // Somebody thought that this process had died. What they wrote stays.
        return Ok(());
    }
    let kind = match state {
        State::Sent => event::Type::MessageSent,
        State::Unknown => event::Type::MessageUnknown,
        _ => event::Type::MessageFailed,
    };
    if matches!(state, State::Sent | State::Unknown) {
        answered(tx, app, now, &mut conversation, message)?;
    }
    store::conversation::save(tx, &conversation)?;
    tell(tx, app, now, kind, &conversation, &Message { state, ..message.clone() })
}

fn tell(
    tx: &mut Tx,
    app: &App,
    now: Timestamp,
    kind: event::Type,
    conversation: &Conversation,
    message: &Message,
) -> Result<(), DatabaseError> {
    let data = json!({ "conversation": conversation.view(now), "message": message.view() });
    event::append(tx, app, now, kind, &conversation.id, &data).map(drop)
}
