import { RefusedError } from "../../command_line.ts";
import { readSettings } from "../../config.ts";
import type { Sql } from "../../db/sql.ts";
import { openSession } from "../../db/session.ts";
import { columns } from "../../terminal.ts";
import { CutoverSettings } from "../config.ts";
import {
  dropTables,
  isGatewayConnected,
  isJournalSplit,
  listTables,
  lockSchema,
  type StoredTable,
} from "../drop_tables.ts";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import { readRoutes } from "../routes/routes_table.ts";
import { describeMode } from "../routes/routing.ts";
import type { Command, Output } from "./command.ts";

/** What has a table in use gives it up within so many ms, or nothing is dropped. */
const LOCK_TIMEOUT_MS = 2_000;

/** `deno task cutover drop` */
export const drop: Command = {
  usage: "[--yes]",
  does: "removes the cutover's tables and evidence when it is over; without --yes it lists them",
  options: { yes: { type: "boolean" } },
  async run({ environment }, typed) {
    const { DATABASE_URL } = readSettings(CutoverSettings, environment);
    await using session = openSession(DATABASE_URL, {
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
  if (!await lockSchema(sql)) {
    throw new RefusedError("A migration of this database is running: try again when it is done");
  }
  const tables = await listTables(sql);
  if (tables.length === 0) {
    return { text: "This database has no tables of the cutover", json: { dropped: [] } };
  }
  if (!await isJournalSplit(sql)) {
    throw new RefusedError(
      "This database was migrated by an older Lotline: run deno task migrate first",
    );
  }
  await refuseWhileInUse(sql);
  if (!isConfirmed) throw new RefusedError(announcement(tables));
  await dropTables(sql);
  const names = tables.map(({ name }) => name);
  return {
    text:
      `${names.length} tables of the cutover were dropped. deno task migrate makes them again, ` +
      "empty, for as long as the folder cutover/ is there",
    json: { dropped: names },
  };
}

/** Each client must be answered by one server, without a gateway in between. */
async function refuseWhileInUse(sql: Sql): Promise<void> {
  if (await isGatewayConnected(sql)) {
    throw new RefusedError(
      "A gateway is connected to this database. Without the tables it sends everything to the old " +
        "server: point the clients at the server that stays, and stop every gateway first",
    );
  }
  const { routes, killed } = await readRoutes(sql);
  const modes = LEGACY_OPERATIONS.map((operation) => routes.get(operation)?.mode)
    .map((mode) => mode === undefined ? "legacy" : describeMode(mode));
  const isOver = modes.every((mode) => mode === "service") && killed === undefined;
  const isGivenUp = modes.every((mode) => mode === "legacy");
  if (isOver || isGivenUp) return;
  const standing = LEGACY_OPERATIONS.map((operation, index) => `${operation} ${modes[index]}`);
  throw new RefusedError(
    `The cutover is not over: ${standing.join(", ")}${killed ? "; the kill switch is on" : ""}. ` +
      "Move every route to service, or roll every route back to legacy, first",
  );
}

function announcement(tables: readonly StoredTable[]): string {
  const table = columns(["table", "size"], tables.map(({ name, size }) => [name, size]));
  return `${table}\nThese tables, with all evidence, recordings and the history of the routes, would ` +
    "be dropped for good. Keep the report first (deno task parity report), then add --yes. " +
    "Nothing was dropped";
}
