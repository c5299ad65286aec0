import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
// @ts-types="@types/compression"
import compression from "compression";
import { startLegacy } from "../legacy/server.ts";
import {
  COMPRESSING,
  type Compressing,
  startCompressingServer,
} from "../testing/compressing_server.ts";
import { freshDatabase } from "../../testing/database.ts";
import { calibrate } from "./calibrate.ts";
import type { Command } from "./command.ts";
import { probe } from "./probe.ts";

const database = await freshDatabase();
const { sql } = database;
await sql`
  insert into lots (lot_code, metadata)
  values ('A', ${sql.json({ notes: "as planned ".repeat(300) })})`;
const old = await startLegacy({ databaseUrl: database.url, port: 0 });
Deno.test.afterAll(async () => {
  for (const one of [old, database]) await one[Symbol.asyncDispose]();
});

function run(command: Command, url: string, count: string) {
  const environment = { DATABASE_URL: database.url, LEGACY_URL: url, GATEWAY_URL: url };
  const options = { count, lots: "A", ...command === probe && { rate: "1000" } };
  const { signal } = new AbortController();
  return command.run({ sql, environment, print: () => {}, signal }, { words: [], options });
}

async function calibrated(how: Compressing): Promise<string> {
  await using compressing = await startCompressingServer(old.url, how);
  return (await run(calibrate, compressing.url, "45")).text;
}

Deno.test("calibrating says how an Express server compresses, and that its form is supported", async () => {
  await using compressing = await startLegacy({
    databaseUrl: database.url,
    port: 0,
    before: [compression()],
  });
  const { text, json } = await run(calibrate, compressing.url, "45");
  match(
    text,
    /^45 pairs of responses were compared, 0 requests had no response: nothing varies by itself\.$/m,
  );
  match(
    text,
    /^The old server compresses: br from 3\d{3} bytes, deflate from 3\d{3} bytes, gzip from 3\d{3} bytes\. The gateway decodes these and compares the content\.$/m,
  );
  match(text, /^It sends headers that are not compared: x-powered-by\.$/m);
  ok(JSON.stringify(json).includes('"coding":"gzip"'), JSON.stringify(json));
});

Deno.test("calibrating an old server that doesn't compress says so", async () => {
  const { text } = await run(calibrate, old.url, "45");
  match(
    text,
    /^The old server compressed nothing for clients that accept gzip, deflate, br, zstd; its longest response to them had 3\d{3} bytes\.$/m,
  );
});

Deno.test("calibrating supports every server that compresses", async () => {
  for (const [name, how] of Object.entries(COMPRESSING)) {
    const text = await calibrated(how);
    match(text, /: nothing varies by itself\.$/m, name);
    if (how.coding !== "identity") {
      match(text, /^The old server compresses: .*\. The gateway decodes/m, name);
    }
  }
});

Deno.test("calibrating names what compression changes, and which forms aren't supported", async () => {
  const changed = await calibrated({
    ...COMPRESSING.nginx,
    pack: (body) =>
      COMPRESSING.nginx.pack(
        new TextEncoder().encode(new TextDecoder().decode(body).replace('"ok"', '"fine"')),
      ),
    headers: { "cache-control": "no-transform", "strict-transport-security": "max-age=1" },
  });
  match(changed, /^getHealth +body\.status \(with Accept-Encoding\) +15$/m);
  match(changed, /^It sends headers that are not compared: .*strict-transport-security/m);
  const unknown = await calibrated({ coding: "compress", pack: COMPRESSING.nginx.pack });
  match(
    unknown,
    /^45 of 45 responses in "compress" can't be decoded\. Such responses are not compared\.$/m,
  );
});

Deno.test("a server that compresses without Accept-Encoding is reported", async () => {
  const how = { ...COMPRESSING.nginx, isUnasked: true };
  await using compressing = await startCompressingServer(old.url, how);
  const { text } = await run(calibrate, compressing.url, "15");
  match(text, /^It compressed 15 responses for clients that accept no coding\.$/m);
});

Deno.test("a probe accepts compression in half of its requests, and reports how many responses were compressed", async () => {
  await using compressing = await startLegacy({
    databaseUrl: database.url,
    port: 0,
    before: [compression()],
  });
  const { text, json } = await run(probe, compressing.url, "60");
  match(text, /^getTraceability +200 br +8$/m);
  match(
    text,
    /^Half of the requests accepted gzip, deflate, br, zstd: 8 of 60 responses were compressed\.$/m,
  );
  const rows = JSON.stringify(json);
  ok(rows.includes('{"operation":"getTraceability","answer":"200","times":8,"coding":"br"}'), rows);
  const plain = await run(probe, old.url, "60");
  match(plain.text, /: 0 of 60 responses were compressed\.$/m);
  deepStrictEqual(Array.isArray(plain.json), true);
  strictEqual(JSON.stringify(plain.json).includes("coding"), false);
});
