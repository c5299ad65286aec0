import { BodyCapture } from "../exchange/body_capture.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import { toHeaderLines } from "../exchange/hop_by_hop.ts";
import { headText, isHeaderLine, isToken } from "../exchange/response_head.ts";
import type { Failure, UpstreamListener } from "./connection.ts";
import type { UpstreamPool } from "./upstream.ts";
import { UpstreamRequest } from "./upstream_request.ts";

export interface SendOptions {
  readonly keptConnections: UpstreamListener["reusedConnections"];
  /** For the complete response, besides the upstream's own limits. */
  readonly timeoutMs?: number;
  /** A larger body is reduced to its digest. */
  readonly capturedBytes: number;
  /** A larger response is cancelled. */
  readonly maxBytes: number;
}

/** Why there is no complete response. */
export interface SendFailure {
  /** `invalid`: the request can't be sent; `too_large`: the response has more than `maxBytes`. */
  readonly kind: Failure["kind"] | "invalid" | "too_large";
  /** The system's message, if there is one. */
  readonly why?: string;
  /** A reused connection was reset before a response began: another one may work. */
  readonly isStale: boolean;
}

type SendResult = CapturedResponse | { readonly failure: SendFailure };

/**
 * Sends a request unchanged, so that its headers include `Host` and the body's length, and reads its
 * complete response. Never rejects.
 */
export function sendWhole(
  pool: UpstreamPool,
  request: CapturedRequest,
  { keptConnections, timeoutMs, capturedBytes, maxBytes }: SendOptions,
): Promise<SendResult> {
  const { method, target, headers, body } = request;
  const began = performance.now();
  if (!canBeSent(request)) {
    return Promise.resolve({ failure: { kind: "invalid", isStale: false } });
  }
  const { promise, resolve } = Promise.withResolvers<SendResult>();
  const capture = new BodyCapture(capturedBytes);
  const fail = (failure: SendFailure) => {
    clearTimeout(timer);
    resolve({ failure });
  };
  const cancel = (kind: "timeout" | "too_large") => {
    attempt.abort();
    fail({ kind, isStale: false });
  };
  const attempt = new UpstreamRequest(pool, method, keptConnections, {
    send(connection) {
      connection.write(headText(`${method} ${target} HTTP/1.1`, headers.flat()));
      if (body.length > 0) connection.write(body);
      connection.requestComplete();
    },
    drained() {},
    interim() {},
    responseBegins() {},
    responseContinues() {
      if (capture.bytes > maxBytes) cancel("too_large");
    },
    responseEnds({ response }) {
      clearTimeout(timer);
      if (response === undefined) return;
      const { body = new Uint8Array(), digest } = capture;
      resolve({
        status: response.status,
        headers: toHeaderLines(response.headers),
        body,
        ...(digest && { digest }),
        ms: performance.now() - began,
      });
    },
    failed({ response }, { kind, why, wasReused }) {
      const isStale = kind === "reset" && wasReused && response === undefined;
      fail({ kind, isStale, ...(why !== undefined && { why }) });
    },
  }, capture);
  const timer = timeoutMs === undefined
    ? undefined
    : setTimeout(() => cancel("timeout"), timeoutMs);
  pool.send(attempt);
  return promise;
}

/** Whether its head has no character that would change its meaning. */
function canBeSent({ method, target, headers }: CapturedRequest): boolean {
  return isToken(method) && /^[\x21-\xff]+$/.test(target) &&
    headers.every(([name, value]) => isHeaderLine(name, value));
}
