import { RefusedError } from "../../command_line.ts";
import { readSettings } from "../../config.ts";
import type { Sql } from "../../db/sql.ts";
import { directAddress } from "../../db/direct_address.ts";
import { readJournal, SCHEMA_LOCK } from "../../db/journal.ts";
import { openSession } from "../../db/session.ts";
import { columns } from "../../terminal.ts";
import { CutoverSettings } from "../config.ts";
import { isLegacyOperation } from "../exchange/operations.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { describeMode } from "../routes/routing.ts";
import type { Command, Output } from "./command.ts";

// What `cutover/migrations/` makes. A step that makes more adds it here; a test compares the result with
// a database that never had the cutover.
const TABLES = [
  "routes",
  "kill_switch",
  "route_changes",
  "route_answers",
  "route_outcomes",
  "route_clients",
  "route_coverage",
  "evidence_collectors",
  "differences",
  "cutover_limits",
  "gateway_runs",
  "unknown_requests",
  "recorded_exchanges",
  "recordings",
  "plans",
];

const DROP = `
  drop table if exists ${TABLES.map((name) => `lotline.${name}`).join(", ")};
  drop aggregate if exists lotline.sum_counts(jsonb);
  drop function if exists lotline.add_counts(jsonb, jsonb);
  delete from lotline.migrations where series = 'cutover'`;

/** How long a table may be in use by others, in ms; after that nothing is dropped. */
const LOCK_TIMEOUT_MS = 2_000;

export const drop: Command = {
  usage: "[--yes]",
  does: "removes the cutover's tables and evidence at its end; without --yes it lists them",
  options: { yes: { type: "boolean" } },
  async run({ environment }, typed) {
    const { url } = directAddress(readSettings(CutoverSettings, environment));
    await using session = openSession(url, {
      name: "lotline-cutover",
      lockTimeoutMs: LOCK_TIMEOUT_MS,
    });
    const { sql } = session;
    // Closing the connection without a commit rolls back.
    await sql`begin`;
    const said = await dropIn(sql, typed.options.yes === true);
    await sql`commit`;
    return said;
  },
};

async function dropIn(sql: Sql, isConfirmed: boolean): Promise<Output> {
  // `migrate` and other drops hold this lock; it ends with the transaction.
  const [lock] = await sql<{ mine: boolean }[]>`
    select pg_try_advisory_xact_lock(${SCHEMA_LOCK}) as mine`;
  if (!lock?.mine) {
    throw new RefusedError("A migration of this database is running: try again when it is done");
  }
  const tables = await sql<{ name: string; size: string }[]>`
    select 'lotline.' || name as name, pg_size_pretty(pg_total_relation_size(relation)) as size
    from unnest(string_to_array(${TABLES.join(" ")}, ' ')) as name,
      to_regclass('lotline.' || name) as relation
    where relation is not null`;
  if (tables.length === 0) {
    return { text: "This database has no tables of the cutover", json: { dropped: [] } };
  }
  if ((await readJournal(sql)).isUnsplit) {
    throw new RefusedError(
      "This database was migrated by an older Lotline: run deno task migrate first",
    );
  }
  await refuseWhileInUse(sql);
  if (!isConfirmed) {
    const table = columns(["table", "size"], tables.map(({ name, size }) => [name, size]));
    throw new RefusedError(
      `${table}\nThese tables, with all evidence, recordings and the history of the routes, would be ` +
        "dropped for good. Keep the report first (deno task parity report), then add --yes. " +
        "Nothing was dropped",
    );
  }
  await sql.unsafe(DROP).simple();
  const names = tables.map(({ name }) => name);
  return {
    text:
      `${names.length} tables of the cutover were dropped. As long as the folder cutover/ exists, ` +
      "deno task migrate makes them again, empty",
    json: { dropped: names },
  };
}

/** First, every client must reach one server without a gateway in between. */
async function refuseWhileInUse(sql: Sql): Promise<void> {
  const gateways = await sql`
    select from pg_stat_activity
    where datname = current_database() and application_name like 'lotline-gateway%'`;
  if (gateways.length > 0) {
    throw new RefusedError(
      "A gateway is connected to this database. Without the tables it sends everything to the old " +
        "server: point the clients at the server that stays, and stop every gateway first",
    );
  }
  const { routes, killed } = await readRoutes(sql);
  const standing = [...routes.values()].filter(({ operation }) => isLegacyOperation(operation));
  const isOver = standing.every(({ mode }) => mode.name === "service") && killed === undefined;
  const isGivenUp = standing.every(({ mode }) => mode.name === "legacy");
  if (isOver || isGivenUp) return;
  const modes = standing.map(({ operation, mode }) => `${operation} ${describeMode(mode)}`);
  throw new RefusedError(
    `The cutover is not over: ${modes.join(", ")}${killed ? "; the kill switch is on" : ""}. ` +
      "Move every route to service, or roll every route back to legacy, first",
  );
}
