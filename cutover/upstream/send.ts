import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import {
  type CapturedRequest,
  type Exchange,
  type FailureKind,
  type HeaderLines,
  headerOf,
} from "../exchange/exchange.ts";
import { connectionOptions, isHopByHop } from "../exchange/hop_by_hop.ts";
import { type SendFailure, sendWhole } from "./send_whole.ts";
import { UpstreamPool } from "./upstream.ts";

/** A larger response is reduced to its digest. */
const MAX_CAPTURED_BYTES = 262_144;
/** A larger response is cancelled: twice Lotline's largest. */
const MAX_BYTES = 2 * 134_217_728;
/** Requests that wait for a connection: more than a gateway has in flight. */
const MAX_WAITING = 5_000;
/** The longest timeout of a gateway's or a command's request. */
const MAX_MS = 30_000;
/** A Node server closes an idle connection after 5 s. */
const IDLE_MS = 4_000;
const SWEEP_MS = 1_000;

/** Sends captured requests to one upstream, beside those of the clients. */
export interface Sender extends Disposable {
  /**
   * Sends the request again. Never rejects.
   *
   * @param extra headers that replace the request's own, names in lower case
   * @param capturedBytes a larger body is reduced to its digest
   */
  send(
    request: CapturedRequest,
    timeoutMs: number,
    extra?: HeaderLines,
    capturedBytes?: number,
  ): Promise<Exchange>;
}

/** Opens a pool of its own to the upstream with this base address. */
export function createSender(url: string, connections: number): Sender {
  const upstream = new UpstreamPool(url, {
    connections,
    waiting: MAX_WAITING,
    connectMs: MAX_MS,
    responseTimeoutMs: MAX_MS,
    idleMs: IDLE_MS,
    recentMs: IDLE_MS,
  });
  const sweeper = setInterval(() => upstream.sweep(performance.now()), SWEEP_MS);
  Deno.unrefTimer(sweeper);
  return {
    async send(request, timeoutMs, extra = [], capturedBytes = MAX_CAPTURED_BYTES) {
      const began = performance.now();
      const headers = headersToSend(request, extra, upstream.authority);
      const send = (keptConnections: "any" | "none") =>
        sendWhole(upstream, { ...request, headers }, {
          keptConnections,
          timeoutMs: timeoutMs - (performance.now() - began),
          capturedBytes,
          maxBytes: MAX_BYTES,
        });
      const first = await send("any");
      // The upstream had just closed the connection. Requests sent here have no effect, so that one may
      // be sent twice.
      const sent = "failure" in first && first.failure.isStale ? await send("none") : first;
      const ms = performance.now() - began;
      return "failure" in sent ? { failure: failureKindOf(sent.failure), ms } : { ...sent, ms };
    },
    [Symbol.dispose]() {
      clearInterval(sweeper);
      upstream.close();
    },
  };
}

function failureKindOf({ kind, why }: SendFailure): FailureKind {
  if (kind === "busy" || kind === "invalid") return "not_asked";
  if (kind === "broken") return "reset";
  // An upstream that accepts a connection and resets it at once is running.
  return kind === "refused" && !why?.includes("ECONNREFUSED") ? "reset" : kind;
}

// Replaced below; the proof of a dry run is accepted from the gateway only.
const NOT_SENT = new Set(["content-length", "expect", "host", DRY_RUN_HEADER]);

function headersToSend(
  { headers, body }: CapturedRequest,
  extra: HeaderLines,
  host: string,
): HeaderLines {
  const options = connectionOptions(headerOf(headers, "connection") ?? "", undefined);
  const replaced = new Set(extra.map(([name]) => name));
  const isLeftOut = (name: string) =>
    isHopByHop(name) || NOT_SENT.has(name) || options?.has(name) || replaced.has(name);
  return [
    ["Host", host],
    ...headers.filter(([name]) => !isLeftOut(name.toLowerCase())),
    ...extra,
    // An upstream may read the type and the coding of an empty body, and not those of none.
    ...(body.length > 0 || hasLength(headers)
      ? [["Content-Length", String(body.length)] as const]
      : []),
  ];
}

/** Whether the request has a body, which may be empty. */
function hasLength(headers: HeaderLines): boolean {
  return headerOf(headers, "content-length") !== undefined ||
    headerOf(headers, "transfer-encoding") !== undefined;
}
