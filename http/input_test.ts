import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { ErrorResponse } from "../routes/responses.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";

const { api } = await apiOnSeed();

async function refusal(path: string, body: unknown) {
  const { status, json } = await api.post(path, body);
  return { status, ...ErrorResponse.parse(json) };
}

Deno.test("all wrong places are listed, the sentence names the first", async () => {
  const { status, error, details } = await refusal("/api/lots", {
    lot_type: "raw",
    weight_kg: "heavy",
    color: "red",
    price: 1,
  });
  strictEqual(status, 422);
  strictEqual(error, "lot_code is missing (and 4 more)");
  deepStrictEqual(details?.map(({ path }) => path), [
    "lot_code",
    "lot_type",
    "weight_kg",
    "color",
    "price",
  ]);
});

Deno.test("a single wrong place is the whole sentence", async () => {
  deepStrictEqual(await refusal("/api/lots", { lot_code: "A", lot_type: "raw" }), {
    status: 422,
    error: "lot_type must be one of RAW, DEB, BULK, MIX, SKW, FRZ, FG",
    details: [{
      path: "lot_type",
      message: "must be one of RAW, DEB, BULK, MIX, SKW, FRZ, FG",
    }],
  });
});

Deno.test("a fault of the whole body has an empty path", async () => {
  deepStrictEqual(await refusal("/api/lots", []), {
    status: 422,
    error: "The body must be of type object",
    details: [{ path: "", message: "must be of type object" }],
  });
});

Deno.test("of a long key the first 60 characters are shown", async () => {
  const { error, details } = await refusal("/api/lots", { lot_code: "A", ["k".repeat(50_000)]: 1 });
  const shown = `${"k".repeat(60)}…`;
  strictEqual(error, `${shown} is not a field of this request`);
  deepStrictEqual(details, [{ path: shown, message: "is not a field of this request" }]);
});

Deno.test("of thousands of wrong places the first hundred are listed, all are counted", async () => {
  const keys = Array.from({ length: 5_000 }, (_, i): [string, number] => [`k${i}`, i]);
  const { error, details } = await refusal("/api/lots", Object.fromEntries(keys));
  strictEqual(error, "lot_code is missing (and 5000 more)");
  deepStrictEqual(details?.length, 100);
});

Deno.test("the values that a client sent are not in the response", async () => {
  const secret = "hunter2";
  const bodies = [
    { lot_code: "A", id: secret, lot_type: secret, weight_kg: secret, metadata: secret },
    { lot_code: "A", created_at: secret, operator_id: { [secret]: secret } },
  ];
  for (const body of bodies) {
    const { text, status } = await api.post("/api/lots", body);
    deepStrictEqual([status, text.includes(secret)], [422, false]);
  }
});

Deno.test("a missing body counts as an object without fields, a body of another type doesn't", async () => {
  strictEqual((await refusal("/api/lots", "")).error, "lot_code is missing");
  const other = await api.post("/api/lots", "x", { "content-type": "text/plain" });
  deepStrictEqual([other.status, other.json], [415, {
    error: "The body must be sent as application/json",
  }]);
});

Deno.test("a parameter is decoded once", async () => {
  await api.post("/api/lots", { lot_code: "100%25" });
  const { json } = await api.get("/api/traceability/100%2525");
  strictEqual(json.central.lot_code, "100%25");
  strictEqual((await api.get("/api/traceability/100%25")).status, 404);
});
