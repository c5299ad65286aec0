import { ALWAYS_CAPTURED_BYTES, BodyCapture } from "../exchange/body_capture.ts";
import { CAUSES, type LostCause, type UnansweredCause } from "../evidence/coverage.ts";
import type { ClientBody } from "./request_body.ts";
import type { CapturedRequest, Exchange, FailureKind } from "../exchange/exchange.ts";
import type { Failure, UpstreamRequest } from "../upstream/connection.ts";
import type { ProxyDeps } from "./proxied_request_deps.ts";
import { toHeaderLines } from "../exchange/hop_by_hop.ts";
import type { Upstream } from "../exchange/route.ts";
import type { Decision } from "./decide.ts";

type DueDeps = Pick<ProxyDeps<unknown>, "evidence" | "observer" | "limits" | "comparedBytes">;

/**
 * The observation of one exchange. An exchange that is to be compared counts as due when its request is
 * complete, and has exactly one outcome: the comparison's, or one from here.
 */
export class DueComparison {
  /** Whether the exchange is still to be observed. */
  isWanted: boolean;
  dryRun: Exchange | undefined;
  /** Lotline's response to the request itself, when the old server responds in its place. */
  earlier: Exchange | undefined;
  #isDue = false;
  #capture: BodyCapture | undefined;
  /** What the request's long body has reserved, in bytes. */
  #reserved = 0;

  constructor(readonly deps: DueDeps, readonly decision: Decision) {
    this.isWanted = decision.compared !== undefined;
  }

  /** Whether it is to be compared; on `legacy` routes exchanges are only recorded. */
  get isCompared(): boolean {
    return this.isWanted && this.decision.route?.mode.name !== "legacy";
  }

  /** The request is complete: from here on the exchange needs an outcome. */
  begin(): void {
    const { comparable, route } = this.decision;
    if (!this.isCompared || this.#isDue || comparable === undefined || route === undefined) return;
    this.#isDue = true;
    this.deps.evidence.covered(comparable, route, "due");
  }

  /** The response is complete: from here on the observer is responsible for the outcome. */
  observe(
    { response, capture }: UpstreamRequest,
    upstream: Upstream,
    ms: number,
    at: number,
    captured: () => CapturedRequest,
  ): void {
    const { comparable: operation, route } = this.decision;
    if (!this.isWanted || !operation || !route || response === undefined) return;
    const { body, digest } = capture ?? {};
    const isTooLargeToRecord = body === undefined && !this.isCompared;
    this.#close();
    if (isTooLargeToRecord) return;
    this.deps.observer.observe({
      operation,
      route,
      request: captured(),
      at,
      upstream,
      response: {
        status: response.status,
        headers: toHeaderLines(response.headers),
        body: body ?? NOTHING,
        ...(digest && { digest }),
        ms,
      },
      ...(this.dryRun && { dryRun: this.dryRun }),
      ...(this.earlier && { earlier: this.earlier }),
    });
  }

  lost(cause: LostCause): void {
    this.#end("lost", cause);
  }

  /** The client's request got no response. */
  failed(kind: Failure["kind"]): void {
    if (kind === "busy") this.lost("overload");
    else this.#end("unanswered", CAUSES[failureOf(kind)]);
  }

  /** The capture for the next response; undefined when the exchange isn't observed. */
  newCapture(): BodyCapture | undefined {
    this.#capture?.release();
    if (!this.isWanted) return this.#capture = undefined;
    // Recordings hold short bodies only.
    return this.#capture = this.isCompared
      ? new BodyCapture(this.deps.limits.responseBytes, this.deps.comparedBytes)
      : new BodyCapture(ALWAYS_CAPTURED_BYTES);
  }

  /**
   * Whether the request waits for its complete body, so that it can be compared. A short body that
   * arrives slowly occupies no upstream. A long one waits for its share of the budget while it is early.
   *
   * @param maxBytes of the body
   */
  waitsFor(body: ClientBody, maxBytes: number, isEarly: boolean): boolean {
    if (!this.isCompared) return false;
    if (!body.isLong || this.#reserved > 0) return true;
    if (!this.deps.comparedBytes.reserve(maxBytes)) return isEarly;
    this.#reserved = maxBytes;
    body.bufferAll();
    return true;
  }

  /** The request is finished, and its memory is free. */
  finish(cause: LostCause): void {
    this.lost(cause);
    this.#capture?.release();
    this.deps.comparedBytes.release(this.#reserved);
    this.#reserved = 0;
  }

  #close(): void {
    this.isWanted = false;
    this.#isDue = false;
  }

  #end(outcome: "lost" | "unanswered", cause: LostCause | UnansweredCause): void {
    const { comparable: operation, route } = this.decision;
    const wasDue = this.#isDue;
    this.#close();
    if (!wasDue || operation === undefined || route === undefined) return;
    this.deps.evidence.found({ operation, route, outcome, cause, approvals: [], differences: [] });
  }
}

export function failureOf(kind: Exclude<Failure["kind"], "busy">): FailureKind {
  return kind === "broken" ? "reset" : kind;
}

const NOTHING = new Uint8Array();
