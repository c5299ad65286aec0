import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { findBegun, isKeptMeanwhile, keepAnswer, keepKey, lockOf } from "./idempotency_keys.ts";

const KEY = { caller: "", key: "one", request: "ab".repeat(32) };
const EFFECT = "dddddddd-0000-4000-8000-000000000000";

Deno.test("whoever is first to keep an answer decides it for all, to the letter", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await keepKey(sql, KEY, EFFECT);
  deepStrictEqual({ ...await findBegun(sql, KEY) }, { effect: EFFECT, answer: null });
  const first = { state: "queued", b: ["é"], a: { z: 1, y: null } };
  strictEqual(JSON.stringify(await keepAnswer(sql, KEY, first)), JSON.stringify(first));
  const later: typeof first = { state: "running", b: [], a: { z: 2, y: null } };
  strictEqual(JSON.stringify(await keepAnswer(sql, KEY, later)), JSON.stringify(first));
  const { answer } = await findBegun(sql, KEY);
  strictEqual(JSON.stringify(answer), JSON.stringify(first));
});

Deno.test("a key is kept once, and of another caller once more", async () => {
  await using database = await freshDatabase();
  const { sql } = database;
  await keepKey(sql, KEY, EFFECT);
  await keepKey(sql, { ...KEY, caller: EFFECT }, EFFECT);
  await rejects(keepKey(sql, KEY, EFFECT), isKeptMeanwhile);
});

Deno.test("keys have locks of their own", () => {
  const others = [KEY, { ...KEY, key: "two" }, { ...KEY, caller: "o" }, { ...KEY, key: "" }];
  strictEqual(new Set(others.map(lockOf)).size, others.length);
  strictEqual(lockOf({ ...KEY, request: "" }), lockOf(KEY));
});
