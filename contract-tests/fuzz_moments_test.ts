import { deepStrictEqual, ok, rejects } from "node:assert/strict";
import { freshDatabase } from "../testing/database.ts";
import { readContract } from "./documents.ts";
import { patternsOf } from "./fuzz/mode_document.ts";

/* How the fuzz maps a drawn moment: `fuzz/moments.py`, with Python's standard library alone. */

const FOLDER = new URL("./fuzz/", import.meta.url).pathname;
const PATTERNS = patternsOf(readContract());
const hasPython = await new Deno.Command("python3", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

async function settled(moments: readonly unknown[]): Promise<unknown[]> {
  const code = "import json, sys; from moments import settled; " +
    "print(json.dumps([settled(moment) for moment in json.loads(sys.argv[1])]))";
  const { stdout, stderr } = await new Deno.Command("python3", {
    args: ["-c", code, JSON.stringify(moments)],
    env: {
      LOTLINE_PATTERNS: JSON.stringify(PATTERNS),
      PYTHONPATH: FOLDER,
      PYTHONDONTWRITEBYTECODE: "1",
    },
  }).output();
  ok(stdout.length > 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

Deno.test({
  name:
    "a moment that only PostgreSQL reads becomes one that it refuses, and stays off the pattern",
  ignore: !hasPython,
  fn: async () => {
    const spellings = [
      "8231-02-01*",
      "2026-01-18 10:00:00+01*",
      "2026-01-18\n",
      "Jan 18 2026 10:00 CET",
      "20260118",
      "J2451187",
      "18 January 2026 BC",
      20260118,
      2.5,
    ];
    const mapped = await settled(spellings);
    await using database = await freshDatabase({ migrated: false });
    const read = (moment: unknown) => database.sql`select ${String(moment)}::text::timestamptz`;
    for (const moment of spellings.slice(0, -1)) await read(moment);
    for (const moment of mapped) {
      ok(
        !new RegExp(PATTERNS.TimestampInput ?? "").test(String(moment)),
        `${moment} fits the pattern`,
      );
      await rejects(async () => await read(moment), /invalid input syntax/, String(moment));
    }
  },
});

Deno.test({
  name: "a moment that the pattern describes stays, but for the edges of the years",
  ignore: !hasPython,
  fn: async () => {
    const moments = ["2026-01-18", "2026-01-18T10:00:00.5Z", "9999-12-31T23:59:59-14:00"];
    const others = ["0001-01-01 00:00+14", "", "tomorrow", "{}", true, null, [1], { a: 1 }];
    deepStrictEqual(await settled([...moments, ...others]), [
      ...moments.slice(0, 2),
      "9998-12-31T23:59:59-14:00",
      "0002-01-01 00:00+14",
      ...others.slice(1),
    ]);
  },
});
