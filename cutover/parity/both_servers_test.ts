import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { ApiError } from "../../errors.ts";
import { apiOnSeed } from "../../testing/api_on_seed.ts";
import { CONDITIONAL_READS } from "../../testing/conditional_reads.ts";
import {
  BODIES,
  bytesSent,
  expected,
  JSON_TYPE,
  type SentBody,
} from "../../testing/sent_bodies.ts";
import { startLegacy } from "../legacy/server.ts";

/* Cases that no recording has, sent to both servers. */

const { api, sql, databaseUrl } = await apiOnSeed();
const old = await startLegacy({ databaseUrl, port: 0 });
Deno.test.afterAll(async () => await old[Symbol.asyncDispose]());

Deno.test("each lot's body and ETag equal those of the old server, byte for byte", async () => {
  const lots = await sql<{ lot_code: string }[]>`
    select lot_code from lots where lot_code <> '' and id not in (
      select parent_lot_id from lot_genealogy group by 1 having count(*) > 1
      union select child_lot_id from lot_genealogy group by 1 having count(*) > 1)`;
  ok(lots.length > 40);
  ok(lots.some(({ lot_code }) => /[^\u0000-\u007f]/.test(lot_code)), "a code beyond ASCII");
  for (const { lot_code } of lots) {
    const path = `/api/traceability/${encodeURIComponent(lot_code)}`;
    const [theirs, ours] = [await fetch(old.url + path), await api.get(path)];
    strictEqual(ours.text, await theirs.text());
    match(ours.headers.get("etag") ?? "", /^W\/"[0-9a-f]+-[\w+/]{27}"$/);
    for (const name of ["etag", "content-type", "content-length", "access-control-allow-origin"]) {
      strictEqual(ours.headers.get(name), theirs.headers.get(name), `${name} of ${lot_code}`);
    }
  }
});

for (const [what, headers, status] of CONDITIONAL_READS) {
  Deno.test(`the old server's read with ${what} is ${status}, with Lotline's ETag`, async () => {
    // A lot with at most one link on each side, whose lists have one order only.
    const path = "/api/traceability/RAW-BEEF-001";
    const etag = (await api.get(path)).headers.get("etag") ?? "";
    for (const method of ["GET", "HEAD"]) {
      const theirs = await fetch(old.url + path, { method, headers: headers(etag) });
      await theirs.body?.cancel();
      deepStrictEqual([theirs.status, theirs.headers.get("etag")], [status, etag], method);
    }
  });
}

/** The response to a login whose body the old server reads as Lotline does. */
function statusOfLogin(each: SentBody): number {
  if (each.refused !== undefined) return new ApiError(each.refused, "").status;
  const body = expected(each);
  const { value } = body.kind === "json" ? body : { value: {} };
  return typeof value === "object" && value !== null && "email" in value ? 200 : 401;
}

Deno.test("the old server reads each of these bodies alike, except those marked as different", async () => {
  for (const [what, each] of Object.entries(BODIES)) {
    const { status, body } = await fetch(`${old.url}/api/login`, {
      method: "POST",
      headers: each.headers ?? JSON_TYPE,
      body: bytesSent(each),
    });
    await body?.cancel();
    if (each.old !== undefined) ok(each.old !== statusOfLogin(each), `${what} is no exception`);
    strictEqual(status, each.old ?? statusOfLogin(each), what);
  }
});

const PREFLIGHTS: Record<string, string>[] = [
  {},
  { "access-control-request-method": "POST" },
  { "access-control-request-headers": "Content-Type, X-Ünknown" },
  { "access-control-request-headers": "" },
];

Deno.test("OPTIONS has the old server's response on every path", async () => {
  const names = ["access-control-allow-origin", "access-control-allow-methods"]
    .concat("access-control-allow-headers", "access-control-allow-credentials", "vary");
  for (const path of ["/api/lots", "/api/health/", "/", "/nowhere", "/api/traceability/%zz"]) {
    for (const headers of PREFLIGHTS) {
      const init = {
        method: "OPTIONS",
        headers: { origin: "https://plant.example", ...headers },
      };
      const [ours, theirs] = [await api.send(path, init), await fetch(old.url + path, init)];
      deepStrictEqual([ours.status, ours.text], [204, ""]);
      deepStrictEqual([theirs.status, await theirs.text()], [204, ""]);
      for (const name of names) {
        strictEqual(ours.headers.get(name), theirs.headers.get(name), `${name} of ${path}`);
      }
    }
  }
});
