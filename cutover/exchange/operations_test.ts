import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { generateOperations, TARGET } from "../testing/generate_operations.ts";
import { isSafeRequest } from "./match_operation.ts";
import { isSafeOperation, LEGACY_OPERATIONS, OPERATIONS } from "./operations.ts";
import { LEGACY } from "./operations.gen.ts";

Deno.test("the list of operations equals the one made from the two contracts", async () => {
  strictEqual(
    await Deno.readTextFile(TARGET),
    await generateOperations(),
    "run deno run -A cutover/testing/generate_operations.ts",
  );
});

Deno.test("Lotline has each operation of the old server, by the same method and path", () => {
  for (const old of LEGACY) {
    const now = OPERATIONS.find(({ operation }) => operation === old.operation);
    deepStrictEqual(now, old);
  }
  ok(OPERATIONS.length > LEGACY.length);
});

Deno.test("only writes have an effect on the old server, and its login has none", () => {
  deepStrictEqual(LEGACY_OPERATIONS.filter((one) => !isSafeOperation(one)), [
    "createLot",
    "createQcDecision",
  ]);
  ok(isSafeRequest("POST", "login"));
  // For operations that only Lotline has, only Lotline can decide.
  ok(!isSafeRequest("POST", "createAudit"));
  ok(!isSafeRequest("POST", "logout"));
});
