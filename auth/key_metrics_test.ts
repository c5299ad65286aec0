import { strictEqual } from "node:assert/strict";
import { keyFiles } from "../testing/keys.ts";
import { valuesOf } from "../testing/series.ts";
import { signingKeyMetrics } from "./key_metrics.ts";
import { rotateKeys } from "./keys.ts";

const newKeyFile = await keyFiles();
const DAY_MS = 86_400_000;
const LIFETIME_S = 90 * 86_400;

Deno.test("a signing key is due 90 days after it began to sign, or after the next one begins", async () => {
  const path = await newKeyFile();
  const metrics = signingKeyMetrics(path);
  const read = async () =>
    valuesOf(await metrics.text())["lotline_signing_key_end_timestamp_seconds"];
  const created = new Date("2026-03-01T00:00:00Z");
  await Deno.utime(path, created, created);
  strictEqual(await read(), created.getTime() / 1_000 + LIFETIME_S);

  const began = new Date(Date.now() - 80 * DAY_MS);
  await rotateKeys(path, began);
  strictEqual(await read(), began.getTime() / 1_000 + LIFETIME_S);

  const next = new Date(Date.now() + 5 * DAY_MS);
  await rotateKeys(path, next);
  strictEqual(await read(), next.getTime() / 1_000 + LIFETIME_S);
});
