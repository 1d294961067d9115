//! The invariants that are questions in SQL. Alone in this program these read the tables of several domains.

use super::Rule;

pub(super) const RULES: &[Rule] = &[
    Rule {
        number: "M2",
        rule: "a paid order keeps one succeeded payment of its own, for its amount",
        examined: "shop_order WHERE state = 'paid'",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            LEFT JOIN payment ON payment.id = shop_order.paid_payment_id
                             AND payment.order_id = shop_order.id
                             AND payment.state = 'succeeded'
                             AND payment.amount_fen = shop_order.amount_fen
                             AND payment.currency = shop_order.currency
            WHERE shop_order.state = 'paid'
              AND payment.id IS NULL",
    },
    Rule {
        number: "M2",
        rule: "a payment that is not kept goes back, all of it, and somebody was told",
        examined: "payment WHERE state = 'succeeded'",
        broken: "
            SELECT payment.id
            FROM payment
            JOIN shop_order ON shop_order.id = payment.order_id
            WHERE payment.state = 'succeeded'
              AND (shop_order.paid_payment_id IS NULL OR shop_order.paid_payment_id <> payment.id)
              AND NOT (
                  EXISTS (
                      SELECT 1
                      FROM refund
                      WHERE refund.payment_id = payment.id
                        AND refund.amount_fen = payment.amount_fen
                        AND refund.cause IN ('late_payment', 'second_payment')
                  )
                  AND EXISTS (SELECT 1 FROM attention WHERE attention.subject = payment.id)
              )",
    },
    Rule {
        number: "M3",
        rule: "no more of a payment is reserved and given back than was paid",
        examined: "payment",
        broken: "
            SELECT payment.id
            FROM payment
            JOIN refund ON refund.payment_id = payment.id
            WHERE refund.state NOT IN ('closed', 'rejected', 'external')
            GROUP BY payment.id, payment.amount_fen
            HAVING SUM(refund.amount_fen) > payment.amount_fen",
    },
    Rule {
        number: "M3",
        rule: "no more of a payment was given back, here or elsewhere, than was paid",
        examined: "payment",
        broken: "
            SELECT payment.id
            FROM payment
            JOIN refund ON refund.payment_id = payment.id
            WHERE refund.state IN ('succeeded', 'external')
            GROUP BY payment.id, payment.amount_fen
            HAVING SUM(refund.amount_fen) > payment.amount_fen",
    },
    Rule {
        number: "M3",
        rule: "a payment has no more than fifty refunds of ours",
        examined: "payment",
        broken: "
            SELECT payment_id AS id
            FROM refund
            WHERE state NOT IN ('closed', 'rejected', 'external')
            GROUP BY payment_id
            HAVING COUNT(*) > 50",
    },
    Rule {
        number: "M3",
        rule: "only money that was paid goes back",
        examined: "refund",
        broken: "
            SELECT refund.id
            FROM refund
            JOIN payment ON payment.id = refund.payment_id
            WHERE payment.state <> 'succeeded' OR payment.order_id <> refund.order_id",
    },
    Rule {
        number: "M3",
        rule: "an order tells how much of its money went back",
        examined: "shop_order",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            WHERE refunded_fen <> (
                SELECT COALESCE(SUM(refund.amount_fen), 0)
                FROM refund
                WHERE refund.payment_id = shop_order.paid_payment_id
                  AND refund.state IN ('succeeded', 'external')
            )",
    },
    Rule {
        number: "M4",
        rule: "a success has evidence of the same payment, amount, number and time",
        examined: "payment WHERE state = 'succeeded'",
        broken: "
            SELECT payment.id
            FROM payment
            WHERE payment.state = 'succeeded'
              AND NOT EXISTS (
                  SELECT 1
                  FROM evidence
                  WHERE evidence.payment_id = payment.id
                    AND evidence.mchid = payment.mchid
                    AND evidence.out_trade_no = payment.out_trade_no
                    AND evidence.total_fen = payment.amount_fen
                    AND evidence.transaction_id = payment.transaction_id
                    AND evidence.wechat_ms = payment.succeeded_ms
                    AND evidence.verdict = 'believed'
                    AND evidence.trade_state IN ('SUCCESS', 'REFUND')
              )",
    },
    Rule {
        number: "M4",
        rule: "money that went back has evidence of the same refund, amount, number and time",
        examined: "refund WHERE state IN ('succeeded', 'external')",
        broken: "
            SELECT refund.id
            FROM refund
            WHERE refund.state IN ('succeeded', 'external')
              AND NOT EXISTS (
                  SELECT 1
                  FROM evidence
                  WHERE evidence.refund_id = refund.id
                    AND evidence.payment_id = refund.payment_id
                    AND evidence.mchid = refund.mchid
                    AND evidence.out_refund_no = refund.out_refund_no
                    AND evidence.refund_fen = refund.amount_fen
                    AND evidence.wechat_ms = refund.succeeded_ms
                    AND evidence.verdict = 'believed'
                    AND evidence.trade_state = 'SUCCESS'
              )",
    },
    Rule {
        number: "M5",
        rule: "a payment that can still take money is asked for or closed by a job",
        examined: "payment WHERE state IN ('submitting', 'awaiting', 'closing')",
        broken: "
            SELECT payment.id
            FROM payment
            WHERE payment.state IN ('submitting', 'awaiting', 'closing')
              AND NOT EXISTS (
                  SELECT 1
                  FROM job
                  WHERE (job.subject = payment.id AND job.kind IN ('payment.query', 'payment.poll', 'payment.close'))
                     OR (job.subject = payment.order_id AND job.kind = 'order.expire')
              )",
    },
    Rule {
        number: "M5",
        rule: "an open order expires by a job",
        examined: "shop_order WHERE state = 'open'",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            WHERE shop_order.state = 'open'
              AND NOT EXISTS (SELECT 1 FROM job WHERE job.subject = shop_order.id AND job.kind = 'order.expire')",
    },
    Rule {
        number: "M5",
        rule: "a refund under way is sent or asked for by a job",
        examined: "refund WHERE state IN ('submitting', 'processing', 'abnormal')",
        broken: "
            SELECT refund.id
            FROM refund
            WHERE refund.state IN ('submitting', 'processing', 'abnormal')
              AND NOT EXISTS (
                  SELECT 1
                  FROM job
                  WHERE job.subject = refund.id
                    AND job.kind = CASE WHEN refund.state = 'submitting' THEN 'refund.submit' ELSE 'refund.poll' END
              )",
    },
    Rule {
        number: "S2",
        rule: "an order that is closed or paid has no payment that can take money, unless it is being closed",
        examined: "shop_order WHERE state IN ('closed', 'paid')",
        broken: "
            SELECT DISTINCT shop_order.id
            FROM shop_order
            JOIN payment ON payment.order_id = shop_order.id
            WHERE (shop_order.state = 'closed' AND payment.state IN ('submitting', 'awaiting', 'closing'))
               OR (shop_order.state = 'paid' AND payment.state IN ('submitting', 'awaiting'))",
    },
    Rule {
        number: "S2",
        rule: "a closing order has a payment that is being closed",
        examined: "shop_order WHERE state = 'closing'",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            WHERE shop_order.state = 'closing'
              AND NOT EXISTS (SELECT 1 FROM payment WHERE payment.order_id = shop_order.id AND payment.state = 'closing')",
    },
    Rule {
        number: "E1",
        rule: "the events of a subject are numbered from 1 without gaps",
        examined: "event",
        broken: "
            SELECT subject AS id
            FROM event
            GROUP BY subject
            HAVING COUNT(*) <> MAX(sequence) OR MIN(sequence) <> 1 OR COUNT(DISTINCT sequence) <> COUNT(*)",
    },
    Rule {
        number: "E1",
        rule: "an order that became paid was told as paid once",
        examined: "shop_order",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            WHERE EXISTS (
                SELECT 1 FROM event WHERE event.subject = shop_order.id AND event.type = 'order.created'
            )
              AND CASE WHEN shop_order.state = 'paid' THEN 1 ELSE 0 END <> (
                  SELECT COUNT(*)
                  FROM event
                  WHERE event.subject = shop_order.id
                    AND event.type = 'order.paid'
              )",
    },
    Rule {
        number: "E1",
        rule: "an order that is closed was told as closed once",
        examined: "shop_order WHERE state = 'closed'",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            WHERE shop_order.state = 'closed'
              AND EXISTS (
                  SELECT 1 FROM event WHERE event.subject = shop_order.id AND event.type = 'order.created'
              )
              AND 1 <> (
                  SELECT COUNT(*)
                  FROM event
                  WHERE event.subject = shop_order.id
                    AND event.type = 'order.closed'
              )",
    },
    Rule {
        number: "E1",
        rule: "each refund that succeeded was told as that once",
        examined: "shop_order",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            WHERE (
                SELECT COUNT(*)
                FROM refund
                WHERE refund.order_id = shop_order.id
                  AND refund.state IN ('succeeded', 'external')
            ) <> (
                SELECT COUNT(*)
                FROM event
                WHERE event.subject = shop_order.id
                  AND event.type = 'refund.succeeded'
            )",
    },
    Rule {
        number: "E1",
        rule: "each refund that failed was told as that once",
        examined: "shop_order",
        broken: "
            SELECT shop_order.id
            FROM shop_order
            WHERE (
                SELECT COUNT(*)
                FROM refund
                WHERE refund.order_id = shop_order.id
                  AND refund.state IN ('closed', 'rejected')
            ) <> (
                SELECT COUNT(*)
                FROM event
                WHERE event.subject = shop_order.id
                  AND event.type = 'refund.failed'
            )",
    },
];
