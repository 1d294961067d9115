-- Polling, closing, refunds.

-- accepted_ms: when WeChat took the order with an authentic answer for the first time. tried_ms: when it was sent for the
-- last time. pressed_ms: when the customer last pressed "pay"; polling counts from there. woken_ms: when a reader last
-- made WeChat be asked earlier.
ALTER TABLE payment ADD COLUMN accepted_ms BIGINT;
ALTER TABLE payment ADD COLUMN tried_ms BIGINT;
ALTER TABLE payment ADD COLUMN pressed_ms BIGINT;
ALTER TABLE payment ADD COLUMN woken_ms BIGINT;
UPDATE payment SET tried_ms = updated_ms WHERE attempts > 0;
UPDATE payment SET accepted_ms = updated_ms WHERE state = 'awaiting';

-- Money that goes back: one out_refund_no. The states are those of refund/state.rs. doubt_ms: when the last try was made
-- whose outcome is not known. A refund that was made elsewhere has no request.
CREATE TABLE refund (
    id               TEXT   PRIMARY KEY,
    order_id         TEXT   NOT NULL REFERENCES shop_order (id),
    payment_id       TEXT   NOT NULL REFERENCES payment (id),
    mchid            TEXT   NOT NULL,
    api              TEXT   NOT NULL,
    out_refund_no    TEXT   NOT NULL,
    amount_fen       BIGINT NOT NULL CHECK (amount_fen > 0),
    cause            TEXT   NOT NULL,
    reason           TEXT,
    reference        TEXT,
    frozen_request   TEXT,
    frozen_sha256    TEXT,
    state            TEXT   NOT NULL,
    blocked          BIGINT NOT NULL,
    attempts         BIGINT NOT NULL,
    tried_ms         BIGINT,
    doubt_ms         BIGINT,
    accepted_ms      BIGINT,
    wechat_refund_id TEXT,
    rejected_code    TEXT,
    succeeded_ms     BIGINT,
    created_ms       BIGINT NOT NULL,
    updated_ms       BIGINT NOT NULL,
    UNIQUE (mchid, out_refund_no)
);
CREATE INDEX refund_payment ON refund (payment_id, created_ms);
-- The merchant's own number makes a request for a refund the same one when it is repeated.
CREATE UNIQUE INDEX refund_reference ON refund (order_id, reference);

ALTER TABLE evidence ADD COLUMN refund_id TEXT REFERENCES refund (id);
ALTER TABLE evidence ADD COLUMN out_refund_no TEXT;
ALTER TABLE evidence ADD COLUMN refund_fen BIGINT;
CREATE INDEX evidence_refund ON evidence (refund_id, received_ms);

-- Orders from before expire, too, and their payments are asked for.
INSERT INTO job (kind, subject, run_ms, attempts, leased_ms, fence, created_ms)
    SELECT 'order.expire', id, expires_ms, 0, 0, 0, created_ms
    FROM shop_order
    WHERE state = 'open';
INSERT INTO job (kind, subject, run_ms, attempts, leased_ms, fence, created_ms)
    SELECT 'payment.poll', id, created_ms, 0, 0, 0, created_ms
    FROM payment
    WHERE state IN ('submitting', 'awaiting');
