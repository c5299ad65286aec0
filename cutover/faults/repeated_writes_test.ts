import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { eventually } from "../../testing/eventually.ts";
import { startCutover } from "../testing/cutover.ts";

Deno.test("through the gateway Lotline answers a repeated write; its dry run before the old server's write is not a repeat", async () => {
  await using cutover = await startCutover();
  const { gateways: [gateway], database: { sql } } = cutover;
  ok(gateway);
  const post = (lot_code: string) =>
    fetch(`${gateway.url}/api/lots`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "idempotency-key": `key of ${lot_code}`.replaceAll(" ", "-"),
      },
      body: JSON.stringify({ lot_code }),
    }).then(async (response) => ({
      status: response.status,
      replayed: response.headers.get("idempotency-replayed"),
      text: await response.text(),
    }));
  await cutover.set({ name: "shadow" }, ["createLot"]);
  strictEqual((await post("SHADOWED")).status, 201);
  // The old server ignores the header, and reports a duplicate code as a server error.
  strictEqual((await post("SHADOWED")).status, 500);
  await cutover.set({ name: "service" }, ["createLot"]);
  const first = await post("SERVED");
  deepStrictEqual([first.status, first.replayed], [201, null]);
  deepStrictEqual(await post("SERVED"), { ...first, replayed: "true" });
  await cutover.set({ name: "shadow" }, ["createLot"]);
  strictEqual((await post("SERVED")).status, 500);
  await eventually("all three are compared", async () => {
    const [row] = await sql<{ compared: number }[]>`
      select coalesce(sum(count), 0)::int as compared from lotline.route_outcomes
      where operation = 'createLot' and approval = '' and outcome not in ('different', 'lost', 'unanswered')`;
    return row?.compared === 3;
  });
});
