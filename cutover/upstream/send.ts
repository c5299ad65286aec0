import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import type { CapturedRequest, Exchange, FailureKind, HeaderLines } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { isHopByHop, namedByConnection } from "../exchange/hop_by_hop.ts";
import { type SendFailure, sendWhole } from "./send_whole.ts";
import { UpstreamPool } from "./upstream.ts";

/** Of larger responses only the digest is kept, in bytes. */
const MAX_CAPTURED_BYTES = 262_144;
/** Longer ones aren't read to their end: twice what Lotline responds with at most, in bytes. */
const MAX_BYTES = 2 * 134_217_728;
/** Requests that wait for a connection: more than a gateway has in flight. */
const MAX_WAITING = 5_000;
/** No request of a gateway or a command is given more time, in ms. */
const MAX_MS = 30_000;
/** A Node server closes an idle connection after 5 s. */
const IDLE_MS = 4_000;
const SWEEP_MS = 1_000;

/** An upstream that is sent requests which were captured, beside those of the clients. */
export interface Sender extends Disposable {
  /**
   * Sends the request anew. Never rejects: an upstream without a response in `timeoutMs` has failed.
   *
   * @param extra headers that take the place of the request's own, names in lower case
   * @param capturedBytes so much of its body is kept at most; of a larger one the digest
   */
  send(
    request: CapturedRequest,
    timeoutMs: number,
    extra?: HeaderLines,
    capturedBytes?: number,
  ): Promise<Exchange>;
}

/**
 * Sends requests to one upstream on connections of their own.
 *
 * @param url the upstream's base address
 * @param connections the most at once
 */
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
      const { method, target, body } = request;
      const headers = headersToSend(request, extra, upstream.authority);
      const send = (keptConnections: "any" | "none") =>
        sendWhole(upstream, { method, target, headers, body }, {
          keptConnections,
          timeoutMs: timeoutMs - (performance.now() - began),
          capturedBytes,
          maxBytes: MAX_BYTES,
        });
      const first = await send("any");
      // The upstream had just closed the connection. What is sent here has no effect, so that it may
      // be sent twice.
      const sent = "failure" in first && first.failure.isStale ? await send("none") : first;
      const ms = performance.now() - began;
      return "failure" in sent ? { failure: silenceOf(sent.failure), ms } : { ...sent, ms };
    },
    [Symbol.dispose]() {
      clearInterval(sweeper);
      upstream.close();
    },
  };
}

function silenceOf({ kind, why }: SendFailure): FailureKind {
  // An upstream that accepts a connection and resets it at once is there.
  return kind === "refused" && !why?.includes("ECONNREFUSED") ? "reset" : SILENCES[kind];
}

const SILENCES: Readonly<Record<SendFailure["kind"], FailureKind>> = {
  refused: "refused",
  reset: "reset",
  broken: "reset",
  timeout: "timeout",
  too_large: "too_large",
  busy: "not_asked",
  invalid: "not_asked",
};

// What is written anew, and a proof that came from outside, which is nobody's.
const NOT_SENT = new Set(["content-length", "expect", "host", DRY_RUN_HEADER]);

function headersToSend(
  { headers, body }: CapturedRequest,
  extra: HeaderLines,
  host: string,
): HeaderLines {
  const named = namedByConnection(headerOf(headers, "connection") ?? "", undefined);
  const replaced = new Set(extra.map(([name]) => name));
  const isLeftOut = (name: string) =>
    isHopByHop(name) || NOT_SENT.has(name) || named?.has(name) || replaced.has(name);
  return [
    ["Host", host],
    ...headers.filter(([name]) => !isLeftOut(name.toLowerCase())),
    ...extra,
    // An upstream may look at the type and the coding of an empty body, and not at those of none.
    ...(body.length > 0 || hasLength(headers)
      ? [["Content-Length", String(body.length)] as const]
      : []),
  ];
}

/** Whether the client said how its body comes: there is one, be it empty. */
function hasLength(headers: HeaderLines): boolean {
  return headerOf(headers, "content-length") !== undefined ||
    headerOf(headers, "transfer-encoding") !== undefined;
}
