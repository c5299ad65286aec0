import { ok, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../../testing/api_on_seed.ts";
import { insertLargeTraces } from "../../testing/star.ts";
import { startLegacy } from "../legacy/server.ts";

const { api, sql, databaseUrl } = await apiOnSeed();
await insertLargeTraces(sql);
// The old server sorts nothing, so it returns links in stored order. They are stored in the order
// of Lotline's responses, so that the two can be compared byte for byte.
for (const join of ["hashjoin", "mergejoin"]) {
  await sql.unsafe(
    `alter database ${new URL(databaseUrl).pathname.slice(1)} set enable_${join} = off`,
  );
}

const old = await startLegacy({ databaseUrl, port: 0 });
Deno.test.afterAll(async () => await old[Symbol.asyncDispose]());

for (const code of ["HOT", "WARM", "BOTH", "UP", "FULL", "WIDE", "WIDE-1"]) {
  Deno.test(`the trace of ${code} equals the old server's byte for byte, with its validators`, async () => {
    const path = `/api/traceability/${code}`;
    const [theirs, ours] = [await fetch(old.url + path), await api.get(path)];
    // Not compared as texts: showing their difference would take minutes.
    ok(ours.text === await theirs.text());
    for (const name of ["etag", "content-type", "content-length", "access-control-allow-origin"]) {
      strictEqual(ours.headers.get(name), theirs.headers.get(name), name);
    }
  });
}
