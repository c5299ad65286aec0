import { createConfig, lintFromString } from "@redocly/openapi-core";
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { generateTypes, TYPES } from "../contract/generate.ts";
import { readApproved } from "./approved.ts";
import { readContract, readOldCapture } from "./documents.ts";
import { promisesAt, promisesOf } from "./normal_form.ts";

const lint = async (file: string) => {
  const address = new URL(`../${file}`, import.meta.url);
  const config = await createConfig({ extends: ["recommended-strict"] });
  const source = await Deno.readTextFile(address);
  const problems = await lintFromString({ source, absoluteRef: address.pathname, config });
  return problems.map(({ severity, ruleId, message }) => `${severity} ${ruleId}: ${message}`);
};

Deno.test("openapi.yaml passes the linter without a warning", async () => {
  deepStrictEqual(await lint("openapi.yaml"), []);
});

Deno.test("the old server's capture is a valid document", async () => {
  const problems = await lint("contract/legacy.yaml");
  // The old health route had no specific error to document.
  const [only] = problems.splice(problems.findIndex((line) => line.includes("4xx-response")), 1);
  ok(only?.includes("4xx-response"));
  deepStrictEqual(problems, []);
});

Deno.test("types.gen.ts is the types generated from openapi.yaml", async () => {
  strictEqual(
    await Deno.readTextFile(TYPES),
    await generateTypes(),
    "stale, run: deno task contract",
  );
});

const OLD_FIVE: [operation: string, success: string][] = [
  ["get /api/health", "200"],
  ["post /api/login", "200"],
  ["get /api/traceability/{lotCode}", "200"],
  ["post /api/lots", "201"],
  ["post /api/qc-decisions", "201"],
];

Deno.test("the old five keep their ids", () => {
  const ids = (document: ReturnType<typeof readContract>) =>
    OLD_FIVE.flatMap(([operation]) => [...promisesAt(document, `${operation}/operationId`)]);
  deepStrictEqual(ids(readContract()), ids(readOldCapture()));
  strictEqual(ids(readContract()).length, OLD_FIVE.length);
});

for (const [operation, success] of OLD_FIVE) {
  Deno.test(`${operation} has the success response of the old server`, () => {
    const place = `${operation}/responses/${success}`;
    const old = promisesAt(readOldCapture(), place);
    const now = promisesAt(readContract(), place);
    const added = [...now].filter((line) =>
      /^\/headers\/(?:Idempotency-Replayed|X-Request-Id)\//.test(line)
    );
    // Only in a response to a request with a header that old clients don't send.
    ok(!added.includes("/headers/Idempotency-Replayed/required = true"));
    const changed = [...old.symmetricDifference(now.difference(new Set(added)))];
    // The one approved change of a success: the token is a real one.
    const tokens = changed.filter((line) => line.includes("/properties/token/"));
    if (tokens.length > 0) {
      ok(
        readApproved().some(({ id }) => id === "real-token"),
        "the token's change must be approved",
      );
    }
    deepStrictEqual(changed.filter((line) => !tokens.includes(line)), []);
  });
}

Deno.test("every error in the contract is a JSON error body", () => {
  const lines = [...promisesOf(readContract())];
  const errors = lines.filter((line) => /\/responses\/[45]\d\d\/content\//.test(line));
  ok(errors.length > 100);
  for (const line of errors) {
    ok(line.includes("/content/application/json/schema/"), line);
  }
  const refusals = lines.flatMap((line) => /^.*\/responses\/405(?=\/)/.exec(line)?.[0] ?? []);
  for (const refusal of new Set(refusals)) {
    ok(lines.includes(`${refusal}/headers/Allow/required = true`), refusal);
  }
});
