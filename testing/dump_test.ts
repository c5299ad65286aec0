import { deepStrictEqual, notDeepStrictEqual } from "node:assert/strict";
import { dump, dumpChanges } from "./dump.ts";
import { oldDatabase } from "./old_database.ts";

const CHANGES = [
  "update lots set lot_code = lot_code",
  "insert into scenarios (name, version) values ('{}', '1')",
  "alter table lots alter weight_kg set default 0",
  "alter table users alter email drop not null",
  "alter table users alter full_name type varchar(80)",
  "alter table streams rename color to colour",
  "alter table lots add column supplier text",
  "alter table lots drop constraint lots_lot_type_check",
  "alter table lots rename constraint lots_phase_id_fkey to fk",
  "alter table lots set (fillfactor = 80)",
  "alter table lots alter metadata set storage external",
  "alter table lots enable row level security",
  "create index on lots (created_at)",
  "create view v as select 1",
  "create function f() returns trigger language plpgsql as 'begin return new; end'",
  "create trigger t after insert on lots for each row execute function f()",
  "alter table lots disable trigger t",
  "comment on table lots is 'of meat'",
  "comment on column lots.id is 'id'",
  "grant select on lots to public",
  "alter schema auth owner to pg_monitor",
  "alter table lots owner to pg_monitor",
  "drop table qc_decisions",
  "create sequence s",
  "select nextval('s')",
  "create type mood as enum ('ok')",
  "create policy p on lots",
  'alter extension "uuid-ossp" set schema auth',
];

Deno.test("a dump shows each kind of change, and is the same without a change", async () => {
  await using database = await oldDatabase();
  const { sql } = database;
  await sql`insert into lots (lot_code) values ('RAW-1')`;
  let before = await dump(sql);
  deepStrictEqual(await dump(sql), before);
  for (const change of CHANGES) {
    await sql.unsafe(change);
    const after = await dump(sql);
    notDeepStrictEqual(dumpChanges(before, after), { gone: [], added: [] }, change);
    before = after;
  }
});
