-- The workflow of device conversations: their state, and the user who answers them.

ALTER TABLE conversations ADD COLUMN state TEXT NOT NULL DEFAULT 'open';
ALTER TABLE conversations ADD COLUMN assignee INTEGER;
