//! Rules: what happens by itself when a customer enters, writes, or waits. Pure.
//!
//! Rules stand in the configuration and can be set through the API; both are read by the same check. The first rule
//! that fits acts, and no other. Hours are those of Beijing.

use jiff::{Timestamp, civil::Time, tz::TimeZone};
use serde::{Deserialize, Serialize};
use weixin::mini_program::message_text::MessageText;

use super::Handler;

/// How many rules an app may have.
pub const RULES_MAX: usize = 100;

const KEYWORDS_MAX: usize = 50;

/// A rule as people write it: in the configuration, in the API and in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rule)]
pub struct Draft {
    /// Names the rule in logs, events and errors.
    pub name: String,
    /// `enter`, `message` or `unanswered`.
    pub on: String,
    /// Only for `message`: one of these is in the text. Upper and lower case are the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Only within these hours, such as `09:00-18:00`; over midnight is fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Only outside of these hours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside_hours: Option<String>,
    /// Only while one of these answers; all if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub while_handled_by: Vec<String>,
    /// Only for `unanswered`: after the customer has waited so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_min: Option<i64>,
    /// What to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// How long the reply is not given again in one conversation. 60, or 0 with keywords.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_after_min: Option<i64>,
    /// Who answers from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler: Option<String>,
}

/// A rule that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Names the rule.
    pub name: String,
    on: On,
    keywords: Vec<String>,
    hours: Option<Hours>,
    outside_hours: Option<Hours>,
    while_handled_by: Vec<Handler>,
    reply: Option<String>,
    again_after_min: i64,
    handler: Option<Handler>,
}

/// When a rule is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Enter,
    Message,
    Unanswered { after_min: i64 },
}

/// Hours of a day, in Beijing. The end does not belong to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hours {
    from: Time,
    to: Time,
}

/// What is going on in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// The customer pressed the contact button.
    Enter,
    /// The customer wrote: the text, or nothing for pictures and cards.
    Message(&'a str),
    /// The customer has waited for so many minutes.
    Unanswered {
        /// Whole minutes.
        waited_min: i64,
    },
}

/// What the rules say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The rule that acts.
    pub rule: Option<String>,
    /// Who answers from now on, if somebody else.
    pub handler: Option<Handler>,
    /// What to answer.
    pub reply: Option<String>,
}

/// Asks the rules. `last_reply` tells when a rule last gave its reply in the conversation.
pub fn judge(
    rules: &[Rule],
    occasion: Occasion<'_>,
    handler: Handler,
    now: Timestamp,
    last_reply: impl Fn(&str) -> Option<Timestamp>,
) -> Verdict {
    let Some(rule) = rules.iter().find(|rule| rule.fits(occasion, handler, now)) else { return Verdict::default() };
    let too_soon = |at: Timestamp| now.duration_since(at).as_mins() < rule.again_after_min;
    Verdict {
        rule: Some(rule.name.clone()),
        handler: rule.handler.filter(|next| *next != handler),
        reply: rule.reply.clone().filter(|_| !last_reply(&rule.name).is_some_and(too_soon)),
    }
}

impl Rule {
    /// After how many minutes of waiting the rule is looked at.
    pub fn unanswered_after_min(&self) -> Option<i64> {
        match self.on {
            On::Unanswered { after_min } => Some(after_min),
            On::Enter | On::Message => None,
        }
    }

    fn fits(&self, occasion: Occasion<'_>, handler: Handler, now: Timestamp) -> bool {
        let occasion_fits = match (self.on, occasion) {
            (On::Enter, Occasion::Enter) => true,
            (On::Message, Occasion::Message(text)) => self.has_keyword(text),
            (On::Unanswered { after_min }, Occasion::Unanswered { waited_min }) => waited_min >= after_min,
            _ => false,
        };
        let time = TimeZone::fixed(jiff::tz::offset(8)).to_datetime(now).time();
        occasion_fits
            && (self.while_handled_by.is_empty() || self.while_handled_by.contains(&handler))
            && self.hours.is_none_or(|hours| hours.contain(time))
            && !self.outside_hours.is_some_and(|hours| hours.contain(time))
    }

    fn has_keyword(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.keywords.is_empty() || self.keywords.iter().any(|keyword| text.contains(keyword))
    }
}

