-- Whoever writes to lot_genealogy, the old server and psql included, leaves a row in lotline.outbox.
-- Locks: share row exclusive on lot_genealogy: waits for transactions that write to it, and is held for
-- some ms, in which others wait to write. Reading goes on.
create trigger lotline_note_insert after insert on lot_genealogy
  referencing new table as new_rows
  for each statement execute function lotline.note_lot_genealogy();
create trigger lotline_note_update after update on lot_genealogy
  referencing old table as old_rows new table as new_rows
  for each statement execute function lotline.note_lot_genealogy();
create trigger lotline_note_delete after delete on lot_genealogy
  referencing old table as old_rows
  for each statement execute function lotline.note_lot_genealogy();
create trigger lotline_note_truncate after truncate on lot_genealogy
  for each statement execute function lotline.note_lot_genealogy();
