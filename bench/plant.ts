/**
 * The benchmark's database server, with one copy of the demo plant for each contender.
 *
 * @module
 */

import { join } from "node:path";
import { connect } from "../db/connect.ts";
import type { Sql } from "../db/sql.ts";
import { migrate } from "../db/migrate.ts";
import { fillDemoPlant } from "../dev/demo_plant.ts";
import { startPostgres } from "../dev/postgres.ts";

/** Rows that every contender's database has; the requests name them. */
export interface Plant {
  readonly lotCodes: readonly string[];
  readonly lotIds: readonly string[];
  readonly emails: readonly string[];
  readonly gateIds: readonly string[];
  readonly runIds: readonly string[];
  readonly phaseIds: readonly string[];
  readonly userIds: readonly string[];
}

/** A PostgreSQL 17 with its default settings, durability included. Disposing stops it. */
export interface PlantServer extends AsyncDisposable {
  readonly pid: number;
  readonly plant: Plant;
  /** Makes a database as a copy of the filled one; returns its address. */
  copy(name: string): Promise<string>;
  /** Writes pending data to disk, so that no run pays for the writes of the one before. */
  checkpoint(): Promise<void>;
}

const TEMPLATE = "plant";
// A checkpoint after a run with many writes is slow on a slow disk.
const MAX_MS = 120_000;

/** Starts the server and fills the database that the others are copied from. */
export async function startPlant(folder: string): Promise<PlantServer> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startPostgres({ major: 17, dataDir: join(folder, "postgres") }));
  const admin = stack.adopt(open(server.url), close);
  await admin`create database ${admin(TEMPLATE)}`;
  const template = addressOf(server.url, TEMPLATE);
  await migrate(template, () => {});
  const plant = await fill(template);
  const parts = stack.move();
  return {
    pid: server.pid,
    plant,
    async copy(name) {
      await admin`create database ${admin(name)} template ${admin(TEMPLATE)}`;
      return addressOf(server.url, name);
    },
    async checkpoint() {
      await admin`checkpoint`;
    },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

/** Counts the rows of a table. */
export async function countRows(databaseUrl: string, table: string): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const sql = stack.adopt(open(databaseUrl), close);
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from ${sql(table)}`;
  return row?.count ?? 0;
}

/** Renames all lots to whole numbers from 1, which pgbench can generate; returns the greatest. */
export async function numberLots(databaseUrl: string): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const sql = stack.adopt(open(databaseUrl), close);
  // Without the triggers, so that nothing is relayed.
  await sql.begin(async (sql) => {
    await sql`set local session_replication_role = replica`;
    await sql`
      update lots set lot_code = number
      from (select id, row_number() over (order by lot_code) as number from lots) numbered
      where numbered.id = lots.id`;
  });
  await sql`vacuum (full, analyze) lots`;
  return await countRows(databaseUrl, "lots");
}

async function fill(databaseUrl: string): Promise<Plant> {
  await using stack = new AsyncDisposableStack();
  const sql = stack.adopt(open(databaseUrl), close);
  // A fixed moment: every run of the benchmark has the same rows.
  await fillDemoPlant(sql, new Date("2026-03-01T18:00:00Z"));
  await sql`vacuum analyze`;
  const column = async (table: string, name: string) => {
    const rows = await sql<{ value: string }[]>`
      select ${sql(name)} as value from ${sql(table)} order by 1`;
    return rows.map(({ value }) => value);
  };
  return {
    lotCodes: await column("lots", "lot_code"),
    lotIds: await column("lots", "id"),
    emails: await column("users", "email"),
    gateIds: await column("qc_gates", "id"),
    runIds: await column("production_runs", "id"),
    phaseIds: await column("phases", "id"),
    userIds: await column("users", "id"),
  };
}

function open(url: string): Sql {
  return connect({ url, max: 1, statementTimeoutMs: MAX_MS, name: "lotline-bench" });
}

function close(sql: Sql): Promise<void> {
  return sql.end({ timeout: 1 });
}

function addressOf(serverUrl: string, database: string): string {
  return Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href;
}
