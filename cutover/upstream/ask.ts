import { Agent, request as httpRequest } from "node:http";
import { BodyCapture } from "../exchange/body_capture.ts";
import { DRY_RUN_HEADER } from "../../contract/dry_run.ts";
import type {
  Asked,
  CapturedAnswer,
  CapturedRequest,
  HeaderLines,
  Silence,
} from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { isHopByHop, namedByConnection } from "../exchange/hop_by_hop.ts";

/** Of larger answers only the digest is kept, in bytes. */
const KEPT_BYTES = 262_144;
/** Longer ones aren't read to their end: twice what Lotline answers with at most, in bytes. */
const MOST_BYTES = 2 * 134_217_728;

/** A side that can be asked what it answers to a request that was captured. */
export interface Asker extends Disposable {
  /**
   * Sends the request anew. Never rejects: a side that gives no answer in `timeoutMs` is silent.
   *
   * @param extra headers that take the place of the request's own, names in lower case
   * @param keptBytes so much of its body is kept at most; of a larger one the digest
   */
  ask(
    request: CapturedRequest,
    timeoutMs: number,
    extra?: HeaderLines,
    keptBytes?: number,
  ): Promise<Asked>;
}

/**
 * A way to ask one side, beside the clients' own requests and on connections of its own.
 *
 * @param url the side's base address
 * @param connections the most at once
 */
export function createAsker(url: string, connections: number): Asker {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  const agent = new Agent({
    keepAlive: true,
    maxSockets: connections,
    maxFreeSockets: connections,
  });
  const ask: Asker["ask"] = (request, timeoutMs, extra = [], keptBytes = KEPT_BYTES) =>
    new Promise((resolve) => {
      const began = performance.now();
      const passed = () => performance.now() - began;
      const isSilent = (silence: Silence) => resolve({ silence, ms: passed() });
      try {
        const outgoing = httpRequest({
          host,
          port: port === "" ? 80 : Number(port),
          method: request.method,
          path: request.target,
          headers: headersToSend(request, extra),
          agent,
        });
        // A side may look at the type and the coding of an empty body, and not at those of none.
        if (!outgoing.hasHeader("content-length")) {
          outgoing.removeHeader("content-length");
          outgoing.removeHeader("transfer-encoding");
        }
        const timer = setTimeout(() => {
          isSilent("timeout");
          outgoing.destroy();
        }, timeoutMs);
        outgoing.on("close", () => clearTimeout(timer));
        outgoing.on("error", (error) => {
          isSilent("code" in error && error.code === "ECONNREFUSED" ? "refused" : "reset");
        });
        outgoing.on("response", (incoming) => {
          const capture = new BodyCapture(keptBytes);
          incoming.on("data", (chunk: Uint8Array) => {
            capture.append(chunk);
            if (capture.bytes <= MOST_BYTES) return;
            isSilent("too_large");
            outgoing.destroy();
          });
          incoming.on("error", () => isSilent("reset"));
          incoming.on("close", () => isSilent("reset"));
          incoming.on("end", () => {
            const { body = new Uint8Array(), digest } = capture;
            const answer: CapturedAnswer = {
              status: incoming.statusCode ?? 0,
              headers: linesOf(incoming.rawHeaders),
              body,
              ...(digest && { digest }),
              ms: passed(),
            };
            resolve(answer);
          });
        });
        outgoing.end(request.body.length > 0 ? request.body : undefined);
      } catch {
        // A target or a header that this client won't write.
        isSilent("not_asked");
      }
    });
  return {
    // When the side has just closed a kept connection, the client itself asks on another one. What is
    // asked here has no effect, so that does no harm.
    ask,
    [Symbol.dispose]: () => agent.destroy(),
  };
}

// What this client writes itself, and a proof that came from outside, which is nobody's.
const NOT_SENT = new Set(["content-length", "expect", "host", DRY_RUN_HEADER]);

function headersToSend(
  { headers, body }: CapturedRequest,
  extra: HeaderLines,
): Record<string, string[]> {
  const named = namedByConnection(headerOf(headers, "connection") ?? "", undefined);
  const replaced = new Set(extra.map(([name]) => name));
  const isLeftOut = (name: string) =>
    isHopByHop(name) || NOT_SENT.has(name) || named?.has(name) || replaced.has(name);
  const kept = headers.filter(([name]) => !isLeftOut(name.toLowerCase()));
  const sent = new Map<string, string[]>();
  for (const [name, value] of [...kept, ...extra]) {
    const lower = name.toLowerCase();
    const values = sent.get(lower);
    if (values === undefined) sent.set(lower, [value]);
    else values.push(value);
  }
  if (body.length > 0 || hasLength(headers)) sent.set("content-length", [String(body.length)]);
  return Object.fromEntries(sent);
}

/** Whether the client said how its body comes: there is one, be it empty. */
function hasLength(headers: HeaderLines): boolean {
  return headerOf(headers, "content-length") !== undefined ||
    headerOf(headers, "transfer-encoding") !== undefined;
}

function linesOf(raw: readonly string[]): HeaderLines {
  const lines: [string, string][] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return lines;
}
