-- The merchant's own systems: details of keys, repeated requests, references of orders, webhooks.

-- The first characters of the key, which name it without telling it. Addresses are networks with blanks between them.
ALTER TABLE api_key ADD COLUMN prefix TEXT;
ALTER TABLE api_key ADD COLUMN last_used_ms BIGINT;
ALTER TABLE api_key ADD COLUMN addresses TEXT;
ALTER TABLE api_key ADD COLUMN refunds_fen_per_day BIGINT;

-- What a key has refunded on a day of Beijing, counted from 1970.
CREATE TABLE api_key_refund (
    key_id     TEXT   NOT NULL REFERENCES api_key (id),
    day        BIGINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    PRIMARY KEY (key_id, day)
);

-- Answers to requests with an Idempotency-Key, written in the transaction of their effect. The answer is sealed.
CREATE TABLE idempotent_answer (
    caller_id     TEXT   NOT NULL,
    key           TEXT   NOT NULL,
    fingerprint   TEXT   NOT NULL,
    status        BIGINT NOT NULL,
    answer_sealed BYTES  NOT NULL,
    created_ms    BIGINT NOT NULL,
    PRIMARY KEY (caller_id, key)
);
CREATE INDEX idempotent_answer_age ON idempotent_answer (created_ms);

-- The merchant's own numbers of orders, each once in an app.
CREATE TABLE order_reference (
    appid     TEXT NOT NULL,
    reference TEXT NOT NULL,
    order_id  TEXT NOT NULL REFERENCES shop_order (id),
    PRIMARY KEY (appid, reference)
);
-- Before this table a reference could stand in several orders: the first one keeps it.
INSERT INTO order_reference (appid, reference, order_id)
SELECT appid, reference, MIN(id)
FROM shop_order
WHERE reference IS NOT NULL
GROUP BY appid, reference;

-- Whom the merchant wants to be told. Events up to `position` have become deliveries. `types` are words with blanks between
-- them, or * for all. During a rotation the old secret signs, too.
CREATE TABLE webhook_endpoint (
    id                  TEXT   PRIMARY KEY,
    url                 TEXT   NOT NULL,
    description         TEXT   NOT NULL,
    types               TEXT   NOT NULL,
    state               TEXT   NOT NULL,
    disabled_reason     TEXT,
    secret_sealed       BYTES  NOT NULL,
    old_secret_sealed   BYTES,
    old_secret_until_ms BIGINT,
    position            BIGINT NOT NULL,
    paused_until_ms     BIGINT NOT NULL,
    created_ms          BIGINT NOT NULL,
    updated_ms          BIGINT NOT NULL
);

-- One event for one endpoint. `attempts` counts all of them; `failures` those since the schedule began.
CREATE TABLE webhook_delivery (
    endpoint_id  TEXT   NOT NULL REFERENCES webhook_endpoint (id),
    position     BIGINT NOT NULL,
    event_id     TEXT   NOT NULL,
    type         TEXT   NOT NULL,
    subject      TEXT   NOT NULL,
    sequence     BIGINT NOT NULL,
    state        TEXT   NOT NULL,
    attempts     BIGINT NOT NULL,
    failures     BIGINT NOT NULL,
    due_ms       BIGINT NOT NULL,
    leased_ms    BIGINT NOT NULL,
    fence        BIGINT NOT NULL,
    event_ms     BIGINT NOT NULL,
    delivered_ms BIGINT,
    PRIMARY KEY (endpoint_id, position)
);
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (endpoint_id, position) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_order ON webhook_delivery (endpoint_id, subject, position) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_event ON webhook_delivery (endpoint_id, event_id);
CREATE INDEX webhook_delivery_delivered ON webhook_delivery (delivered_ms) WHERE state = 'delivered';

-- Every try, with the first bytes of the answer, sealed.
CREATE TABLE webhook_attempt (
    endpoint_id   TEXT   NOT NULL,
    position      BIGINT NOT NULL,
    number        BIGINT NOT NULL,
    event_id      TEXT   NOT NULL,
    started_ms    BIGINT NOT NULL,
    duration_ms   BIGINT NOT NULL,
    http_status   BIGINT,
    failure       TEXT,
    answer_sealed BYTES,
    PRIMARY KEY (endpoint_id, position, number),
    FOREIGN KEY (endpoint_id, position) REFERENCES webhook_delivery (endpoint_id, position)
);
