//! Posting pushes, to this machine only, and judging the answers as WeChat does.
//!
//! Source: <https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push.html>.

use std::{sync::Arc, time::Duration};

use reqwest::header;
use weixin::push::Answer;

use super::{
    letter::Letter,
    outbox::{PushAttempt, Verdict},
};
use crate::{
    Shared,
    fault::FaultKind,
    pay::{is_loopback, reason},
    wire::{Direction, Exchange},
};

/// How often the delivering task looks at the clock when nobody wakes it, because the base clock may jump.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// So much of an answer is kept.
const ANSWER_BYTES_KEPT: usize = 4096;

/// Sends every push that is due, all at once, waits for the answers, and gives the number of pushes.
pub(crate) async fn deliver_due(shared: &Arc<Shared>) -> usize {
    let letters = due(shared);
    let count = letters.len();
    send_all(shared, letters).await;
    count
}

/// Sends what is due as soon as it is due, until the simulator is shut down.
pub(crate) async fn run_automatically(shared: Arc<Shared>) {
    while !shared.stop.is_cancelled() {
        for letter in due(&shared) {
            let shared = Arc::clone(&shared);
            // Each on its own: a slow receiver does not hold up the others.
            shared.tasks.clone().spawn(async move { deliver(&shared, letter).await });
        }
        tokio::select! {
            () = shared.push_work.notified() => {}
            () = tokio::time::sleep(LOOK_AGAIN_AFTER) => {}
            () = shared.stop.cancelled() => {}
        }
    }
}

fn due(shared: &Shared) -> Vec<Letter> {
    let mut world = shared.world();
    let now = shared.time(&world);
    world.take_due_pushes(now)
}

/// Sends letters at the same time and waits for all answers.
async fn send_all(shared: &Arc<Shared>, letters: Vec<Letter>) {
    let mut under_way = tokio::task::JoinSet::new();
    for letter in letters {
        let shared = Arc::clone(shared);
        under_way.spawn(async move { deliver(&shared, letter).await });
    }
    under_way.join_all().await;
}

/// Sends copies of one push at the same time, and gives what came back.
pub(super) async fn send_copies(shared: &Arc<Shared>, number: u64, letters: Vec<Letter>) -> Vec<PushAttempt> {
    let mut under_way = tokio::task::JoinSet::new();
    for letter in letters {
        let shared = Arc::clone(shared);
        under_way.spawn(async move { post(&shared, &letter).await });
    }
    let (attempts, exchanges): (Vec<_>, Vec<_>) = under_way.join_all().await.into_iter().unzip();
    written_down(shared, number, attempts.clone(), exchanges);
    attempts
}

async fn deliver(shared: &Shared, letter: Letter) {
    let (attempts, exchanges): (Vec<_>, Vec<_>) = match letter.fault {
        Some(FaultKind::Lost) => {
            let verdict = refused("lost on the way, as the simulator was told");
            (vec![PushAttempt { at: letter.at, http_status: None, answer: String::new(), verdict }], Vec::new())
        }
        Some(FaultKind::Twice) => {
            let (first, second) = tokio::join!(post(shared, &letter), post(shared, &letter));
            [first, second].into_iter().unzip()
        }
        _ => [post(shared, &letter).await].into_iter().unzip(),
    };
    written_down(shared, letter.number, attempts, exchanges);
}

fn written_down(shared: &Shared, number: u64, attempts: Vec<PushAttempt>, exchanges: Vec<Exchange>) {
    shared.world().pushed(number, attempts);
    shared.changed();
    shared.push_work.notify_one();
    // Last, so that whoever follows the log finds the attempt in the ledger.
    for exchange in exchanges {
        shared.wire.record(exchange);
    }
}

async fn post(shared: &Shared, letter: &Letter) -> (PushAttempt, Exchange) {
    let content_type = letter.format.content_type();
    let (status, body, verdict) = match exchange(shared, letter, content_type).await {
        Ok((status, body)) => {
            let verdict = judge(letter, status, &body);
            (Some(status), body, verdict)
        }
        Err(reason) => (None, Vec::new(), refused(&reason)),
    };
    let note = match (&letter.fault, &verdict) {
        (Some(fault), _) => Some(format!("fault: {fault:?}")),
        (None, Verdict::Refused { reason }) => Some(reason.clone()),
        (None, _) => None,
    };
    let exchange = Exchange {
        sequence: 0,
        at: letter.at,
        direction: Direction::FromWechat,
        method: "POST".to_owned(),
        path: letter.url.clone(),
        headers: vec![(header::CONTENT_TYPE.as_str().to_owned(), content_type.to_owned())],
        request: letter.body.clone(),
        status,
        answer: String::from_utf8_lossy(&body).into_owned(),
        answer_headers: Vec::new(),
        note,
    };
    let answer = String::from_utf8_lossy(&body[..body.len().min(ANSWER_BYTES_KEPT)]).into_owned();
    (PushAttempt { at: letter.at, http_status: status, answer, verdict }, exchange)
}

/// Status and body, or why there is no answer.
async fn exchange(shared: &Shared, letter: &Letter, content_type: &str) -> Result<(u16, Vec<u8>), String> {
    // A setting that was there from the start was not checked by the question for the address.
    if !is_loopback(&letter.url) {
        return Err("the address is not on this machine".to_owned());
    }
    let request = shared.mailer.client().post(&letter.url).body(letter.body.clone());
    let request = request.header(header::CONTENT_TYPE, content_type);
    shared.mailer.send(request).await.map_err(|error| reason(&error))
}

/// How WeChat takes an answer. Nothing is stripped from it: a line break behind `success` is no `success`.
fn judge(letter: &Letter, status: u16, body: &[u8]) -> Verdict {
    if status != 200 {
        return refused(&format!("the answer has status {status} instead of 200"));
    }
    match Answer::read(body, letter.format, letter.sealed, &letter.receiver) {
        Ok(Answer::Success) => Verdict::Success,
        Ok(Answer::Transfer(transfer)) => {
            let swapped =
                transfer.to_user_name == letter.from_user_name && transfer.from_user_name == letter.to_user_name;
            match swapped {
                true => Verdict::Transfer { kf_account: transfer.kf_account },
                false => refused("ToUserName and FromUserName of the answer must be those of the push, swapped"),
            }
        }
        Ok(Answer::Ack { err_code, err_msg }) => {
            let wanted = letter.event.as_deref().is_some_and(|event| event.starts_with("xpay_"));
            match (wanted, err_code) {
                (true, 0) => Verdict::Success,
                (true, _) => refused(&format!("the server says that nothing was delivered: {err_code} {err_msg}")),
                (false, _) => refused("only events of virtual payment are answered with ErrCode"),
            }
        }
        Err(error) => refused(&error.to_string()),
    }
}

fn refused(reason: &str) -> Verdict {
    Verdict::Refused { reason: reason.to_owned() }
}
