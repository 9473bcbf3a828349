-- The conversations of an assignee, which are released when the user may no longer reply.
CREATE INDEX conversations_by_assignee ON conversations (assignee, device_id, id) WHERE assignee IS NOT NULL;
