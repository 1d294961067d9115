-- WeChat reports on a message by the number that it gave to it.
CREATE INDEX subscribe_message_number ON subscribe_message (msg_id) WHERE msg_id IS NOT NULL;
