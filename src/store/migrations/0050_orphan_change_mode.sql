-- 0: from the history or a full read of the app state. It emits no event when it is applied.
ALTER TABLE early_changes ADD COLUMN is_live INTEGER NOT NULL DEFAULT 1;
