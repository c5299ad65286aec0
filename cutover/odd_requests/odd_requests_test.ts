import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { LEGACY_OPERATIONS } from "../exchange/operations.ts";
import { startFaultyService } from "../../testing/faulty_service.ts";
import type { SpoiledResponse } from "../../testing/faulty_service.ts";
import type { WireRequest } from "./draft.ts";
import { MUTATIONS, type Recipe, recipeOf, requestOf, shrink } from "./generate.ts";
import type { Mutation } from "./mutation.ts";
import { loadPlant } from "./plant.ts";
import { startTwins } from "./twins.ts";
import { bytesOnWire, commandOf } from "./wire.ts";

/*
 * What `deno task odd-requests` relies on: it finds differences, and a seed determines every
 * request.
 */

let spoil = (response: SpoiledResponse) => response;
const twins = await startTwins({
  serviceUrl: (api) => startFaultyService(api, (response) => spoil(response)),
});
const plant = await loadPlant(twins.legacyUrl);
Deno.test.afterAll(async () => await twins[Symbol.asyncDispose]());

const DECISION: WireRequest = {
  method: "POST",
  target: "/api/qc-decisions",
  lines: [
    "POST /api/qc-decisions HTTP/1.1",
    "Host: plant.example",
    "Content-Type: application/json",
    "Content-Length: 19",
  ],
  body: new TextEncoder().encode('{"decision":"HOLD"}'),
  framing: { kind: "length" },
};

/** The findings for {@link DECISION} while Lotline's responses are spoiled. */
async function requested(how: (response: SpoiledResponse) => SpoiledResponse) {
  await using lane = await twins.lane("createQcDecision");
  spoil = how;
  try {
    return await lane.ask(DECISION, false);
  } finally {
    spoil = (response) => response;
  }
}

Deno.test("an ordinary request is the same on both upstreams", async () => {
  const { outcome, differences } = await requested((response) => response);
  deepStrictEqual([outcome, differences], ["same", []]);
});

Deno.test("one wrong value in Lotline's response is found, in shadow and in service", async () => {
  const { outcome, differences } = await requested(({ status, body }) => ({
    status,
    body: body.replace("HOLD", "PASS"),
  }));
  strictEqual(outcome, "different");
  ok(differences.some(({ place }) => place === "both: body.decision"), JSON.stringify(differences));
});

Deno.test("a row that Lotline stores and reports as refused is found", async () => {
  const { differences } = await requested(({ body }) => ({ status: 422, body }));
  ok(
    differences.some(({ place }) => place === "stored: rows of a refused request"),
    JSON.stringify(differences),
  );
});

Deno.test("a seed and a number determine a request completely", () => {
  for (const operation of LEGACY_OPERATIONS) {
    for (let number = 0; number < 200; number++) {
      const made = [1, 2].map(() => bytesOnWire(requestOf(recipeOf(7, operation, number), plant)));
      deepStrictEqual(made[0], made[1], `${operation} ${number}`);
    }
  }
});

Deno.test("every mutation is used", () => {
  const seen = new Set<Mutation>();
  for (const operation of LEGACY_OPERATIONS) {
    for (let number = 0; number < 1_000; number++) {
      for (const { mutation } of recipeOf(1, operation, number).steps) seen.add(mutation);
    }
  }
  deepStrictEqual(MUTATIONS.filter((one) => !seen.has(one)).map(({ name }) => name), []);
});

Deno.test("a finding is reported without the mutations that it doesn't need", async () => {
  const named = (name: string) => {
    const mutation = MUTATIONS.find((one) => one.name === name);
    ok(mutation !== undefined, name);
    return { mutation, seed: 1 };
  };
  const recipe: Recipe = {
    operation: "createLot",
    seed: 1,
    number: 1,
    steps: [named("a query"), named("in chunks"), named("HTTP/1.0")],
  };
  const smallest = await shrink(
    recipe,
    ({ steps }) => Promise.resolve(steps.some(({ mutation }) => mutation.name === "in chunks")),
  );
  deepStrictEqual(smallest.steps.map(({ mutation }) => mutation.name), ["in chunks"]);
});

Deno.test("a request is shown in a form that a shell can send", () => {
  match(
    commandOf(DECISION),
    /^printf 'POST \/api\/qc-decisions HTTP\/1\.1\\r\\n.*\\r\\n\\r\\n\{"decision":"HOLD"\}' \| nc /,
  );
});
