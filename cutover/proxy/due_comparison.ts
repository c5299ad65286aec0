import { ALWAYS_KEPT_BYTES, BodyCapture } from "../exchange/body_capture.ts";
import type { ByteBudget } from "../exchange/byte_budget.ts";
import { CAUSES, type LostCause, type UnansweredCause } from "../evidence/coverage.ts";
import type { Attempt } from "../upstream/upstream_request.ts";
import type { ClientBody } from "./request_body.ts";
import type { Comparer } from "../shadow/observer.ts";
import type { Evidence } from "../evidence/evidence.ts";
import type { Asked, CapturedRequest, Silence } from "../exchange/exchange.ts";
import type { Failure } from "../upstream/connection.ts";
import type { FrontLimits } from "./server_limits.ts";
import { toHeaderLines } from "../exchange/hop_by_hop.ts";
import type { Way } from "./decide.ts";

/** What counting and keeping exchanges is made of; one for all requests. */
export interface DueDeps {
  readonly evidence: Evidence;
  readonly comparer: Pick<Comparer, "observe">;
  readonly limits: Pick<FrontLimits, "answerBytes">;
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
  dryRun: Asked | undefined;
  /** What Lotline made of the request, when the old server is asked in its place. */
  earlier: Asked | undefined;
  #isOpen = false;
  #capture: BodyCapture | undefined;
  /** What the request's long body has taken, in bytes. */
  #taken = 0;

  constructor(readonly deps: DueDeps, readonly way: Way) {
    this.isWanted = way.compared !== undefined;
  }

  /** Whether it is to be compared; a recording may want an exchange that nobody compares. */
  get isCounted(): boolean {
    return this.isWanted && this.way.known?.route.mode.name !== "legacy";
  }

  /** The request is whole: from now on it needs an outcome. */
  begin(): void {
    const { knownToBoth } = this.way;
    if (!this.isCounted || this.#isOpen || knownToBoth === undefined) return;
    this.#isOpen = true;
    this.deps.evidence.covered(knownToBoth.operation, knownToBoth.route, "due");
  }

  /** An answer is whole: from now on the comparer sees to the outcome. */
  observe(attempt: Attempt, ms: number, captured: () => CapturedRequest, at: number): void {
    const { knownToBoth } = this.way;
    const { answer, body, digest, side } = attempt;
    if (!this.isWanted || knownToBoth === undefined || answer === undefined) return;
    // A recording has no use for what is too large to be kept.
    const isOfUse = body !== undefined || this.isCounted;
    this.#close();
    if (!isOfUse) return;
    this.deps.comparer.observe({
      operation: knownToBoth.operation,
      route: knownToBoth.route,
      request: captured(),
      at,
      side,
      answer: {
        status: answer.status,
        headers: toHeaderLines(answer.headers),
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
    else this.#end("unanswered", CAUSES[silenceOf(kind)]);
  }

  /** What the next attempt's answer is gathered in, if somebody wants it. */
  newCapture(): BodyCapture | undefined {
    this.#capture?.release();
    if (!this.isWanted) return this.#capture = undefined;
    // A recording takes short bodies alone.
    const { answerBytes } = this.deps.limits;
    return this.#capture = this.isCounted
      ? new BodyCapture(answerBytes, this.deps.comparedBytes)
      : new BodyCapture(ALWAYS_KEPT_BYTES);
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
    body.keepAll();
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
    const { knownToBoth } = this.way;
    const isOpen = this.#isOpen;
    this.#close();
    if (!isOpen || knownToBoth === undefined) return;
    const { operation, route } = knownToBoth;
    this.deps.evidence.found({ operation, route, outcome, cause, approvals: [], differences: [] });
  }
}

/** What a failure means for comparing the answer. */
export function silenceOf(kind: Exclude<Failure["kind"], "busy">): Silence {
  return kind === "broken" ? "reset" : kind;
}

const NOTHING = new Uint8Array();
