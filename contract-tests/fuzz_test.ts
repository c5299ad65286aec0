import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { documentOfMode, linksOf, operationsOf } from "./fuzz/mode_document.ts";
import { PLANTED } from "./fuzz/planted.ts";
import { addEvents, newCounts, tableOf } from "./fuzz/counts.ts";
import { readContract } from "./documents.ts";
import { type Json, promisesOf } from "./normal_form.ts";

/* The parts of `deno task fuzz`; the run itself takes minutes. */

const DOCUMENT = readContract();
const securities = (document: Json) =>
  [...promisesOf(document)].filter((line) => line.includes("/security["));

Deno.test("the document of `required` allows nothing without a token", () => {
  const isOpen = (line: string) => line.endsWith("/security[] = {}");
  ok(securities(DOCUMENT).some(isOpen));
  deepStrictEqual(securities(documentOfMode("legacy")), securities(DOCUMENT));
  deepStrictEqual(
    securities(documentOfMode("required")),
    securities(DOCUMENT).filter((line) => !isOpen(line)),
  );
});

Deno.test("every link of the document leads to an operation", () => {
  const links = linksOf(DOCUMENT);
  ok(links.includes("POST /api/lots -> [201] traceTheLot -> GET /api/traceability/{lotCode}"));
  deepStrictEqual(links.filter((link) => link.includes("undefined")), []);
  strictEqual(new Set(links).size, links.length);
});

Deno.test("every planted violation names an existing operation", () => {
  const ids = [...promisesOf(DOCUMENT)].filter((line) => line.includes("/operationId = "))
    .map((line) => JSON.parse(line.split(" = ")[1] ?? ""));
  for (const { operation } of PLANTED) ok(ids.includes(operation), operation);
});

Deno.test("the table counts requests by phase, failures by check, and followed links", async () => {
  const file = await Deno.makeTempFile();
  const scenario = (phase: string, recorder: unknown) =>
    JSON.stringify({ ScenarioFinished: { phase, status: "success", recorder } });
  const value = { method: "GET", path: "/livez", id: "a" };
  const checks = (status: string) => [{ name: "one", status }, { name: "two", status: "success" }];
  const followed = { id: "GET /a -> [200] b -> GET /livez", is_inferred: false };
  await Deno.writeTextFile(
    file,
    [
      '{"Initialize":{}}',
      scenario("coverage", {
        cases: { a: { value }, b: { value } },
        checks: { a: checks("success") },
      }),
      scenario("coverage", {
        cases: { a: { value: { ...value, method: "PATCH" } } },
        checks: { a: checks("failure") },
      }),
      scenario("stateful", {
        cases: { a: { value, transition: followed, is_transition_applied: true } },
        checks: { a: checks("failure") },
      }),
      scenario("stateful", {
        cases: { a: { value, transition: { ...followed, id: "x", is_inferred: true } } },
      }),
      scenario("stateful", {}),
    ].join("\n"),
  );
  const counts = newCounts();
  await addEvents(counts, file);
  await Deno.remove(file);
  deepStrictEqual([...counts.links], [followed.id]);
  deepStrictEqual(tableOf(counts, ["GET /livez"]).split("\n").slice(2), [
    "| GET /livez | 0 | 2 | 0 | 2 | one × 1 |",
    "| other methods | 0 | 1 | 0 | 0 | one × 1 |",
  ]);
  ok(operationsOf(DOCUMENT).includes("GET /livez"));
});

Deno.test("no cases of earlier runs are in the tree, where the next run would repeat them", () => {
  const folders = [new URL("./", import.meta.url), new URL("../", import.meta.url)];
  for (const folder of folders) {
    deepStrictEqual(
      [...Deno.readDirSync(folder)].filter(({ name }) => name === ".schemathesis"),
      [],
    );
  }
});
