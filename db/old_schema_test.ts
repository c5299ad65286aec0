import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { loadSeed, resetToSeed } from "../dev/seed.ts";
import { freshDatabase } from "../testing/database.ts";
import { dump, dumpChanges } from "../testing/dump.ts";
import { OLD_TABLES, oldDatabase } from "../testing/old_database.ts";
import type { Sql } from "./sql.ts";
import { migrate, MigrationError } from "./migrate.ts";

const silent = () => {};

/** What `migrate` adds to the old tables. */
const ADDITIONS = [
  "public index CREATE INDEX lotline_lot_genealogy_child ON public.lot_genealogy " +
  "USING btree (child_lot_id) valid=t ready=t clustered=f",
  "public index CREATE INDEX lotline_lot_genealogy_parent ON public.lot_genealogy " +
  "USING btree (parent_lot_id) valid=t ready=t clustered=f",
  ...triggers("DELETE", "REFERENCING OLD TABLE AS old_rows "),
  ...triggers("INSERT", "REFERENCING NEW TABLE AS new_rows "),
  ...triggers("TRUNCATE", ""),
  ...triggers("UPDATE", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows "),
];

function triggers(event: string, referencing: string): string[] {
  return ["lot_genealogy", "lots", "qc_decisions"].map((table) =>
    `public trigger CREATE TRIGGER lotline_note_${event.toLowerCase()} AFTER ${event} ` +
    `ON public.${table} ${referencing}FOR EACH STATEMENT ` +
    `EXECUTE FUNCTION lotline.note_${table}() enabled=O comment=`
  );
}

for (const major of [15, 17] as const) {
  Deno.test(`an empty database gets exactly the old server's tables (PostgreSQL ${major})`, async () => {
    await using database = await freshDatabase({ major, migrated: false });
    await migrate(database.url, silent);
    deepStrictEqual(await describeTables(database.sql), OLD_TABLES);
  });

  Deno.test(`our tables and the old server's are identical (PostgreSQL ${major})`, async () => {
    await using built = await freshDatabase({ major });
    await using old = await oldDatabase({ major });
    await migrate(old.url, silent);
    const ignoringTimes = (line: string) => !line.startsWith("lotline row");
    const changes = dumpChanges(await dump(old.sql), await dump(built.sql));
    deepStrictEqual(changes.gone.filter(ignoringTimes), []);
    deepStrictEqual(changes.added.filter(ignoringTimes), []);
  });

  Deno.test(`an old database in use is adopted unchanged, with its rows (PostgreSQL ${major})`, async () => {
    await using database = await oldDatabase({ major });
    await fill(database.sql);
    await decorate(database.sql);
    const before = await dump(database.sql);

    await migrate(database.url, silent);
    deepStrictEqual(additions(before, await dump(database.sql)), ADDITIONS);
  });
}

Deno.test("a second run changes nothing and prints nothing", async () => {
  await using database = await oldDatabase();
  await fill(database.sql);
  await migrate(database.url, silent);
  const before = await dump(database.sql);

  const lines: string[] = [];
  await migrate(database.url, (line) => lines.push(line));
  deepStrictEqual(lines, []);
  deepStrictEqual(dumpChanges(before, await dump(database.sql)), { gone: [], added: [] });
});

Deno.test("an old database with uuid-ossp in a separate schema is adopted", async () => {
  await using database = await oldDatabase({ extensionSchema: "extensions" });
  await fill(database.sql);
  const before = await dump(database.sql);
  await migrate(database.url, silent);
  deepStrictEqual(additions(before, await dump(database.sql)), ADDITIONS);
});

Deno.test("a user without rights to make extensions or to write in schema auth can adopt", async () => {
  await using role = await temporaryRole();
  await using database = await oldDatabase({ extensionSchema: "extensions" });
  const { sql } = database;
  await fill(sql);
  await sql`grant create on database ${sql(new URL(database.url).pathname.slice(1))}
    to ${sql(role.name)}`;
  await sql`grant usage, create on schema public to ${sql(role.name)}`;
  for (const table of Object.keys(OLD_TABLES).filter((name) => !name.startsWith("auth."))) {
    await sql`alter table ${sql(table)} owner to ${sql(role.name)}`;
  }
  const before = await dump(sql);

  const url = new URL(database.url);
  url.username = role.name;
  await migrate(url.href, silent);
  deepStrictEqual(additions(before, await dump(sql)), ADDITIONS);
});

Deno.test("a database that isn't the old server's is refused, each difference named, and stays unchanged", async () => {
  await using database = await oldDatabase();
  const { sql } = database;
  await fill(sql);
  await sql`alter table lots drop column metadata`;
  await sql`alter table lots alter column weight_kg type numeric(60, 2)`;
  await sql`alter table lots add column supplier text`;
  await sql`alter table users alter column last_login type timestamp`;
  await sql`alter table qc_decisions add column photo bytea`;
  await sql`alter table lot_genealogy drop column linked_at`;
  const before = await dump(sql);

  await rejects(migrate(database.url, silent), (error) => {
    strictEqual(error instanceof MigrationError, true);
    deepStrictEqual(String(error).split("\n").slice(1).map((line) => line.trim()), [
      "users.last_login is timestamp without time zone and not timestamptz",
      "lots.weight_kg is numeric(60,2) and not numeric",
      "lots has no column metadata",
      "lots has an unknown column supplier",
      "qc_decisions has an unknown column photo",
      "lot_genealogy has no column linked_at",
    ]);
    return true;
  });
  deepStrictEqual(dumpChanges(before, await dump(sql)), { gone: [], added: [] });
});

Deno.test("an additional column that no response shows is accepted", async () => {
  await using database = await oldDatabase();
  await database.sql`alter table lot_genealogy add column remark text`;
  await database.sql`alter table phases add column remark text`;
  const before = await dump(database.sql);
  await migrate(database.url, silent);
  deepStrictEqual(additions(before, await dump(database.sql)), ADDITIONS);
});

/** What is new outside schema lotline; throws when an object or the schema is missing. */
function additions(before: readonly string[], after: readonly string[]): string[] {
  const { gone, added } = dumpChanges(before, after);
  deepStrictEqual(gone, []);
  strictEqual(added.some((line) => line.startsWith("lotline schema ")), true);
  return added.filter((line) => !line.startsWith("lotline "));
}

/** The seed rows and some thousand more, unusual values among them. */
async function fill(sql: Sql): Promise<void> {
  await resetToSeed(sql, await loadSeed());
  await sql`insert into lots (lot_code, lot_type, weight_kg, metadata, created_at)
    select 'MANY-' || n, case when n % 7 = 0 then null else 'RAW' end,
      case when n % 9 = 0 then 'NaN' else (n / 8.0)::numeric end,
      case when n % 5 = 0 then null else jsonb_build_object('n', n) end,
      case when n % 11 = 0 then null else timestamptz '-infinity' end
    from generate_series(1, 2000) n`;
  // Some links have one side only, some lots are linked twice, some are their own parent.
  await sql`insert into lot_genealogy (parent_lot_id, child_lot_id, quantity_used_kg)
    select case when row % 13 > 0 then id end, case when row % 17 > 0 then lag end, row / 3.0
    from (select id, lag(id, length(lot_code) % 3) over (order by id) as lag,
      row_number() over () as row from lots) pairs, generate_series(1, 2)`;
}

/** What a plant may have added around the old tables. */
async function decorate(sql: Sql): Promise<void> {
  await sql`comment on column lots.weight_kg is 'kilograms, as weighed'`;
  await sql`create view heavy_lots as select * from lots where weight_kg > 100`;
  await sql`create index plant_decided on qc_decisions (decided_at desc)`;
  await sql`create function plant_log() returns trigger language plpgsql as 'begin return new; end'`;
  await sql`create trigger plant_log after insert on lots for each row execute function plant_log()`;
  await sql`alter table lots disable trigger plant_log`;
  await sql`grant select on lots, lot_genealogy to public`;
  await sql`alter table scenarios enable row level security`;
  await sql`create policy plant_reads on scenarios for select using (is_active)`;
}

/** All tables of the database except ours, in the form of {@link OLD_TABLES}. */
async function describeTables(sql: Sql): Promise<typeof OLD_TABLES> {
  const columns = await sql<{ table: string; line: string }[]>`
    select attrelid::regclass::text as table, concat_ws(' ', attname,
      format_type(atttypid, atttypmod), 'default ' || pg_get_expr(adbin, adrelid),
      case when attnotnull then 'not null' end) as line
    from pg_attribute
    join pg_class on pg_class.oid = attrelid
    left join pg_attrdef on adrelid = attrelid and adnum = attnum
    where relnamespace in ('public'::regnamespace, 'auth'::regnamespace)
      and relkind not in ('i', 'I') and attnum > 0
    order by attnum`;
  const constraints = await sql<{ table: string; line: string }[]>`
    select conrelid::regclass::text as table, conname || ' ' || pg_get_constraintdef(oid) as line
    from pg_constraint
    where connamespace in ('public'::regnamespace, 'auth'::regnamespace)
    order by conname collate "C"`;
  const linesOf = (rows: { table: string; line: string }[], table: string) =>
    rows.filter((row) => row.table === table).map((row) => row.line);
  return Object.fromEntries(
    [...new Set(columns.map(({ table }) => table))].map((table) => [table, {
      columns: linesOf(columns, table),
      constraints: linesOf(constraints, table),
    }]),
  );
}

/** A role without rights; to be disposed after the database in which it owns something. */
async function temporaryRole(): Promise<{ name: string } & AsyncDisposable> {
  await using database = await freshDatabase({ major: 15, migrated: false });
  const name = `role_${crypto.randomUUID().replaceAll("-", "")}`;
  await database.sql`create role ${database.sql(name)} login`;
  return {
    name,
    [Symbol.asyncDispose]: async () => {
      await using database = await freshDatabase({ major: 15, migrated: false });
      await database.sql`drop role ${database.sql(name)}`;
    },
  };
}
