import { BodyCapture } from "../exchange/body_capture.ts";
import type { CapturedResponse, HeaderLines } from "../exchange/exchange.ts";
import { toHeaderLines } from "../exchange/hop_by_hop.ts";
import { isHeaderLine, isToken, type ResponseHead } from "../exchange/response_head.ts";
import type { Connection, Failure, UpstreamListener } from "./connection.ts";
import { headText } from "./request_text.ts";
import type { UpstreamPool } from "./upstream.ts";

/** A request that is there as a whole. */
export interface WholeRequest {
  readonly method: string;
  readonly target: string;
  /** As they are sent: what frames the body and names the host is among them. */
  readonly headers: HeaderLines;
  readonly body: Uint8Array;
}

/** How a request is sent. */
export interface SendOptions {
  readonly keptConnections: UpstreamListener["reusedConnections"];
  /** The whole response must have come by then, whatever the upstream's own limits are. */
  readonly timeoutMs?: number;
  /** So much of its body is kept at most; of a larger one the digest. */
  readonly capturedBytes: number;
  /** A larger one isn't read to its end. */
  readonly maxBytes: number;
}

/** Why there is no whole response. */
export interface SendFailure {
  /** `invalid`: the request can't be written; `too_large`: the response has more than `maxBytes`. */
  readonly kind: Failure["kind"] | "invalid" | "too_large";
  /** In the words of the system, where it said something. */
  readonly why?: string;
  /** A kept connection was reset before anything of a response came: another one may do. */
  readonly isStale: boolean;
  readonly ms: number;
}

/** Sends a request and reads its whole response. Never rejects. */
export function sendWhole(
  upstream: UpstreamPool,
  request: WholeRequest,
  options: SendOptions,
): Promise<CapturedResponse | { readonly failure: SendFailure }> {
  const { method, target, headers, body } = request;
  const began = performance.now();
  const ms = () => performance.now() - began;
  if (!canBeWritten(request)) {
    return Promise.resolve({ failure: { kind: "invalid", isStale: false, ms: ms() } });
  }
  const { promise, resolve } = Promise.withResolvers<
    CapturedResponse | { readonly failure: SendFailure }
  >();
  const capture = new BodyCapture(options.capturedBytes);
  let connection: Connection | undefined;
  let response: ResponseHead | undefined;
  let isOver = false;
  const end = (result: CapturedResponse | { readonly failure: SendFailure }) => {
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
      given.write(headText(method, target, headers.flat(), undefined));
      if (body.length > 0) given.write(body);
      given.wholeRequest();
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
    failed({ kind, why, wasReused: wasKept }) {
      const isStale = kind === "reset" && wasKept && response === undefined;
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

/** Whether nothing in it would be read as something else. */
function canBeWritten({ method, target, headers }: WholeRequest): boolean {
  return isToken(method) && /^[\x21-\xff]+$/.test(target) &&
    headers.every(([name, value]) => isHeaderLine(name, value));
}
