-- When `due` was decided: later than now once the clock was set back.
ALTER TABLE webhook_deliveries ADD COLUMN decided_at INTEGER;
-- Whether it was tried early because its endpoint had recovered, which happens once.
ALTER TABLE webhook_deliveries ADD COLUMN hurried INTEGER NOT NULL DEFAULT 0;

-- The next of a lane is the oldest of its log, also among what is delivered once more.
DROP INDEX webhook_deliveries_lanes;
CREATE INDEX webhook_deliveries_lanes ON webhook_deliveries (endpoint, lane, due, seq) WHERE dead_at IS NULL AND lane IS NOT NULL;
-- What waits, oldest first.
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (endpoint) WHERE dead_at IS NULL;
-- Dead ones in the order in which they are delivered once more.
CREATE INDEX webhook_deliveries_dead_order ON webhook_deliveries (endpoint, device_id, seq) WHERE dead_at IS NOT NULL;

-- Lanes of which nothing was due: giving up what waited for an endpoint could be cut off in between.
UPDATE webhook_deliveries SET due = 0 WHERE pk IN (
    SELECT min(pk) FROM webhook_deliveries WHERE dead_at IS NULL AND lane IS NOT NULL
    GROUP BY endpoint, lane HAVING count(due) = 0);
