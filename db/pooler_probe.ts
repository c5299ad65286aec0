import postgres from "postgres";
import { withDeadline } from "../timing.ts";
import type { Address } from "./address.ts";
import { LinkError } from "./link_error.ts";
import { kindOf } from "./problems.ts";
import {
  pooledParameters,
  type SessionOptions,
  settingsOf,
  type StartupParameters,
  startupParameters,
} from "./session_settings.ts";
import type { Sql } from "./sql.ts";
import { Opener } from "./startup.ts";

/**
 * What stands between this process and PostgreSQL. `transaction`: each transaction may get another of
 * PostgreSQL's connections.
 */
export type Pooler =
  | { readonly kind: "none" }
  /** `prepared`: it keeps prepared statements for each of its clients. */
  | { readonly kind: "transaction"; readonly prepared: boolean };

/** A timeout that no server has by itself. */
const TIMEOUT_MS = 4_973;
const SESSION: SessionOptions = { name: "lotline-probe", statementTimeoutMs: TIMEOUT_MS };
const CONNECT_TIMEOUT_MS = 2_000;
/** For the statements of one connection. */
const RESPONSE_TIMEOUT_MS = 2_000;
const END_TIMEOUT_S = 1;

interface Connection {
  readonly sql: Sql;
  /** Whether the server says itself that it is PgBouncer. */
  readonly isPgBouncer: () => boolean;
}

/** @throws as a statement does when no connection can be made */
export async function probePooler(address: Address): Promise<Pooler> {
  if (address.pooler === "auto" && !await isPooled(address)) return { kind: "none" };
  const prepared = await onConnection(
    address,
    pooledParameters(address, SESSION),
    ({ sql }) => keepsPrepared(sql),
  );
  return { kind: "transaction", prepared };
}

/** A pooler refuses or ignores the settings of a session. */
async function isPooled(address: Address): Promise<boolean> {
  try {
    return await onConnection(
      address,
      startupParameters(address, SESSION),
      async ({ sql, isPgBouncer }) => {
        const [row] = await sql.unsafe(
          "select extract(epoch from current_setting('statement_timeout')::interval) * 1000 as ms",
        );
        return isPgBouncer() || Number(row?.ms) !== TIMEOUT_MS;
      },
    );
  } catch (error) {
    if (kindOf(error) === "pooler_parameter") return true;
    throw error;
  }
}

/**
 * Whether each client has prepared statements of its own: the pooler then names them itself. Otherwise
 * a client meets those that others have left on a connection, or none.
 */
async function keepsPrepared(sql: Sql): Promise<boolean> {
  await sql.unsafe("begin");
  // Its parameter is described before it runs. A pooler that drops the protocol's Flush, as PgCat does,
  // fails here; otherwise no statement's start would be noticed.
  const text = "select $1::int as lotline_probe";
  const { statement } = await sql.unsafe(text, [1], { prepare: true });
  const { name } = statement as unknown as { readonly name: string };
  const rows = await sql.unsafe(
    `select name from pg_catalog.pg_prepared_statements where statement = '${text}'`,
  );
  const isShared = rows.some((row) => row.name === name);
  if (isShared) await sql.unsafe(`deallocate "${name}"`);
  await sql.unsafe("commit");
  return !isShared && rows.length > 0;
}

async function onConnection<T>(
  address: Address,
  parameters: StartupParameters,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  let isPgBouncer = false;
  const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = address;
  const opener = new Opener(address, {
    timeoutMs: connectTimeoutMs,
    isReadOnly: false,
    onReady: (_socket, reported) => {
      isPgBouncer = reported.has("pgbouncer.version");
    },
    lost: () => new LinkError("unreachable", "the connection is lost"),
  });
  const sql: Sql = postgres({
    ...settingsOf(address, parameters, opener.open),
    max: 1,
    max_lifetime: null,
  });
  const timeoutMs = connectTimeoutMs * address.hosts.length + RESPONSE_TIMEOUT_MS;
  try {
    return await withDeadline(work({ sql, isPgBouncer: () => isPgBouncer }), timeoutMs, () => {
      throw new LinkError("silent", `nothing from PostgreSQL in ${timeoutMs} ms`);
    });
  } finally {
    await sql.end({ timeout: END_TIMEOUT_S });
    opener.close();
  }
}
