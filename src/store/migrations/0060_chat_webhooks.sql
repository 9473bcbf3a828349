-- Endpoints that name an event of operator chat, so that looking for one does not read all endpoints.
CREATE INDEX webhook_endpoints_of_conversations ON webhook_endpoints (pk)
    WHERE instr(events, '"conversation:') > 0 OR instr(events, '"chat:message"') > 0;

-- The entry of the chat log up to which webhooks got their deliveries.
CREATE TABLE chat_webhook_position (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO chat_webhook_position (id, position) SELECT 1, coalesce(max(seq), 0) FROM chat_events;