impl Hours {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} must have the form 09:00-18:00");
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| {
            let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        let hours = Self { from: time(from).ok_or_else(wrong)?, to: time(to).ok_or_else(wrong)? };
        if hours.from == hours.to { Err(wrong()) } else { Ok(hours) }
    }

    fn contain(self, time: Time) -> bool {
        if self.from < self.to { (self.from..self.to).contains(&time) } else { time >= self.from || time < self.to }
    }
}

impl TryFrom<Draft> for Rule {
    type Error = String;

    fn try_from(draft: Draft) -> Result<Self, String> {
        let name = draft.name;
        let of_form = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(of_form) {
            return Err("name must be 1 to 64 letters, digits, - or _".to_owned());
        }
        let on = match (draft.on.as_str(), draft.after_min) {
            ("enter", None) => On::Enter,
            ("message", None) => On::Message,
            ("unanswered", Some(after_min)) if (1..=2880).contains(&after_min) => On::Unanswered { after_min },
            ("unanswered", _) => return Err("after_min must be 1 to 2880 minutes with on = \"unanswered\"".to_owned()),
            ("enter" | "message", Some(_)) => return Err("after_min goes with on = \"unanswered\"".to_owned()),
            _ => return Err("on must be \"enter\", \"message\" or \"unanswered\"".to_owned()),
        };
        if on != On::Message && !draft.keywords.is_empty() {
            return Err("keywords go with on = \"message\"".to_owned());
        }
        if draft.keywords.len() > KEYWORDS_MAX || draft.keywords.iter().any(|word| !(1..=64).contains(&word.len())) {
            return Err(format!("keywords must be at most {KEYWORDS_MAX} texts of 1 to 64 bytes"));
        }
        let hours = |text: Option<String>| text.map(|text| Hours::parse(&text)).transpose();
        let handler = |word: &String| {
            Handler::from_word(word).ok_or_else(|| format!("{word} must be \"wechat\", \"desk\" or \"bot\""))
        };
        if let Some(Err(error)) = draft.reply.as_deref().map(MessageText::parse) {
            return Err(format!("reply {}", error.rule));
        }
        let again_after_min = draft.again_after_min.unwrap_or(if draft.keywords.is_empty() { 60 } else { 0 });
        if !(0..=2880).contains(&again_after_min) {
            return Err("again_after_min must be 0 to 2880 minutes".to_owned());
        }
        let rule = Self {
            name,
            on,
            keywords: draft.keywords.iter().map(|word| word.to_lowercase()).collect(),
            hours: hours(draft.hours)?,
            outside_hours: hours(draft.outside_hours)?,
            while_handled_by: draft.while_handled_by.iter().map(handler).collect::<Result<_, _>>()?,
            reply: draft.reply,
            again_after_min,
            handler: draft.handler.as_ref().map(handler).transpose()?,
        };
        if rule.reply.is_none() && rule.handler.is_none() {
            return Err("the rule does nothing: give it a reply or a handler".to_owned());
        }
        Ok(rule)
    }
}

