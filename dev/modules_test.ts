import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { architecture, mermaidOf, modulesOf, reduced, withPicture } from "./modules.ts";

Deno.test("docs/architecture.md shows which folders import which", async () => {
  const { current, fresh } = await architecture();
  strictEqual(current, fresh, "stale, run: deno task modules");
});

const SOURCES = new Map([
  ["main.ts", 'import { createApp } from "./app.ts";\nimport { findLot } from "./db/lots.ts";'],
  ["app.ts", 'import { createLot } from "./routes/create_lot.ts";'],
  ["routes/create_lot.ts", 'import type { Lot } from "../db/lots.ts";\nimport "../errors.ts";'],
  ["routes/create_lot_test.ts", 'import { startApi } from "../app.ts";'],
  ["db/lots.ts", 'const pg = await import("./connect.ts");'],
  ["db/connect.ts", ""],
  ["errors.ts", ""],
  ["testing/api.ts", 'import "../main.ts";'],
  ["cutover/main.ts", 'import { start } from "./proxy/server.ts";'],
  ["cutover/proxy/server.ts", 'import { connect } from "../../db/connect.ts";'],
  ["cutover/testing/rig.ts", 'import "../proxy/server.ts";'],
]);

Deno.test("a picture has programs, folders, and those of the cutover, but no tests and no tools", () => {
  const graph = `flowchart TD
  app_ts["app.ts"]
  db["db/"]
  main_ts["main.ts"]
  routes["routes/"]
  subgraph the_cutover ["cutover/"]
    cutover["cutover/*.ts"]
    cutover_proxy["proxy/"]
  end
  app_ts --> routes
  cutover --> cutover_proxy
  cutover_proxy --> db
  main_ts --> app_ts
  routes --> db`;
  strictEqual(mermaidOf(reduced(modulesOf(SOURCES))), graph);
});

Deno.test("a new import between folders changes the picture", () => {
  const before = mermaidOf(reduced(modulesOf(SOURCES)));
  const sources = new Map([...SOURCES, ["db/new.ts", 'import "../routes/create_lot.ts";']]);
  const after = mermaidOf(reduced(modulesOf(sources)));
  strictEqual(after.includes("db --> routes"), true);
  strictEqual(before.includes("db --> routes"), false);
});

Deno.test("transitive arrows are left out, in circles as well", () => {
  const to = (...names: string[]) => new Set(names);
  const modules = new Map([["a", to("b", "c")], ["b", to("c")], ["c", to("a")]]);
  deepStrictEqual(reduced(modules), new Map([["a", to("b")], ["b", to("c")], ["c", to("a")]]));
});

Deno.test("a page without its markers is refused", () => {
  throws(() => withPicture("# How it works\n", "flowchart TD"), /has lost/);
});
