import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { ApiError } from "../errors.ts";
import {
  findExecuted,
  findRequest,
  findSavedRow,
  lockOf,
  saveKey,
  saveResponse,
  wasStoredMeanwhile,
  withSavedKey,
} from "./idempotency_keys.ts";

const KEY = { caller: "", key: "one", request: "ab".repeat(32) };
const EFFECT = "dddddddd-0000-4000-8000-000000000000";

Deno.test("the first response stored for a key is final, byte for byte", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await saveKey(sql, KEY, EFFECT);
  deepStrictEqual({ ...await findExecuted(sql, KEY) }, { effect: EFFECT, response: null });
  const first = { state: "queued", b: ["é"], a: { z: 1, y: null } };
  strictEqual(JSON.stringify(await saveResponse(sql, KEY, first)), JSON.stringify(first));
  const later: typeof first = { state: "running", b: [], a: { z: 2, y: null } };
  strictEqual(JSON.stringify(await saveResponse(sql, KEY, later)), JSON.stringify(first));
  const { response } = await findExecuted(sql, KEY);
  strictEqual(JSON.stringify(response), JSON.stringify(first));
});

Deno.test("a key is stored once for each caller", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await saveKey(sql, KEY, EFFECT);
  await saveKey(sql, { ...KEY, caller: EFFECT }, EFFECT);
  await rejects(saveKey(sql, KEY, EFFECT), wasStoredMeanwhile);
});

Deno.test("each key has its own lock", () => {
  const others = [KEY, { ...KEY, key: "two" }, { ...KEY, caller: "o" }, { ...KEY, key: "" }];
  strictEqual(new Set(others.map(lockOf)).size, others.length);
  strictEqual(lockOf({ ...KEY, request: "" }), lockOf(KEY));
});

Deno.test("only a key that another statement has stored is in progress, no other failure is", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const failure = (statement: () => PromiseLike<unknown>): Promise<unknown> =>
    Promise.resolve(statement()).then(() => undefined, (error) => error);
  await saveKey(sql, KEY, EFFECT);
  await sql`insert into lots (lot_code) values ('A')`;
  strictEqual(wasStoredMeanwhile(await failure(() => saveKey(sql, KEY, EFFECT))), true);
  const others: [what: string, statement: () => PromiseLike<unknown>][] = [
    ["a taken lot code", () => sql`insert into lots (lot_code) values ('A')`],
    ["a missing one", () => sql`insert into lots (lot_code) values (null)`],
    ["no hex", () => saveKey(sql, { ...KEY, key: "two", request: "xy" }, EFFECT)],
    ["a time that is over", () =>
      sql.begin(async (tx) => {
        await tx`set local statement_timeout = 1`;
        await tx`select pg_sleep(60)`;
      })],
  ];
  for (const [what, statement] of others) {
    const error = await failure(statement);
    strictEqual(error instanceof Error, true, what);
    strictEqual(wasStoredMeanwhile(error), false, what);
  }
  const namesake = Object.assign(new Error("x"), { constraint_name: "idempotency_keys_pkey" });
  for (const error of [namesake, undefined, null, "x"]) {
    strictEqual(wasStoredMeanwhile(error), false);
  }
});

/** Keys that differ from {@link KEY} in one part. */
const NEIGHBOURS = [{ ...KEY, key: "two" }, { ...KEY, caller: EFFECT }];

const isInProgress = (error: unknown) =>
  error instanceof ApiError && error.code === "key_in_flight" && error.status === 409 &&
  error.headers["retry-after"] === "1";

Deno.test("a stored key belongs to its caller and to no other key", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await saveKey(sql, KEY, EFFECT);
  await saveResponse(sql, KEY, { state: "queued" });
  strictEqual(await findRequest(sql, KEY), KEY.request);
  for (const other of NEIGHBOURS) {
    strictEqual(await findRequest(sql, other), undefined);
    await rejects(findExecuted(sql, other), isInProgress);
    await rejects(findSavedRow(sql, "lots", ["lot_code"], other), isInProgress);
    // Its row is gone by now: its owner gets the response that was to be stored.
    deepStrictEqual(await saveResponse(sql, other, { state: "running" }), { state: "running" });
  }
  deepStrictEqual((await findExecuted(sql, KEY)).response, { state: "queued" });
});

Deno.test("a response is stored only with its own key", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (const key of [KEY, ...NEIGHBOURS]) await saveKey(sql, key, EFFECT);
  await saveResponse(sql, KEY, { state: "queued" });
  for (const other of NEIGHBOURS) strictEqual((await findExecuted(sql, other)).response, null);
});

Deno.test("a stored row is returned with the types of its table", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  for (const key of [KEY, ...NEIGHBOURS]) await saveKey(sql, key, EFFECT);
  await saveResponse(sql, KEY, { lot_code: "A", weight_kg: "540.00" });
  const row = await findSavedRow(sql, "lots", ["lot_code", "weight_kg"], KEY);
  deepStrictEqual({ ...row }, { lot_code: "A", weight_kg: "540.00" });
});

Deno.test("a key is stored by the statement with the effect, never by one without", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  const lot = (code: string, key?: typeof KEY) =>
    sql<{ id: string }[]>`
      with stored as (insert into lots (lot_code) values (${code}) returning id)
      ${withSavedKey(sql, key, sql`id from stored`)}
      select id from stored`;
  const [stored] = await lot("A", KEY);
  strictEqual((await findExecuted(sql, KEY)).effect, stored?.id);
  await lot("B");
  strictEqual((await sql`select from lotline.idempotency_keys`).count, 1);
  await rejects(lot("C", KEY), wasStoredMeanwhile);
  strictEqual((await sql`select from lots`).count, 2);
});
