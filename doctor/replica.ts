import { parseAddress } from "../db/address.ts";
import { connect } from "../db/connect.ts";
import { readSteps, SERVICE_SERIES } from "../db/migrations.ts";
import { poolerOf } from "../db/pooler.ts";
import { problem, problemOf } from "../db/problems.ts";
import { MAX_LAG_MS } from "../db/replica.ts";
import { createLagMeter, type Lag, readReplicationState } from "../db/replica_state.ts";
import { readSchemaState, type SchemaState } from "../db/schema_state.ts";
import { delay } from "../timing.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { LocalCheck } from "./checks.ts";
import { adviceFor, note, ok, warning } from "./findings.ts";

const CHECK = "replica";
const SETTING = "DATABASE_REPLICA_URL";
const TIMEOUT_MS = 2_000;
/** A replica of a primary that writes is looked at until it has caught up, for so long, in ms. */
const CATCH_UP_MS = 1_000;
const PAUSE_MS = 100;

/** Whether DATABASE_REPLICA_URL leads to a replica that can be read. Lotline works without it. */
export const replica: LocalCheck = {
  name: CHECK,
  async run({ own, replicaUrl }) {
    if (replicaUrl === undefined) return [];
    try {
      return replicaFindings(await look(replicaUrl, own?.url));
    } catch (error) {
      const found = problemOf(error);
      if (found === undefined) throw error;
      const cause = error instanceof Error ? ` (${error.message})` : "";
      return [warning(CHECK, found.sentence + cause, adviceFor(found.todo, SETTING))];
    }
  },
};

/** What a look at the replica has found. */
export interface ReplicaLook {
  readonly isStandby: boolean;
  /** Whether it is of the primary's cluster and database; undefined: the primary can't be used. */
  readonly isSame: boolean | undefined;
  /** Undefined: the primary can't be used. */
  readonly lag: Lag | undefined;
  readonly schema: SchemaState["is"];
  readonly hasFeedback: boolean;
  readonly isPooled: boolean;
}

async function look(url: string, primaryUrl: string | undefined): Promise<ReplicaLook> {
  const sql = connect({ url, max: 1, name: "lotline-doctor" });
  const primarySql = primaryUrl === undefined
    ? undefined
    : connect({ url: primaryUrl, max: 1, name: "lotline-doctor" });
  try {
    const measure = createLagMeter();
    const until = performance.now() + CATCH_UP_MS;
    const readPrimary = async () => {
      const state = primarySql && await readReplicationState(primarySql, TIMEOUT_MS)
        .catch(() => undefined);
      return { state, at: performance.now() };
    };
    for (;;) {
      const primary = await readPrimary();
      const state = await readReplicationState(sql, TIMEOUT_MS);
      const lag = primary.state && measure(
        { position: primary.state.position, at: primary.at },
        { position: state.position, at: performance.now() },
      );
      if (lag !== undefined && lag.bytes > 0 && performance.now() < until) {
        await delay(PAUSE_MS);
        continue;
      }
      const [setting] = await sql<{ feedback: string }[]>`
        select current_setting('hot_standby_feedback') as feedback`;
      const { is } = await readSchemaState(sql, await readSteps([SERVICE_SERIES]));
      return {
        isStandby: state.isStandby,
        isSame: primary.state && primary.state.identity === state.identity,
        lag,
        schema: is,
        hasFeedback: setting?.feedback === "on",
        isPooled: (await poolerOf(parseAddress(url))).kind !== "none",
      };
    }
  } finally {
    await Promise.all([sql.end({ timeout: 1 }), primarySql?.end({ timeout: 1 })]);
  }
}

export function replicaFindings(
  { isStandby, isSame, lag, schema, hasFeedback, isPooled }: ReplicaLook,
): readonly Finding[] {
  if (isSame === false) {
    return [
      warning(
        CHECK,
        `${SETTING} leads to another cluster or database than the primary's, and is not read`,
        `name a streaming replica of the primary in ${SETTING}`,
      ),
    ];
  }
  if (!isStandby) {
    return [
      warning(
        CHECK,
        `${SETTING} leads to a server that is no standby: it was promoted, or is the primary. It is ` +
          "not read",
        `name a standby in ${SETTING}, or remove the setting`,
      ),
    ];
  }
  if (schema === "missing" || schema === "behind") {
    const { todo } = problem(schema === "missing" ? "schema_missing" : "schema_old");
    return [warning(CHECK, "The replica lacks migrations, and is not read", todo)];
  }
  if (lag !== undefined && lag.bytes > 0 && lag.ms >= CATCH_UP_MS) {
    const seconds = Math.round(lag.ms / 1_000);
    return [
      warning(
        CHECK,
        `The replica has been behind for ${seconds} s at least, by ${lag.bytes} bytes; beyond ` +
          `${MAX_LAG_MS / 1_000} s it is not read`,
        "look for a paused or slow replay: select * from pg_stat_replication on the primary",
      ),
    ];
  }
  return [
    ok(
      CHECK,
      `${SETTING} leads to a standby of the primary${isPooled ? ", through a pooler" : ""}; lag: ${
        lag === undefined ? "not known" : lag.bytes === 0 ? "none" : `${lag.bytes} bytes`
      }`,
    ),
    ...(hasFeedback ? [] : [
      note(
        CHECK,
        "The replica has hot_standby_feedback off, so that vacuum on the primary can end long reads",
        "set hot_standby_feedback = on there (docs/replica.md)",
      ),
    ]),
  ];
}
