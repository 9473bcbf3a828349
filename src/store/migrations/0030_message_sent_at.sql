-- When a message was last handed to the network, by our clock. NULL: this daemon did not send it, or sent it before
-- this column and more than a day ago.
ALTER TABLE messages ADD COLUMN sent_at INTEGER;
UPDATE messages SET sent_at = (SELECT max(departures.at) FROM departures WHERE departures.message_pk = messages.pk)
WHERE pk IN (SELECT message_pk FROM departures);
