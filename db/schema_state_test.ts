import { deepStrictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { connect } from "./connect.ts";
import { CUTOVER_SERIES, readSteps, SERVICE_SERIES } from "./migrations.ts";
import { compareSteps, readSchemaState, type SchemaState } from "./schema_state.ts";

/** Steps by their names, such as `service/0001_a`. */
const steps = (titles: string) =>
  titles.split(" ").filter((title) => title !== "").map((title) => {
    const [series = "", name = ""] = title.split("/");
    return { series, name };
  });

const CASES: readonly [known: string, applied: string, state: SchemaState][] = [
  ["service/0001_a", "service/0001_a", { is: "current" }],
  ["service/0001_a", "service/0001_a cutover/0001_c", { is: "current" }],
  ["service/0001_a", "", { is: "missing" }],
  ["service/0001_a service/0002_b", "service/0001_a", { is: "behind", steps: ["0002_b"] }],
  ["cutover/0001_c", "service/0001_a", { is: "behind", steps: ["cutover/0001_c"] }],
  ["service/0001_a", "service/0001_a service/0002_b", { is: "ahead", steps: ["0002_b"] }],
  // Another branch of the code: what this one lacks counts more.
  [
    "service/0001_a service/0002_b",
    "service/0001_a service/0002_other",
    { is: "behind", steps: ["0002_b"] },
  ],
];

for (const [known, applied, state] of CASES) {
  Deno.test(`code with ${known} on a database with ${applied || "no steps"} is ${state.is}`, () => {
    deepStrictEqual(compareSteps(steps(known), steps(applied)), state);
  });
}

Deno.test("a migrated database is current for each series, an empty one lacks all", async () => {
  await using migrated = await freshDatabase();
  await using empty = await freshDatabase({ migrated: false });
  for (const series of [SERVICE_SERIES, CUTOVER_SERIES]) {
    const known = await readSteps([series]);
    deepStrictEqual(await readSchemaState(migrated.sql, known), { is: "current" });
    deepStrictEqual(await readSchemaState(empty.sql, known), { is: "missing" });
  }
});

Deno.test("the journal is readable with the right to use its schema, and unreadable without it", async () => {
  await using database = await freshDatabase();
  const known = await readSteps([SERVICE_SERIES]);
  // Roles belong to the whole server, which other tests use too.
  const role = `lotline_reader_${crypto.randomUUID().slice(0, 8)}`;
  await database.sql.unsafe(`create role ${role} login`);
  const url = Object.assign(new URL(database.url), { username: role }).href;
  const sql = connect({ url, max: 1 });
  try {
    deepStrictEqual(await readSchemaState(sql, known), { is: "forbidden" });
    await database.sql.unsafe(`grant usage on schema lotline to ${role}`);
    deepStrictEqual(await readSchemaState(sql, known), { is: "current" });
    await database.sql`revoke select on lotline.migrations from public`;
    deepStrictEqual(await readSchemaState(sql, known), { is: "unreadable" });
  } finally {
    await sql.end({ timeout: 1 });
    await database.sql.unsafe(`drop owned by ${role}; drop role ${role}`).simple();
  }
});
