-- WeChat reports on a subscribe message by the number that it gave to it.
CREATE INDEX subscribe_message_number ON subscribe_message (msg_id) WHERE msg_id IS NOT NULL;

-- Orders are listed by their state, the newest first: a rare state is found among many orders.
CREATE INDEX shop_order_state ON shop_order (state, id);
