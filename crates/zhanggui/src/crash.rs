//! Points at which a process dies at once, for the crash tests: without unwinding, without an answer, with whatever is
//! on disk by then.
//!
//! Without the feature `crash-points` there is nothing of it in the program. With it, `ZHANGGUI_CRASH_AT=name` or
//! `name:nth` says where, and `ZHANGGUI_CRASH_CLOCK=FILE` names a file with the seconds that the process is ahead of the
//! machine, so that leases and pauses end when the test says so.

use crate::clock::{Clock, system_clock};

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal),* $(,)?) => {
        /// Where a process may be told to die: the borders between what is on disk, what WeChat knows and what was answered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])* $point),*
        }

        impl Point {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$point),*];

            /// As in `ZHANGGUI_CRASH_AT`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name),*
                }
            }
        }
    };
}

points! {
    /// The payment is written down and has no job yet.
    PaymentBegun = "payment.begun",
    /// The try is written down; WeChat was not called.
    PaymentSubmitBeforeCall = "payment.submit.before_call",
    /// WeChat has answered; nothing of it is written down.
    PaymentSubmitAfterAnswer = "payment.submit.after_answer",
    /// The `prepay_id` is written down; the phone has no answer.
    PaymentSubmitBeforeReply = "payment.submit.before_reply",
    /// A notification is verified and not written down.
    PaymentNotificationVerified = "payment.notification.verified",
    /// A notification is written down; WeChat has no answer.
    PaymentNotificationDurable = "payment.notification.durable",
    /// The job that asks whether a v2 notification is true has begun.
    PaymentConfirmBeforeCall = "payment.confirm.before_call",
    /// It has written down what WeChat said, and has not ended.
    PaymentConfirmSettled = "payment.confirm.settled",
    /// The job that asks from time to time has begun.
    PaymentPollBeforeCall = "payment.poll.before_call",
    /// WeChat has said what became of a payment; nothing of it is written down.
    PaymentQueryAfterAnswer = "payment.query.after_answer",
    /// In the transaction: the payment has changed, its jobs and its order have not.
    PaymentSettleBeforeJobs = "payment.settle.before_jobs",
    /// In the transaction: the refund of late money is written, its event is not.
    PaymentSettleOwed = "payment.settle.owed",
    /// In the transaction: the order closes, its payment and its job do not.
    OrderCloseBeforeJob = "order.close.before_job",
    /// The order closes; WeChat was not called.
    OrderCloseWritten = "order.close.written",
    /// The order is closed; the caller has no answer.
    OrderCloseBeforeReply = "order.close.before_reply",
    /// The order has expired; the job has not ended.
    OrderExpireWritten = "order.expire.written",
    /// The payment is to be closed; WeChat was asked, not told.
    PaymentCloseBeforeCall = "payment.close.before_call",
    /// WeChat has closed the payment; nothing of it is written down.
    PaymentCloseAfterAnswer = "payment.close.after_answer",
    /// The payment is closed here.
    PaymentCloseSettled = "payment.close.settled",
    /// In the transaction: the refund is written, its job is not.
    RefundRequestBeforeJob = "refund.request.before_job",
    /// The try is written down; WeChat was not called.
    RefundSubmitBeforeCall = "refund.submit.before_call",
    /// WeChat has taken the refund; nothing of it is written down.
    RefundSubmitAfterAnswer = "refund.submit.after_answer",
    /// That WeChat has the refund is written down; the job has not ended.
    RefundSubmitSettled = "refund.submit.settled",
    /// The job that asks from time to time has begun.
    RefundPollBeforeCall = "refund.poll.before_call",
    /// WeChat has said what became of a refund; nothing of it is written down.
    RefundQueryAfterAnswer = "refund.query.after_answer",
    /// In the transaction: the refund has changed, its jobs, its order and its event have not.
    RefundSettleBeforeJobs = "refund.settle.before_jobs",
    /// A v3 notification of a refund is written down; WeChat has no answer.
    RefundNotificationDurable = "refund.notification.durable",
    /// A v2 notification of a refund is written down; WeChat has no answer.
    RefundHintDurable = "refund.hint.durable",
    /// The job that asks whether a v2 notification of a refund is true has begun.
    RefundConfirmBeforeCall = "refund.confirm.before_call",
    /// In the transaction: the effect has happened, its answer is not kept.
    IdempotencyBeforeKeep = "idempotency.before_keep",
    /// Effect and answer are kept; the caller has no answer.
    IdempotencyKept = "idempotency.kept",
    /// A customer's message is written down; WeChat has no answer.
    PushDurable = "push.durable",
    /// A reply is `sending`; WeChat was not called.
    MessageSendBeforeCall = "message.send.before_call",
    /// WeChat has taken a reply; it is not written down.
    MessageSendAfterAnswer = "message.send.after_answer",
    /// A subscribe message is `sending`; WeChat was not called.
    SubscribeMessageBeforeCall = "subscribe_message.before_call",
    /// WeChat has taken a subscribe message; it is not written down.
    SubscribeMessageAfterAnswer = "subscribe_message.after_answer",
    /// A job is claimed and has not begun.
    JobClaimed = "job.claimed",
    /// A job has run and is not ended.
    JobBeforeEnd = "job.before_end",
    /// In the transaction: events have become deliveries, none is claimed.
    WebhookBeforeClaim = "webhook.before_claim",
    /// A delivery is claimed and not sent.
    WebhookClaimed = "webhook.claimed",
    /// The endpoint has answered; nothing of it is written down.
    WebhookAfterAnswer = "webhook.after_answer",
}

/// Dies here, if the environment says so.
#[cfg(not(feature = "crash-points"))]
pub(crate) const fn point(_: Point) {}

/// The clock of the machine.
#[cfg(not(feature = "crash-points"))]
pub(crate) fn clock() -> Clock {
    system_clock()
}

#[cfg(feature = "crash-points")]
pub(crate) use armed::{clock, point};

#[cfg(feature = "crash-points")]
mod armed {
    use std::{
        env, fs,
        path::PathBuf,
        process::abort,
        sync::{
            Arc, LazyLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    use jiff::SignedDuration;

    use super::{Clock, Point, system_clock};

    struct Armed {
        point: Point,
        passes_left: AtomicU64,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(armed);

    #[expect(clippy::disallowed_methods, reason = "only the crash tests set it, for one process")]
    fn armed() -> Option<Armed> {
        let text = env::var("ZHANGGUI_CRASH_AT").ok()?;
        let (name, nth) = text.split_once(':').unwrap_or((&text, "1"));
        let point = Point::ALL.iter().copied().find(|point| point.name() == name);
        let (Some(point), Ok(nth)) = (point, nth.parse()) else {
            eprintln!("ZHANGGUI_CRASH_AT={text} is no crash point");
            abort();
        };
        Some(Armed { point, passes_left: AtomicU64::new(nth) })
    }

    /// Dies here, if the environment says so.
    pub(crate) fn point(at: Point) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.point == at) else { return };
        if armed.passes_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            eprintln!("crash at {}", at.name());
            abort();
        }
    }

    /// The clock of the machine, ahead by the seconds in the file.
    pub(crate) fn clock() -> Clock {
        let machine = system_clock();
        let Some(file) = env::var_os("ZHANGGUI_CRASH_CLOCK").map(PathBuf::from) else { return machine };
        Arc::new(move || {
            // Written by renaming, so it is whole.
            let ahead_s = fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            machine() + SignedDuration::from_secs(ahead_s)
        })
    }
}
