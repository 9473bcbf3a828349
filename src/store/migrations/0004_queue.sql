-- What each device handed to its network in the last 24 hours: limits hold over a restart.
CREATE TABLE departures (
    device_id  TEXT NOT NULL,
    at         INTEGER NOT NULL,
    message_pk INTEGER NOT NULL,
    chat_id    TEXT NOT NULL,
    opens      INTEGER NOT NULL             -- 1 where the chat had no earlier message in either direction
) STRICT;
CREATE INDEX departures_by_time ON departures (device_id, at);
CREATE INDEX departures_opening ON departures (device_id, chat_id, at) WHERE opens = 1;

-- Few rows: what the network has not answered to.
CREATE INDEX outbox_sending ON outbox (device_id, sending_since) WHERE sending_since IS NOT NULL;

CREATE INDEX activity_by_hour ON activity (hour);
