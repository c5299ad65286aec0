import { BodyCapture } from "../exchange/body_capture.ts";
import type { CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { headText } from "../exchange/head_text.ts";
import { toHeaderLines } from "../exchange/hop_by_hop.ts";
import { isHeaderLine, isToken, type ResponseHead } from "../exchange/response_head.ts";
import type { Connection, Failure, UpstreamListener } from "./connection.ts";
import type { UpstreamPool } from "./upstream.ts";

/** A request with its complete body. */
export interface CompleteRequest {
  readonly method: string;
  readonly target: string;
  /** Sent unchanged: including `Host` and the body's length. */
  readonly headers: HeaderLines;
  readonly body: Uint8Array;
}

/** How a request is sent. */
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
  readonly ms: number;
}

type SendResult = CapturedResponse | { readonly failure: SendFailure };

/** Sends a request and reads its complete response. Never rejects. */
export function sendWhole(
  upstream: UpstreamPool,
  request: CompleteRequest,
  options: SendOptions,
): Promise<SendResult> {
  const { method, target, headers, body } = request;
  const began = performance.now();
  const ms = () => performance.now() - began;
  if (!canBeSent(request)) {
    return Promise.resolve({ failure: { kind: "invalid", isStale: false, ms: ms() } });
  }
  const { promise, resolve } = Promise.withResolvers<SendResult>();
  const capture = new BodyCapture(options.capturedBytes);
  let connection: Connection | undefined;
  let response: ResponseHead | undefined;
  let isOver = false;
  const end = (result: SendResult) => {
    isOver = true;
    clearTimeout(timer);
    resolve(result);
  };
  const fail = (failure: Omit<SendFailure, "ms">) => {
    if (!isOver) end({ failure: { ...failure, ms: ms() } });
  };
  const cancel = (kind: "timeout" | "too_large") => {
    fail({ kind, isStale: false });
    if (connection === undefined) upstream.remove(sender);
    else connection.destroy();
  };
  const sender: UpstreamListener = {
    method,
    reusedConnections: options.keptConnections,
    ready(given) {
      connection = given;
      given.write(headText(`${method} ${target} HTTP/1.1`, headers.flat()));
      if (body.length > 0) given.write(body);
      given.requestComplete();
    },
    drained() {},
    interim() {},
    head(head) {
      response = head;
    },
    data(chunk) {
      capture.append(chunk);
      if (capture.bytes > options.maxBytes) cancel("too_large");
    },
    end(last) {
      if (isOver || response === undefined) return;
      if (last !== undefined) capture.append(last);
      const { body = new Uint8Array(), digest } = capture;
      const { status } = response;
      const lines = toHeaderLines(response.headers);
      end({ status, headers: lines, body, ...(digest && { digest }), ms: ms() });
    },
    failed({ kind, why, wasReused }) {
      const isStale = kind === "reset" && wasReused && response === undefined;
      fail({ kind, isStale, ...(why !== undefined && { why }) });
    },
  };
  const { timeoutMs } = options;
  const timer = timeoutMs === undefined
    ? undefined
    : setTimeout(() => cancel("timeout"), timeoutMs);
  upstream.send(sender);
  return promise;
}

/** Whether its head has no character that would change its meaning. */
function canBeSent({ method, target, headers }: CompleteRequest): boolean {
  return isToken(method) && /^[\x21-\xff]+$/.test(target) &&
    headers.every(([name, value]) => isHeaderLine(name, value));
}
