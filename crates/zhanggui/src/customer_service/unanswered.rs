//! What happens by itself when a customer has waited too long: a job asks the rules again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{
    conversation::tell_handled,
    rule::{self, Occasion, Rule},
    rules, send, store,
};
use crate::{
    app::App,
    database::{DatabaseError, Tx},
    job::{self, Kind, Outcome},
};

/// Looks when the first rule about waiting is due of those that were not due before `from`.
pub(super) fn schedule(
    tx: &mut Tx,
    rules: &[Rule],
    conversation_id: &str,
    (since, from): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<(), DatabaseError> {
    match next(rules, since, from) {
        Some(due) => job::schedule(tx, Kind::CheckUnanswered, conversation_id, due, now),
        None => Ok(()),
    }
}

/// When the next rule about waiting is due, for a customer who waits since then.
fn next(rules: &[Rule], since: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let waited_min = now.duration_since(since).as_mins();
    let ages_min = rules.iter().filter_map(Rule::unanswered_after_min).filter(|after_min| *after_min > waited_min);
    Some(since + SignedDuration::from_mins(ages_min.min()?))
}

/// Asks the rules whether the customer of a conversation has waited too long.
pub async fn run_unanswered_job(app: &Arc<App>, conversation_id: &str) -> Outcome {
    let (looking, now, id) = (Arc::clone(app), app.now(), conversation_id.to_owned());
    match app.database.write(move |tx| look(tx, &looking, now, &id)).await {
        Ok(next) => {
            app.job_wake.notify_one();
            app.event_wake.notify_waiters();
            next.map_or(Outcome::Done, Outcome::At)
        }
        Err(error) => Outcome::retry(&error),
    }
}

/// Gives when to look again.
fn look(tx: &mut Tx, app: &App, now: Timestamp, conversation_id: &str) -> Result<Option<Timestamp>, DatabaseError> {
    let Some(mut conversation) = store::conversation::find(tx, conversation_id)? else { return Ok(None) };
    // Answered meanwhile, or handed to WeChat's agents.
    let Some(since) = conversation.waiting_since else { return Ok(None) };
    let Some(mini_program) = app.config.app(Some(conversation.appid.as_str())) else { return Ok(None) };
    let rules = rules::of_app(tx, mini_program)?;
    let uses = store::rule::last_uses(tx, conversation_id)?;
    // A rule about this waiting acts once for it.
    let last_reply = |name: &str| uses.iter().find(|(rule, at)| rule == name && *at >= since).map(|(_, at)| *at);
    let occasion = Occasion::Unanswered { waited_min: now.duration_since(since).as_mins() };
    let fresh: Vec<Rule> = rules.iter().filter(|rule| last_reply(&rule.name).is_none()).cloned().collect();
    let verdict = rule::judge(&fresh, occasion, conversation.handler, now, |_| None);
    if let Some(name) = &verdict.rule {
        store::rule::used(tx, conversation_id, name, now)?;
        if let Some(handler) = verdict.handler {
            conversation.handler = handler;
            tell_handled(tx, app, now, &conversation, &format!("rule:{name}"))?;
        }
        if let Some(text) = verdict.reply {
            send::reply_by_rule(tx, app, now, &mut conversation, name, text)?;
        }
        store::conversation::save(tx, &conversation)?;
    }
    Ok(next(&rules, since, now))
}
