import { deepStrictEqual } from "node:assert/strict";
import { summaryOf } from "./statement_span.ts";

const SUMMARIES: [strings: string[], operation: string, table?: string][] = [
  [["select lot_code from lots where id = any($1::uuid[])"], "SELECT", "lots"],
  [["\n  insert into lots (lot_code) values (", ") returning id"], "INSERT", "lots"],
  [["with stored as (\n insert into qc_decisions (", ") select 1)"], "INSERT", "qc_decisions"],
  [
    ["with first as (select id from lotline.jobs) update lotline.jobs job set "],
    "UPDATE",
    "lotline.jobs",
  ],
  [["insert into a (b) values (", ") on conflict do update set b = 1"], "INSERT", "a"],
  [["delete from lotline.outbox where ctid = any (array("], "DELETE", "lotline.outbox"],
  [["select pg_try_advisory_lock(", ") as mine"], "SELECT"],
  [["begin"], "BEGIN"],
  [["set transaction read only"], "SET"],
  [["", ""], "STATEMENT"],
];

Deno.test("a statement is named by what it does and to which table, never by its values", () => {
  for (const [strings, operation, table] of SUMMARIES) {
    deepStrictEqual(summaryOf(strings), { operation, ...table && { table } });
  }
});
