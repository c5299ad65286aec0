-- Whoever writes to lots, the old server and psql included, leaves a row in lotline.outbox.
-- Locks: share row exclusive on lots: waits for transactions that write to it, and is held for
-- some ms, in which others wait to write. Reading goes on.
create trigger lotline_note_insert after insert on lots
  referencing new table as new_rows
  for each statement execute function lotline.note_lots();
create trigger lotline_note_update after update on lots
  referencing old table as old_rows new table as new_rows
  for each statement execute function lotline.note_lots();
create trigger lotline_note_delete after delete on lots
  referencing old table as old_rows
  for each statement execute function lotline.note_lots();
create trigger lotline_note_truncate after truncate on lots
  for each statement execute function lotline.note_lots();
