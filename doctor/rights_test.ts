import { deepStrictEqual } from "node:assert/strict";
import { applyGrants } from "../db/grants.ts";
import { API_RIGHTS, WORKER_RIGHTS } from "../db/rights.ts";
import { freshDatabase } from "../testing/database.ts";
import { runChecks } from "./run_checks.ts";

for (
  const [role, rights, settings, revoked, lacking] of [
    [
      "lotline_api",
      API_RIGHTS,
      { AUTH_MODE: "legacy" },
      ["insert on lots", "update (last_login) on users", "usage on schema auth"],
      "the API needs: usage on schema auth, insert on public.lots, " +
      "update (last_login) on public.users",
    ],
    [
      "lotline_worker",
      WORKER_RIGHTS,
      {},
      ["delete on lotline.processes", "select on lotline.lost_changes"],
      "the worker needs: delete on lotline.processes, select on lotline.lost_changes",
    ],
  ] as const
) {
  Deno.test(`the grants of ${role} are enough, and each that lacks is named`, async () => {
    await using database = await freshDatabase();
    const { sql, url } = database;
    const name = `${role}_${crypto.randomUUID().slice(0, 8)}`;
    await applyGrants(url, [{ name, owner: role, rights }]);
    try {
      const { href } = Object.assign(new URL(url), { username: name });
      const found = async () => {
        const findings = await runChecks({ DATABASE_URL: href, ...settings });
        return findings.filter(({ check }) => check === "rights")
          .map(({ level, message }) => [level, message]);
      };
      const program = role === "lotline_api" ? "the API" : "the worker";
      deepStrictEqual(await found(), [["ok", `The database's user has ${program}'s rights`]]);
      for (const right of revoked) await sql.unsafe(`revoke ${right} from ${name}`);
      deepStrictEqual(await found(), [
        ["failure", `The database's user lacks rights that ${lacking}`],
      ]);
    } finally {
      await sql.unsafe(`drop owned by ${name}; drop role ${name}`).simple();
    }
  });
}

Deno.test("what the user may not read is a note", async () => {
  await using database = await freshDatabase();
  const { sql, url } = database;
  const name = `reader_${crypto.randomUUID().slice(0, 8)}`;
  await sql.unsafe(`create role ${name} login; grant usage on schema lotline to ${name}`).simple();
  try {
    const { href } = Object.assign(new URL(url), { username: name });
    const findings = await runChecks({ DATABASE_URL: href });
    for (const check of ["schedule", "jobs", "outbox"]) {
      const [finding] = findings.filter((one) => one.check === check);
      deepStrictEqual([finding?.level, finding?.message], [
        "note",
        "Not checked: the database's user may not read it",
      ]);
    }
  } finally {
    await sql.unsafe(`drop owned by ${name}; drop role ${name}`).simple();
  }
});
