import { gauges } from "../telemetry/gauges.ts";
import type { MetricsSource } from "../telemetry/metrics_server.ts";
import { readKeyFile } from "./key_file.ts";
import { MAX_SIGNING_DAYS, readKeyAges } from "./keys.ts";

const DAY_S = 86_400;

/**
 * When the signing key is due to be replaced. A key has no end of its own, and nothing stops at this
 * moment. A next key in the file counts from the moment that it signs.
 */
export function signingKeyMetrics(path: string): MetricsSource {
  return gauges("signing_key", [{
    name: "lotline_signing_key_end_timestamp_seconds",
    help: `When a key has signed for ${MAX_SIGNING_DAYS} days, in seconds since 1970.`,
    async read() {
      const [keys, { mtime }] = await Promise.all([readKeyFile(path), Deno.stat(path)]);
      const { since, next = since } = readKeyAges(keys, mtime ?? new Date());
      return next.getTime() / 1_000 + MAX_SIGNING_DAYS * DAY_S;
    },
  }]);
}