/// Checks a list of rules; their names must differ.
///
/// # Errors
/// The name (or place) of the first rule that is wrong, and why.
pub fn check(drafts: Vec<Draft>) -> Result<Vec<Rule>, String> {
    if drafts.len() > RULES_MAX {
        return Err(format!("there are more than {RULES_MAX} rules"));
    }
    let mut rules: Vec<Rule> = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        let name = if draft.name.is_empty() { format!("rule {}", index + 1) } else { draft.name.clone() };
        let rule = Rule::try_from(draft).map_err(|error| format!("{name}: {error}"))?;
        if rules.iter().any(|known| known.name == rule.name) {
            return Err(format!("{name}: the name stands twice"));
        }
        rules.push(rule);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(change: impl FnOnce(&mut Draft)) -> Result<Rule, String> {
        let mut draft = Draft { name: "r".to_owned(), on: "message".to_owned(), ..Draft::default() };
        change(&mut draft);
        Rule::try_from(draft)
    }

    fn now(time: &str) -> Timestamp {
        format!("2026-01-22T{time}:00+08:00").parse().unwrap()
    }

    fn ask(rules: &[Rule], occasion: Occasion<'_>, handler: Handler, time: &str) -> Verdict {
        judge(rules, occasion, handler, now(time), |_| None)
    }

    #[test]
    fn the_first_rule_that_fits_acts_and_no_other() {
        let first = rule(|draft| {
            draft.name = "refund".to_owned();
            draft.keywords = vec!["退款".to_owned(), "Refund".to_owned()];
            draft.handler = Some("desk".to_owned());
        });
        let second = rule(|draft| draft.reply = Some("hello".to_owned()));
        let rules = [first.unwrap(), second.unwrap()];
        let verdict = ask(&rules, Occasion::Message("I want a REFUND"), Handler::Wechat, "12:00");
        assert_eq!((verdict.handler, verdict.reply), (Some(Handler::Desk), None));
        let verdict = ask(&rules, Occasion::Message("hi"), Handler::Wechat, "12:00");
        assert_eq!((verdict.handler, verdict.reply.as_deref()), (None, Some("hello")));
        assert_eq!(ask(&rules, Occasion::Enter, Handler::Wechat, "12:00"), Verdict::default());
    }

    #[test]
    fn hours_are_those_of_beijing_and_may_pass_midnight() {
        let night = rule(|draft| {
            draft.hours = Some("22:00-06:00".to_owned());
            draft.reply = Some("we sleep".to_owned());
        });
        let closed = rule(|draft| {
            draft.outside_hours = Some("09:00-18:00".to_owned());
            draft.reply = Some("closed".to_owned());
        });
        let (night, closed) = ([night.unwrap()], [closed.unwrap()]);
        for (time, sleeps, is_closed) in [
            ("22:00", true, true),
            ("05:59", true, true),
            ("06:00", false, true),
            ("09:00", false, false),
            ("18:00", false, true),
        ] {
            let replies = |rules: &[Rule]| ask(rules, Occasion::Message(""), Handler::Bot, time).reply.is_some();
            assert_eq!((replies(&night), replies(&closed)), (sleeps, is_closed), "{time}");
        }
    }

    #[test]
    fn a_reply_is_not_given_again_too_soon_but_the_handler_moves() {
        let rules = [rule(|draft| {
            draft.reply = Some("one moment".to_owned());
            draft.handler = Some("desk".to_owned());
        })
        .unwrap()];
        let at = |minutes: i64| {
            judge(&rules, Occasion::Message(""), Handler::Bot, now("12:00"), |_| {
                Some(now("12:00") - jiff::SignedDuration::from_mins(minutes))
            })
        };
        assert_eq!((at(59).reply, at(59).handler), (None, Some(Handler::Desk)));
        assert_eq!(at(60).reply.as_deref(), Some("one moment"));
    }

    #[test]
    fn a_rule_may_hold_only_while_somebody_answers() {
        let rules = [rule(|draft| {
            draft.while_handled_by = vec!["bot".to_owned()];
            draft.keywords = vec!["人工".to_owned()];
            draft.handler = Some("wechat".to_owned());
        })
        .unwrap()];
        assert!(ask(&rules, Occasion::Message("转人工"), Handler::Bot, "12:00").handler.is_some());
        assert!(ask(&rules, Occasion::Message("转人工"), Handler::Desk, "12:00").handler.is_none());
    }

    #[test]
    fn a_rule_that_cannot_work_says_what_to_do() {
        type Change = fn(&mut Draft);
        let wrong: [(Change, &str); 8] = [
            (|draft| draft.on = "never".to_owned(), "on must be"),
            (|_| {}, "does nothing"),
            (|draft| draft.handler = Some("boss".to_owned()), "boss must be"),
            (|draft| draft.hours = Some("9-18".to_owned()), "09:00-18:00"),
            (|draft| draft.hours = Some("09:00-24:30".to_owned()), "09:00-18:00"),
            (|draft| draft.after_min = Some(5), "after_min goes with"),
            (|draft| draft.reply = Some(String::new()), "reply must be"),
            (|draft| draft.name = "a b".to_owned(), "name must be"),
        ];
        for (change, expected) in wrong {
            let error = rule(change).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let unanswered = rule(|draft| draft.on = "unanswered".to_owned()).unwrap_err();
        assert!(unanswered.contains("after_min must be"));
        let keywords = rule(|draft| {
            draft.on = "enter".to_owned();
            draft.keywords = vec!["x".to_owned()];
        });
        assert!(keywords.unwrap_err().contains("keywords go with"));
    }

    #[test]
    fn two_rules_of_one_name_are_an_error() {
        let draft =
            Draft { name: "a".to_owned(), on: "enter".to_owned(), reply: Some("hi".to_owned()), ..Draft::default() };
        assert_eq!(check(vec![draft.clone(), draft]).unwrap_err(), "a: the name stands twice");
    }
}
