import { ALWAYS_CAPTURED_BYTES, BodyCapture } from "../exchange/body_capture.ts";
import type { ByteBudget } from "../exchange/byte_budget.ts";
import { CAUSES, type LostCause, type UnansweredCause } from "../evidence/coverage.ts";
import type { UpstreamRequest } from "../upstream/upstream_request.ts";
import type { ClientBody } from "./request_body.ts";
import type { Observer } from "../shadow/observer.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { CapturedRequest, Exchange, FailureKind } from "../exchange/exchange.ts";
import type { Failure } from "../upstream/connection.ts";
import type { GatewayServerLimits } from "./server_limits.ts";
import { toHeaderLines } from "../exchange/hop_by_hop.ts";
import type { Decision } from "./decide.ts";

/** What counting and keeping exchanges is made of; one for all requests. */
export interface DueDeps {
  readonly evidence: Evidence;
  readonly observer: Pick<Observer, "observe">;
  readonly limits: Pick<GatewayServerLimits, "responseBytes">;
  /** What long bodies of exchanges that are compared may take up. */
  readonly comparedBytes: ByteBudget;
}

/**
 * An exchange that somebody wants to see. When it is to be compared, it counts as due from the moment
 * at which its request is whole, and has one outcome whatever becomes of it: the comparer's, or one
 * from here.
 */
export class DueComparison {
  /** Whether somebody still wants to see the exchange. */
  isWanted: boolean;
  /** What Lotline would have made of a write. */
  dryRun: Exchange | undefined;
  /** What Lotline made of the request, when the old server is asked in its place. */
  earlier: Exchange | undefined;
  #isOpen = false;
  #capture: BodyCapture | undefined;
  /** What the request's long body has taken, in bytes. */
  #taken = 0;

  constructor(readonly deps: DueDeps, readonly decision: Decision) {
    this.isWanted = decision.compared !== undefined;
  }

  /** Whether it is to be compared; a recording may want an exchange that nobody compares. */
  get isCounted(): boolean {
    return this.isWanted && this.decision.decision?.route.mode.name !== "legacy";
  }

  /** The request is whole: from now on it needs an outcome. */
  begin(): void {
    const { comparable } = this.decision;
    if (!this.isCounted || this.#isOpen || comparable === undefined) return;
    this.#isOpen = true;
    this.deps.evidence.covered(comparable.operation, comparable.route, "due");
  }

  /** An answer is whole: from now on the comparer sees to the outcome. */
  observe(attempt: UpstreamRequest, ms: number, captured: () => CapturedRequest, at: number): void {
    const { comparable } = this.decision;
    const { answer: response, body, digest, upstream } = attempt;
    if (!this.isWanted || comparable === undefined || response === undefined) return;
    // A recording has no use for what is too large to be kept.
    const isOfUse = body !== undefined || this.isCounted;
    this.#close();
    if (!isOfUse) return;
    this.deps.observer.observe({
      operation: comparable.operation,
      route: comparable.route,
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

  /** The side that was to answer the client gave no answer. */
  failed(kind: Failure["kind"]): void {
    if (kind === "busy") this.lost("overload");
    else this.#end("unanswered", CAUSES[failureOf(kind)]);
  }

  /** What the next attempt's answer is gathered in, if somebody wants it. */
  newCapture(): BodyCapture | undefined {
    this.#capture?.release();
    if (!this.isWanted) return this.#capture = undefined;
    // A recording takes short bodies alone.
    const { responseBytes } = this.deps.limits;
    return this.#capture = this.isCounted
      ? new BodyCapture(responseBytes, this.deps.comparedBytes)
      : new BodyCapture(ALWAYS_CAPTURED_BYTES);
  }

  /**
   * Whether a body is waited for until it is whole, so that it can be compared. A short one that comes
   * slowly takes up nothing of a side; a long one waits for its share of the bytes while it is early.
   *
   * @param bytes that the body has at most
   */
  awaitsAll(body: ClientBody, bytes: number, isEarly: boolean): boolean {
    if (!this.isCounted) return false;
    if (!body.isLong || this.#taken > 0) return true;
    if (!this.deps.comparedBytes.take(bytes)) return isEarly;
    this.#taken = bytes;
    body.bufferAll();
    return true;
  }

  /** The request is over, and nothing of it is held here any more. */
  finish(cause: LostCause): void {
    this.lost(cause);
    this.#capture?.release();
    this.deps.comparedBytes.give(this.#taken);
    this.#taken = 0;
  }

  #close(): void {
    this.isWanted = false;
    this.#isOpen = false;
  }

  #end(outcome: "lost" | "unanswered", cause: LostCause | UnansweredCause): void {
    const { comparable } = this.decision;
    const isOpen = this.#isOpen;
    this.#close();
    if (!isOpen || comparable === undefined) return;
    const { operation, route } = comparable;
    this.deps.evidence.found({ operation, route, outcome, cause, approvals: [], differences: [] });
  }
}

/** What a failure means for comparing the answer. */
export function failureOf(kind: Exclude<Failure["kind"], "busy">): FailureKind {
  return kind === "broken" ? "reset" : kind;
}

const NOTHING = new Uint8Array();
