import { deepStrictEqual } from "node:assert/strict";
import type { LockHolder } from "../db/lock_holders.ts";
import { lockFindings } from "./locks.ts";

const holder = (application: string, change: Partial<LockHolder> = {}): LockHolder => ({
  pid: 4711,
  application,
  user: "plant",
  client: "10.0.0.7",
  connectedAt: "10:05",
  transactionAt: null,
  idleAt: null,
  silentS: 1,
  ...change,
});
const NONE = { waits: [], idle: [], prepared: [], schema: undefined, relay: undefined };
const SHOWN = "connection 4711";

for (
  const [what, locks, expected] of [
    ["none", {}, [["ok", "No lock is left over or waited for"]]],
    ["a relay's", { relay: holder("lotline-relay/plant") }, [
      ["ok", "No lock is left over or waited for"],
    ]],
    ["the relay's lock elsewhere", { relay: holder("psql") }, [
      [
        "warning",
        `No worker can relay changes: ${SHOWN} (psql, plant@10.0.0.7, connected since ` +
        "10:05) has the lock",
      ],
    ]],
    ["a migration that runs", { schema: holder("lotline-migrate") }, [
      [
        "note",
        `A migration runs: ${SHOWN} (lotline-migrate, plant@10.0.0.7, connected since 10:05)`,
      ],
    ]],
    ["a migration that was left", {
      schema: holder("lotline-migrate", { idleAt: "10:06", silentS: 61 }),
    }, [
      [
        "warning",
        `Each migration waits: ${SHOWN} (lotline-migrate, plant@10.0.0.7, connected ` +
        "since 10:05, idle since 10:06) has their lock",
      ],
    ]],
    ["an idle transaction", { idle: [{ pid: 12, application: "psql", seconds: 90.4 }] }, [
      ["warning", "Connection 12 (psql) has an open transaction and has been idle for 90 s"],
    ]],
    ["a prepared transaction", { prepared: [{ gid: "x", seconds: 120 }] }, [
      ["warning", "The prepared transaction x has kept its locks for 120 s"],
    ]],
    ["a wait for a prepared transaction", {
      waits: [{ pid: 12, application: "psql", seconds: 3, blockers: [holder("", { pid: 0 })] }],
    }, [
      [
        "warning",
        "Connection 12 (psql) has waited 3 s for a prepared transaction " +
        "(pg_prepared_xacts lists them)",
      ],
    ]],
    ["a wait that has ended", {
      waits: [{ pid: 12, application: "psql", seconds: 3, blockers: [] }],
    }, [["ok", "No lock is left over or waited for"]]],
  ] as const
) {
  Deno.test(`locks: ${what}`, () => {
    deepStrictEqual(
      lockFindings({ ...NONE, ...locks }).map(({ level, message }) => [level, message]),
      expected,
    );
  });
}
