import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { apiInBothModes } from "../testing/both_modes.ts";
import { eventually } from "../testing/eventually.ts";
import { type GivenLink, insertLinks, insertLots } from "../testing/genealogy.ts";
import type { TestApi, TestResponse } from "../testing/api.ts";
import { insertAccount } from "../testing/accounts.ts";

/* The limit of deep traces for one account. No worker works here. */

const { required, legacy, sql, maker } = await apiInBothModes({ TRUSTED_PROXIES: "127.0.0.1" });

const lots = Array.from({ length: 5_200 }, (_, i) => ({ lot_code: `STAR-${i}` }));
const [root = "", ...children] = await insertLots(sql, lots);
await insertLinks(sql, children.map((child): GivenLink => [root, child]));

let questions = 0;
/** Requests a large trace that was never requested before. */
const send = (api: TestApi, headers: Record<string, string>, key?: string) =>
  api.post("/api/traces", {
    lot_code: "STAR-0",
    direction: "downstream",
    at_most: 10_000 + questions++,
  }, { ...headers, ...(key !== undefined && { "idempotency-key": key }) });

async function newAccount(role: string): Promise<Record<string, string>> {
  const { id } = await insertAccount(sql, { role });
  return { authorization: `Bearer ${maker.good({ id, role })}` };
}

const from = (address: string) => ({ "x-forwarded-for": address });

const isRefused = (response: TestResponse) =>
  deepStrictEqual(
    [response.status, response.headers.get("retry-after"), response.json],
    [429, "10", { error: "50 of your traces wait or run: try again when one is done" }],
  );

const CASES: [
  what: string,
  api: TestApi,
  mine: Record<string, string>,
  others: Record<string, string>,
][] = [
  ["a VIEWER", required, await newAccount("VIEWER"), await newAccount("OPERATOR")],
  ["an address in legacy", legacy, from("192.0.2.1"), from("192.0.2.2")],
  ["a /64 of IPv6", legacy, from("2001:db8::1"), from("2001:db8:0:1::1")],
];
for (const [what, api, mine, others] of CASES) {
  Deno.test(`${what} has at most 50 traces that wait or run, also with concurrent requests; others are accepted`, async () => {
    const responses = await Promise.all(Array.from({ length: 90 }, () => send(api, mine)));
    strictEqual(responses.filter(({ status }) => status === 202).length, 50);
    responses.filter(({ status }) => status !== 202).forEach(isRefused);
    strictEqual((await send(api, others)).status, 202);

    await sql`
      update lotline.jobs set state = 'running', lease_until = 'infinity', token = gen_random_uuid()
      where id in (select id from lotline.jobs where state = 'ready' order by turn limit 3)`;
    isRefused(await send(api, mine, "refused"));
    strictEqual(
      (await sql`select from lotline.idempotency_keys where key = 'refused'`).length,
      0,
      "what was refused is not stored",
    );
    await sql`update lotline.jobs set state = 'done', finished_at = now() where state = 'running'`;
    strictEqual((await send(api, mine, "refused")).status, 202);
    strictEqual(
      (await sql`select from lotline.traces where job_id is null and run is null`).length,
      0,
    );
    await sql`delete from lotline.idempotency_keys`;
  });
}

Deno.test("another address of the same /64 shares the limit", async () => {
  await eventually(
    "the /64 has as many as it may",
    async () => (await send(legacy, from("2001:db8::1"))).status !== 202,
  );
  isRefused(await send(legacy, from("2001:db8::ffff")));
});

Deno.test("with a token the account counts in legacy too, from any address", async () => {
  const token = await newAccount("VIEWER");
  await Promise.all(Array.from({ length: 50 }, () => send(legacy, token)));
  isRefused(await send(legacy, { ...token, ...from("192.0.2.77") }));
  strictEqual((await send(legacy, from("192.0.2.77"))).status, 202);
});

Deno.test("an account at its limit still gets traces that are taken immediately", async () => {
  const response = await legacy.post(
    "/api/traces",
    { lot_code: "STAR-1", direction: "downstream" },
    from("192.0.2.1"),
  );
  strictEqual(response.status, 200);
});
