import { deepStrictEqual, rejects } from "node:assert/strict";
import { formatRecordings, LEGACY_RECORDINGS, loadRecordings } from "./recordings.ts";
import { loadSeed } from "../../dev/seed.ts";

Deno.test("the project has all 147 exchanges of 122 scenarios, and the seed's ten tables", async () => {
  const { scenarios } = await loadRecordings();
  deepStrictEqual([scenarios.length, scenarios.flatMap(({ steps }) => steps).length], [122, 147]);
  const seed = await loadSeed();
  deepStrictEqual([Object.keys(seed).length, seed.lots.length, seed.lot_genealogy.length], [
    10,
    91,
    74,
  ]);
});

Deno.test("recordings are written unchanged after they were read", async () => {
  deepStrictEqual(
    formatRecordings(await loadRecordings()),
    await Deno.readTextFile(LEGACY_RECORDINGS),
  );
});

Deno.test("recordings with a misspelt field or a duplicate name are refused", async () => {
  const file = await Deno.makeTempFile();
  try {
    const text = await Deno.readTextFile(LEGACY_RECORDINGS);
    await Deno.writeTextFile(file, text.replace('"etag":true', '"eTag":true'));
    await rejects(loadRecordings(file), /eTag/);
    await Deno.writeTextFile(file, text.replace('"health: HEAD"', '"health"'));
    await rejects(loadRecordings(file), /Two scenarios are named "health"/);
  } finally {
    await Deno.remove(file);
  }
});
