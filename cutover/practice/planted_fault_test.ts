import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { createServer } from "node:http";
import { startTestServer } from "../../testing/test_server.ts";
import { parseFault, type PlantedFault, startFaultyServer } from "./planted_fault.ts";

Deno.test("a fault is an operation of the old server and a kind, a difference unless named", () => {
  deepStrictEqual(parseFault("createLot"), { operation: "createLot", kind: "difference" });
  deepStrictEqual(parseFault(" login=crash\n"), { operation: "login", kind: "crash" });
  for (const text of ["", "createAudit", "createLot=", "createLot=fire", "createLot=slow=slow"]) {
    strictEqual(parseFault(text), undefined, text);
  }
});

Deno.test("only responses to the named operation are spoiled, at once and until the repair", async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.setHeader("content-type", "application/json; charset=utf-8");
    response.end(JSON.stringify({ path: request.url }));
  });
  await using target = await startTestServer(server);
  let fault: PlantedFault | undefined;
  await using faulty = await startFaultyServer(target.url, () => fault);
  const health = async () => await (await fetch(`${faulty.url}/api/health`)).text();
  const plain = '{"path":"/api/health"}';
  strictEqual(await health(), plain);
  fault = { operation: "getHealth", kind: "difference" };
  strictEqual(await health(), '{"path":"/api/health","planted":"a difference"}');
  strictEqual(
    await (await fetch(`${faulty.url}/api/traceability/A`)).text(),
    '{"path":"/api/traceability/A"}',
  );
  fault = { operation: "getHealth", kind: "crash" };
  await rejects(health());
  fault = { operation: "getHealth", kind: "slow" };
  const began = performance.now();
  strictEqual(await health(), plain);
  strictEqual(performance.now() - began >= 190, true);
  fault = undefined;
  strictEqual(await health(), plain);
});
