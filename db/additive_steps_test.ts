import { deepStrictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { ALL_SERIES, readSteps, titleOf } from "./migrations.ts";
import type { Sql } from "./sql.ts";

/*
 * During an update the last version works on the schema of this one (docs/upgrading.md). So a step takes
 * away nothing that was there before it, and demands no more of a row.
 */

/** What may go or be demanded all the same, since the last release doesn't use it, or complies already. */
const CONTRACTIONS: readonly string[] = [];

const OURS = `
  with tables as (
    select pg_class.oid, relkind, format('%s.%s', nspname, relname) as name
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where relkind in ('r', 'p', 'v', 'S') and nspname !~ '^pg_' and nspname <> 'information_schema'
  ), columns as (
    select name, attname, format_type(atttypid, atttypmod) as type, attnotnull as "notNull",
      atthasdef or attidentity <> '' as "hasDefault"
    from tables join pg_attribute on attrelid = tables.oid
    where attnum > 0 and not attisdropped and relkind <> 'S'
  )`;

/** What statements of an earlier version use, a sentence each. */
async function listOffers(sql: Sql): Promise<Set<string>> {
  const rows = await sql.unsafe<{ offer: string }[]>(`${OURS}
    select name || ' exists' as offer from tables
    union all
    select format('%s.%s is %s', name, attname, type) from columns
    union all
    select format('%s.%s may be null', name, attname) from columns where not "notNull"
    union all
    select format('%s.%s has a default', name, attname) from columns where "hasDefault"
    union all
    select format('%s returns %s', pg_proc.oid::regprocedure, pg_get_function_result(pg_proc.oid))
    from pg_proc join pg_namespace on pg_namespace.oid = pronamespace where nspname = 'lotline'
    union all
    -- "on conflict" names its columns.
    select format('%s is unique by %s', name,
      regexp_replace(pg_get_indexdef(indexrelid), '^.* USING ', ''))
    from tables join pg_index on indrelid = tables.oid where indisunique`);
  return new Set(rows.map(({ offer }) => offer));
}

interface Demand {
  readonly table: string;
  readonly columns: readonly string[];
  readonly text: string;
}

/** What a new row must comply with. */
async function listDemands(sql: Sql): Promise<readonly Demand[]> {
  return await sql.unsafe<Demand[]>(`${OURS}
    select name as table, json_build_array(attname) as columns, attname || ' must be given' as text
    from columns where "notNull" and not "hasDefault"
    union all
    select name, (
      select json_agg(attname) from pg_attribute where attrelid = conrelid and attnum = any (conkey)
    ), pg_get_constraintdef(pg_constraint.oid)
    from tables join pg_constraint on conrelid = tables.oid where contype in ('c', 'f', 'x')
    union all
    select name, (
      select json_agg(attname) from pg_attribute where attrelid = indrelid and attnum = any (indkey)
    ), pg_get_indexdef(indexrelid)
    from tables join pg_index on indrelid = tables.oid where indisunique`);
}

/** Applies steps one after the other; returns what each has broken for the code of the step before. */
async function applyAll(
  sql: Sql,
  steps: readonly { readonly title: string; readonly statements: string }[],
): Promise<string[]> {
  const faults: string[] = [];
  let offers = await listOffers(sql);
  let demands = await listDemands(sql);
  for (const { title, statements } of steps) {
    await sql.unsafe(statements).simple();
    const [offersNow, demandsNow] = [await listOffers(sql), await listDemands(sql)];
    for (const gone of offers.difference(offersNow)) faults.push(`${title} ends: ${gone}`);
    const known = new Set(demands.map(({ table, text }) => `${table} ${text}`));
    const isOld = (table: string, column: string) =>
      [...offers].some((offer) => offer.startsWith(`${table}.${column} is `));
    for (const { table, columns, text } of demandsNow) {
      if (known.has(`${table} ${text}`) || !offers.has(`${table} exists`)) continue;
      // A bound on a new column, which earlier versions leave out.
      const isOfNew = !columns.every((column) => isOld(table, column));
      if (isOfNew && !text.endsWith("must be given")) continue;
      faults.push(`${title} demands of ${table}: ${text}`);
    }
    [offers, demands] = [offersNow, demandsNow];
  }
  return faults;
}

Deno.test("no migration takes away what an earlier version uses, or demands more of its rows", async () => {
  await using database = await freshDatabase({ migrated: false });
  // The journal's.
  await database.sql`create schema lotline`;
  const steps = await readSteps(ALL_SERIES);
  const faults = await applyAll(
    database.sql,
    steps.map((step) => ({ title: titleOf(step), statements: step.statements })),
  );
  deepStrictEqual(faults, CONTRACTIONS);
});

const BASE = `
  create schema lotline;
  create table lotline.t (id int primary key, kind text not null default 'a', note text);
  create function lotline.f(a int) returns int language sql as 'select 1'`;
const BREAKING: readonly [statement: string, fault: string][] = [
  ["drop table lotline.t", "step ends: lotline.t exists"],
  ["alter table lotline.t rename to u", "step ends: lotline.t exists"],
  ["alter table lotline.t drop column note", "step ends: lotline.t.note is text"],
  ["alter table lotline.t rename note to n", "step ends: lotline.t.note is text"],
  ["alter table lotline.t alter id type bigint", "step ends: lotline.t.id is integer"],
  ["alter table lotline.t alter note set not null", "step ends: lotline.t.note may be null"],
  ["alter table lotline.t alter kind drop default", "step ends: lotline.t.kind has a default"],
  [
    "alter table lotline.t add column more int not null",
    "step demands of lotline.t: more must be given",
  ],
  [
    "alter table lotline.t add check (kind in ('a', 'b'))",
    "step demands of lotline.t: CHECK ((kind = ANY (ARRAY['a'::text, 'b'::text])))",
  ],
  [
    "create unique index t_note on lotline.t (note)",
    "step demands of lotline.t: CREATE UNIQUE INDEX t_note ON lotline.t USING btree (note)",
  ],
  [
    "drop function lotline.f; create function lotline.f(a int, b int) returns int language sql as 'select 1'",
    "step ends: lotline.f(integer) returns integer",
  ],
  ["alter table lotline.t drop constraint t_pkey", "step ends: lotline.t is unique by btree (id)"],
];

const { sql, ...database } = await freshDatabase({ migrated: false });
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** The faults of a step behind {@link BASE}. */
async function applyOnBase(statements: string): Promise<string[]> {
  const faults = await applyAll(sql, [
    { title: "base", statements: BASE },
    { title: "step", statements },
  ]);
  await sql.unsafe("drop schema lotline cascade");
  return faults;
}

for (const [statement, fault] of BREAKING) {
  Deno.test(`a step with "${statement.slice(0, 60)}" is noticed`, async () => {
    const faults = await applyOnBase(statement);
    deepStrictEqual(faults.filter((one) => one === fault), [fault], faults.join("; "));
  });
}

Deno.test("a step may add tables, columns with a default or null, and bounds on them", async () => {
  const faults = await applyOnBase(`
    create table lotline.u (id int not null unique check (id > 0));
    alter table lotline.t add column one int not null default 1 check (one > 0), add column two text;
    create index on lotline.t (note);
    alter table lotline.t alter note set default 'x';
    create or replace function lotline.f(a int) returns int language sql as 'select 2'`);
  deepStrictEqual(faults, []);
});
