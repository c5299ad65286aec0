import { deepStrictEqual, ok } from "node:assert/strict";

const ROOT = new URL("../", import.meta.url);
const FOLDERS = ["audit", "auth", "cache", "db", "http", "jobs", "lineage", "routes"];

Deno.test("no other folder of the service mentions dry runs", async () => {
  const mentions: string[] = [];
  let read = 0;
  for (const folder of FOLDERS) {
    for await (const { name } of Deno.readDir(new URL(folder, ROOT))) {
      if (!name.endsWith(".ts") || name.endsWith("_test.ts")) continue;
      read++;
      const source = await Deno.readTextFile(new URL(`${folder}/${name}`, ROOT));
      if (/dry[ _-]?(?:run|write|sign)/i.test(source)) mentions.push(`${folder}/${name}`);
    }
  }
  ok(read > 100, `${read}`);
  deepStrictEqual(mentions, []);
});
