-- outside a transaction; undo: drop index concurrently if exists lotline_lot_genealogy_child
-- From a lot to what it was made of.
-- Locks: share update exclusive on lot_genealogy, which reading and writing don't wait for.
create index concurrently lotline_lot_genealogy_child on lot_genealogy (child_lot_id)
