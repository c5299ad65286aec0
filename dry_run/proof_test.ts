import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { parse } from "yaml";
import { DRY_RUN_HEADER } from "../contract/dry_run.ts";
import { ErrorResponse } from "../routes/responses.ts";
import { startApi, type TestResponse } from "../testing/api.ts";
import { apiOnSeed } from "../testing/api_on_seed.ts";
import { dryRunHeader, postDry, SECRET } from "../testing/dry_run.ts";
import { dump } from "../testing/dump.ts";
import { rawRequest, sendRaw } from "../testing/raw_http.ts";

/* What a valid proof allows, and how every other request for a dry run is refused. */

const { api, sql, databaseUrl } = await apiOnSeed({ DRY_RUN_SECRET: SECRET });

const LOT = '{"lot_code":"DRY-RUN-1"}';
const PATH = "/api/lots";
const proof = (path = PATH, body = LOT, at = Date.now()) =>
  dryRunHeader("POST", path, body, at)[DRY_RUN_HEADER] ?? "";

const UNPROVEN = [403, null, { error: "This is no valid request for a dry run" }];
const seen = ({ status, headers, json }: TestResponse) => [
  status,
  headers.get(DRY_RUN_HEADER),
  ErrorResponse.parse(json),
];

async function lotsCalled(code: string): Promise<number> {
  return (await sql`select from lots where lot_code = ${code}`).length;
}

const BAD: [what: string, header: () => string][] = [
  ["an empty one", () => ""],
  ["a word", () => "done"],
  ["one of a minute and a second ago", () => proof(PATH, LOT, Date.now() - 61_000)],
  ["one of a minute and some from now", () => proof(PATH, LOT, Date.now() + 65_000)],
  ["one for another body", () => proof(PATH, '{"lot_code":"DRY-RUN-2"}')],
  ["one for another path", () => proof("/api/qc-decisions")],
  ["one for another query", () => proof(`${PATH}?a=1`)],
  ["one for another method", () => dryRunHeader("PUT", PATH, LOT)[DRY_RUN_HEADER] ?? ""],
  ["one whose moment was altered", () => proof().replace(/^t=\d/, "t=2")],
  ["one whose signature was altered", () => proof().replace(/.$/, (c) => c === "0" ? "1" : "0")],
  ["one that stands twice", () => `${proof()}, ${proof()}`],
];

for (const [what, header] of BAD) {
  Deno.test(`as proof ${what} is 403, and nothing is executed`, async () => {
    deepStrictEqual(seen(await api.post(PATH, LOT, { [DRY_RUN_HEADER]: header() })), UNPROVEN);
    strictEqual(await lotsCalled("DRY-RUN-1"), 0);
  });
}

Deno.test("two lines of the header are 403, even if both are valid", async () => {
  const { port } = new URL(api.url);
  const line = () => `X-Lotline-Dry-Run: ${proof()}\r\n`;
  const type = "Content-Type: application/json\r\n";
  const reply = await sendRaw(
    Number(port),
    rawRequest(`POST ${PATH}`, type + line() + line(), LOT),
  );
  strictEqual(reply.status, 403, reply.head);
  const once = await sendRaw(Number(port), rawRequest(`POST ${PATH}`, type + line(), LOT));
  strictEqual(once.status, 201, once.head);
  strictEqual(await lotsCalled("DRY-RUN-1"), 0);
});

Deno.test("without a secret in its settings an API accepts no dry run", async () => {
  await using without = await startApi({ databaseUrl });
  deepStrictEqual(seen(await postDry(without, PATH, LOT)), UNPROVEN);
  strictEqual(await lotsCalled("DRY-RUN-1"), 0);
});

const { paths }: { paths: Record<string, Record<string, object>> } = parse(
  await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url)),
);

Deno.test("an invalid proof is 403 on every operation, unknown paths and methods", async () => {
  const requested = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method): [string, string] => [method.toUpperCase(), path])
  );
  requested.push(["POST", "/nowhere"], ["DELETE", PATH], ["OPTIONS", PATH], ["GET", "/docs"]);
  const before = await dump(sql);
  for (const [method, path] of requested) {
    const response = await api.send(path, { method, headers: { [DRY_RUN_HEADER]: "1" } });
    deepStrictEqual(seen(response), UNPROVEN, `${method} ${path}`);
  }
  deepStrictEqual(await dump(sql), before);
});

