import { ok, strictEqual } from "node:assert/strict";
import { apiOnSeed } from "../../testing/api_on_seed.ts";
import { insertLargeTraces } from "../../testing/star.ts";
import { startLegacy } from "../legacy/server.ts";

const { api, sql, databaseUrl } = await apiOnSeed();
await insertLargeTraces(sql);
// The old server sorts nothing. So it finds links in the order in which they were stored, as they stand
// in Lotline's answers, and the two can be compared byte for byte.
for (const join of ["hashjoin", "mergejoin"]) {
  await sql.unsafe(
    `alter database ${new URL(databaseUrl).pathname.slice(1)} set enable_${join} = off`,
  );
}

const old = await startLegacy({ databaseUrl, port: 0 });
Deno.test.afterAll(() => old.close());

for (const code of ["HOT", "WARM", "BOTH", "UP", "FULL", "WIDE", "WIDE-1"]) {
  Deno.test(`the trace of ${code} is, byte for byte, the old server's, with its validators`, async () => {
    const path = `/api/traceability/${code}`;
    const [theirs, ours] = [await fetch(old.url + path), await api.get(path)];
    // Not compared as texts: to tell where they differ would take minutes.
    ok(ours.text === await theirs.text());
    for (const name of ["etag", "content-type", "content-length", "access-control-allow-origin"]) {
      strictEqual(ours.headers.get(name), theirs.headers.get(name), name);
    }
  });
}
