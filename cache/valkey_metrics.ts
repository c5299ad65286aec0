import net from "node:net";
import tls from "node:tls";
import { Gauge, Registry } from "prom-client";
import { endOf } from "../db/certificates.ts";
import type { WatchedCertificate } from "../telemetry/certificates.ts";
import type { MetricsSource } from "../telemetry/metrics_server.ts";
import { withDeadline } from "../timing.ts";
import { parseValkeyAddress } from "./address.ts";
import type { Valkey } from "./valkey.ts";
import { isKnownReason } from "./valkey_check.ts";

const TIMEOUT_MS = 2_000;

/** Whether Valkey can be used, by a write when the metrics are read. */
export function valkeyMetrics(valkey: Pick<Valkey, "problem">): MetricsSource {
  const registry = new Registry();
  const registers = [registry];
  const usable = new Gauge({
    name: "lotline_valkey_usable",
    help: "1 when Valkey responds and accepts writes.",
    registers,
  });
  const problems = new Gauge({
    name: "lotline_valkey_problem",
    help: "1 for the reason why Valkey can't be used, as docs/metrics.md lists them.",
    labelNames: ["reason"],
    registers,
  });
  return {
    name: "valkey",
    async text() {
      const problem = await valkey.problem();
      usable.set(problem === undefined ? 1 : 0);
      problems.reset();
      if (problem !== undefined) {
        problems.set({ reason: isKnownReason(problem) ? problem : "other" }, 1);
      }
      return await registry.metrics();
    },
  };
}

/** The certificate of Valkey's server, as a connection gets it, and the one of `VALKEY_CA_FILE`. */
export function valkeyCertificates(
  url: string,
  caFile: string | undefined,
): readonly WatchedCertificate[] {
  const address = parseValkeyAddress(url);
  if (!address.tls) return [];
  return [
    { of: "valkey", readEnd: () => readServerEnd(address) },
    {
      of: "valkey_authority",
      readEnd: async () =>
        caFile === undefined ? undefined : endOf(await Deno.readTextFile(caFile)),
    },
  ];
}

/** Sends nothing: whether the certificate is trusted is the other connections' concern. */
async function readServerEnd(
  { host, port }: { readonly host: string; readonly port: number },
): Promise<Date> {
  const { promise, resolve, reject } = Promise.withResolvers<Date>();
  const socket = tls.connect({
    host,
    port,
    ...(net.isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: false,
  });
  socket.once("secureConnect", () => resolve(new Date(socket.getPeerCertificate().valid_to)));
  socket.on("error", reject);
  socket.once("close", () => reject(new Error("Valkey closes the connection")));
  return await withDeadline(promise, TIMEOUT_MS, () => {
    throw new Error(`no TLS with Valkey in ${TIMEOUT_MS} ms`);
  }).finally(() => socket.destroy());
}
