import { Gauge, Registry } from "prom-client";
import { withDeadline } from "../timing.ts";
import type { MetricsSource } from "./metrics_server.ts";

/** A certificate whose end is watched. */
export interface WatchedCertificate {
  /** The label; of a fixed list. */
  readonly of: string;
  /** Until when it is valid; undefined: there is none. May throw. */
  readonly readEnd: () => Promise<Date | undefined>;
}

/** A renewed certificate is seen after this long at most, in ms. */
const EVERY_MS = 600_000;
/** How long the first reading may delay a response, in ms. */
const FIRST_MS = 1_000;

/** The ends of certificates, which are read in the background when the metrics are. */
export function certificateMetrics(
  certificates: readonly WatchedCertificate[],
  now: () => number = () => performance.now(),
): MetricsSource {
  const registry = new Registry();
  const ends = new Gauge({
    name: "lotline_certificate_end_timestamp_seconds",
    help: "Until when a certificate is valid, in seconds since 1970.",
    labelNames: ["of"],
    registers: [registry],
  });
  const readAll = async () => {
    await Promise.all(certificates.map(async ({ of, readEnd }) => {
      try {
        const end = await readEnd();
        if (end === undefined) ends.remove({ of });
        else ends.set({ of }, end.getTime() / 1_000);
      } catch {
        // What was read last stays true. A server that is away, or a file that can't be read, has
        // events and series of its own.
      }
    }));
  };
  let last: { readonly at: number; readonly reading: Promise<void> } | undefined;
  return {
    name: "certificates",
    async text() {
      const isFirst = last === undefined;
      if (last === undefined || now() - last.at >= EVERY_MS) {
        last = { at: now(), reading: readAll() };
      }
      if (isFirst) await withDeadline(last.reading, FIRST_MS, () => {});
      return await registry.metrics();
    },
  };
}
