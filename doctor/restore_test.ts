import { deepStrictEqual } from "node:assert/strict";
import { about } from "../testing/doctor.ts";
import { restoreFindings } from "./restore.ts";

const KNOWN = { isOther: false, restoredAt: null, isSettled: true, version: "" };
const AT = "2026-03-04 11:59 UTC";

const seen = (restore: Partial<Parameters<typeof restoreFindings>[0]>) =>
  about("restore", restoreFindings({ known: KNOWN, isEarlier: false, lost: [], ...restore }));

Deno.test("a restore is a warning until it is settled", () => {
  const todo = "follow docs/backups.md, then run deno task restored";
  deepStrictEqual(seen({}), ["ok", "No restore was noticed"]);
  deepStrictEqual(seen({ known: { ...KNOWN, isOther: true } }), [
    "warning",
    "The tables were made anew: they were restored",
    todo,
  ]);
  deepStrictEqual(seen({ isEarlier: true }), [
    "warning",
    "PostgreSQL is at an earlier time than it was: it was restored",
    todo,
  ]);
  const noticed = { ...KNOWN, restoredAt: AT };
  deepStrictEqual(seen({ known: { ...noticed, isSettled: false } }), [
    "warning",
    `A restore was noticed at ${AT}, and isn't settled`,
    todo,
  ]);
  deepStrictEqual(seen({ known: noticed }), [
    "ok",
    `The restore that was noticed at ${AT} is settled`,
  ]);
  deepStrictEqual(seen({ known: undefined }), [
    "note",
    "No worker has stored which database this is",
  ]);
});

Deno.test("an index or trigger that an old table has lost is a warning", () => {
  deepStrictEqual(seen({ lost: [{ name: "0002_index_link_parents" }] }), [
    "warning",
    "The old tables have lost what 0002_index_link_parents adds",
    "run deno task migrate",
  ]);
});
