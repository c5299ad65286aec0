-- outside a transaction; undo: drop index concurrently if exists lotline_lot_genealogy_parent
-- From a lot to what was made of it. The old schema has no index on its links, so each trace read
-- all of them.
-- Locks: share update exclusive on lot_genealogy, which reading and writing don't wait for.
create index concurrently lotline_lot_genealogy_parent on lot_genealogy (parent_lot_id)