Deno.test("a proof may be reused, and no request with it has an effect", async () => {
  const headers = { [DRY_RUN_HEADER]: proof() };
  for (let i = 0; i < 3; i++) {
    const { status, headers: received } = await api.post(PATH, LOT, headers);
    deepStrictEqual([status, received.get(DRY_RUN_HEADER)], [201, "done"]);
  }
  strictEqual(await lotsCalled("DRY-RUN-1"), 0);
});

Deno.test("an operation that can't run without an effect is 403 with a valid proof, and isn't executed", async () => {
  const before = await dump(sql);
  const refused = [403, null, { error: "This can't be run without an effect" }];
  const trace = { lot_code: "MIX-BATCH-88", direction: "both" };
  for (const [path, body] of [["/api/logout", ""], ["/api/traces", trace], ["/api/audits", {}]]) {
    deepStrictEqual(seen(await postDry(api, String(path), body)), refused, String(path));
  }
  deepStrictEqual(await dump(sql), before);
});

Deno.test("a read with a proof has the usual response", async () => {
  for (const path of ["/api/health", "/api/traceability/MIX-BATCH-88?a=%20b", "/docs", "/api/x"]) {
    for (const method of ["GET", "HEAD"]) {
      const real = await api.send(path, { method });
      const dry = await api.send(path, { method, headers: dryRunHeader(method, path) });
      strictEqual(dry.status, real.status, path);
      strictEqual(dry.headers.get(DRY_RUN_HEADER), "done");
      if (path !== "/api/health") strictEqual(dry.text, real.text);
    }
  }
});

Deno.test("the proof covers the body as sent: compressed, or in chunks", async () => {
  const headers = { "content-type": "application/json" };
  const bytes = new Uint8Array(gzipSync(LOT));
  const packed = await api.send(PATH, {
    method: "POST",
    headers: { ...headers, "content-encoding": "gzip", ...dryRunHeader("POST", PATH, bytes) },
    body: bytes,
  });
  strictEqual(packed.status, 201, packed.text);
  const pieces = new Blob([LOT.slice(0, 5), LOT.slice(5)]).stream();
  const streamed = await api.send(PATH, {
    method: "POST",
    headers: { ...headers, ...dryRunHeader("POST", PATH, LOT) },
    body: pieces,
  });
  strictEqual(streamed.status, 201, streamed.text);
});

Deno.test("a body over the limit is 413 with a proof of all of it, and 403 with any other", async () => {
  for (const length of [102_401, 104_066, 104_067, 500_000]) {
    const body = JSON.stringify({ lot_code: "x".repeat(length - 15) });
    strictEqual(body.length, length);
    for (const stream of [false, true]) {
      const send = (proven: string) =>
        api.send(PATH, {
          method: "POST",
          headers: { "content-type": "application/json", ...dryRunHeader("POST", PATH, proven) },
          body: stream ? new Blob([body]).stream() : body,
        });
      const [good, bad] = [await send(body), await send(body.slice(1))];
      deepStrictEqual([good.status, good.headers.get(DRY_RUN_HEADER)], [413, "done"], `${length}`);
      deepStrictEqual(seen(bad), UNPROVEN);
    }
  }
});

Deno.test("dry runs are counted by operation and outcome, and their log lines are marked", async () => {
  const id = "dry-run-in-the-log";
  await postDry(api, PATH, LOT, { "x-request-id": id });
  await postDry(api, "/api/logout", "");
  await api.post("/nowhere", "", { [DRY_RUN_HEADER]: "" });
  const { text } = await api.get("/metrics");
  match(text, /^lotline_dry_runs_total\{operation="createLot",outcome="done"\} \d+$/m);
  match(text, /^lotline_dry_runs_total\{operation="createLot",outcome="unproven"\} \d+$/m);
  match(text, /^lotline_dry_runs_total\{operation="logout",outcome="impossible"\} \d+$/m);
  match(text, /^lotline_dry_runs_total\{operation="unknown",outcome="unproven"\} \d+$/m);
  const line = await api.log.find((line) => line.includes(id));
  strictEqual(JSON.parse(line).dry_run, true);
  await api.post("/api/login", {}, { "x-request-id": "real-one" });
  const real = await api.log.find((line) => line.includes("real-one"));
  ok(!("dry_run" in JSON.parse(real)));
});
