import type { Rule } from "../compare/approvals.ts";
import { changesBetween, compare, type Comparison, type Pair } from "../compare/compare.ts";
import { fieldsOf } from "../compare/conditions.ts";
import type { Outcome } from "../evidence/coverage.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { CapturedRequest, CapturedResponse, Exchange } from "../exchange/exchange.ts";
import { headerOf } from "../exchange/header_value.ts";
import { withinDeadline } from "./no_response.ts";
import type { Upstream } from "../exchange/route.ts";

/** A difference that was seen, and all that is needed to find out whether it is one. */
export interface Suspicion extends Pair {
  /** The side that answered the client. */
  readonly upstream: Upstream;
  readonly differences: readonly Difference[];
  readonly rules: readonly Rule[];
}

/** What a suspicion turned out to be. */
export interface Confirmed {
  readonly outcome: Outcome;
  readonly differences: readonly Difference[];
}

/** Asks a side again. */
export type SendAgain = (upstream: Upstream, request: CapturedRequest) => Promise<Exchange>;

/** What is known after the side that answered first was asked again, after the other one. */
interface Bracket {
  /** Whether it answered the same as before: no change of the data explains a difference. */
  readonly isStill: boolean;
  /** Whether the other side's answer, from between the two, equals the second one. */
  readonly isEqual: boolean;
  /** Whether the first of the two came after the wait. */
  readonly hasWaited: boolean;
  readonly roundsLeft: number;
}

/** What follows from a bracket: a verdict, or what to do next. */
export function readBracket(
  { isStill, isEqual, hasWaited, roundsLeft }: Bracket,
): "raced" | "late" | "different" | "wait" | "again" | "unsettled" {
  if (isEqual) return hasWaited ? "late" : "raced";
  if (isStill) return hasWaited ? "different" : "wait";
  return roundsLeft > 0 ? "again" : "unsettled";
}

const ROUNDS = 3;

/** Longer than Lotline's cache stays behind what others write (about 100 ms), in ms. */
const SETTLED_MS = 250;

/**
 * Finds out whether two answers to a harmless request differ because the data changed between them: the
 * side that answered first is asked again. If it says the same, both are asked once more a moment
 * later; if not, its new answer is held against the other side's, up to three times.
 */
export async function confirmRead(
  suspicion: Suspicion,
  sendAgain: SendAgain,
  wait: (ms: number) => Promise<void>,
): Promise<Confirmed> {
  const { operation, request, upstream, rules } = suspicion;
  const otherUpstream = upstream === "legacy" ? "service" : "legacy";
  const times = () => ({ ...suspicion.times, to: Date.now() });
  const send = async (of: Upstream) => withinDeadline(await sendAgain(of, request));
  const compareNow = (own: CapturedResponse, other: CapturedResponse) =>
    compare({ operation, request, times: times(), ...asPair(upstream, own, other) }, rules);
  const end = (outcome: Outcome, differences = suspicion.differences): Confirmed => ({
    outcome,
    differences,
  });

  if (await isOnlyOrder(suspicion, sendAgain)) return { outcome: "same", differences: [] };
  let { [upstream]: before, [otherUpstream]: other } = suspicion;
  let hasWaited = false;
  const moving = new Set<string>();
  const note = (changes: readonly Difference[]) => {
    for (const { place } of changes) moving.add(rootOf(place));
  };
  for (let roundsLeft = ROUNDS;; roundsLeft--) {
    const after = await send(upstream);
    if (after === undefined) return end("unanswered");
    const changes = changesBetween(before, after, { operation, request, times: times() });
    note(changes);
    const { outcome, differences } = compareNow(after, other);
    if (outcome === "lost") return end(outcome);
    const isEqual = outcome !== "different";
    const next = readBracket({ isStill: changes.length === 0, isEqual, hasWaited, roundsLeft });
    if (next === "raced" || next === "late") return end(next);
    if (next === "different") return end(next, differences);
    if (next === "unsettled") {
      // The data never stood still. What moved on either side explains a difference in that place.
      const explained = differences.every(({ place }) => isMoving(place, moving));
      return end(explained ? "raced" : "different", differences);
    }
    if (next === "wait") {
      await wait(SETTLED_MS);
      hasWaited = true;
    }
    const own = next === "wait" ? await send(upstream) : after;
    const sent = await send(otherUpstream);
    if (own === undefined || sent === undefined) return end("unanswered");
    note(changesBetween(other, sent, { operation, request, times: times() }));
    [before, other] = [own, sent];
    const { outcome: confirmed } = compareNow(before, other);
    if (confirmed === "lost") return end(confirmed);
    if (confirmed !== "different") return end(hasWaited ? "late" : "raced");
  }
}

function asPair(
  upstream: Upstream,
  own: CapturedResponse,
  other: CapturedResponse,
): Pick<Pair, "legacy" | "service"> {
  return upstream === "legacy" ? { legacy: own, service: other } : { legacy: other, service: own };
}

/** The place, up to the first list in it: positions mean nothing when the list has changed. */
function rootOf(place: string): string {
  return place.replace(/\[.*/, "");
}

function isMoving(place: string, moving: ReadonlySet<string>): boolean {
  // With another status, all of the answer is another. Links may come and go between two looks, so that
  // the lists look still; a fault in them shows in lots that are.
  const root = rootOf(place);
  return moving.has("status") || moving.has(root) || LISTS.includes(root);
}

const LISTS: readonly string[] = ["body.parents", "body.children"];

/**
 * Whether one side said "not modified" and the other didn't just because a trace's lots came in another
 * order when the client got its validator: without conditions both say the same, in other bytes.
 */
async function isOnlyOrder(
  { operation, request, legacy, service, times, rules }: Suspicion,
  sendAgain: SendAgain,
): Promise<boolean> {
  const statuses = new Set([legacy.status, service.status]);
  if (operation !== "getTraceability" || !statuses.has(304) || !statuses.has(200)) return false;
  const headers = request.headers.filter(([name]) => !/^if-/i.test(name));
  const plain: CapturedRequest = { ...request, method: "GET", headers };
  const old = withinDeadline(await sendAgain("legacy", plain));
  const now = withinDeadline(await sendAgain("service", plain));
  if (old === undefined || now === undefined) return false;
  const pair = { operation, request: plain, legacy: old, service: now, times };
  return isAlike(compare(pair, rules)) &&
    headerOf(old.headers, "etag") !== headerOf(now.headers, "etag");
}

/**
 * Finds out whether a write's two answers differ because the data changed between them: Lotline is
 * asked for its dry run once more, after the old server has executed the write.
 */
export async function confirmWrite(
  suspicion: Suspicion,
  dryRunAgain: (request: CapturedRequest) => Promise<Exchange>,
): Promise<Confirmed> {
  const { operation, request, legacy, service, differences, rules } = suspicion;
  const times = () => ({ ...suspicion.times, to: Date.now() });
  // A code or reference that was missing may be there by now. The write itself has taken the code of a
  // lot, so for that question it needs another one.
  const isMissed = operation === "createLot" && legacy.status === 201 && service.status === 409;
  const sent = isMissed ? withAnotherCode(request) : request;
  if (sent === undefined) return { outcome: "different", differences };
  const now = withinDeadline(await dryRunAgain(sent));
  if (now === undefined) return { outcome: "unanswered", differences };
  const isExplained = isMissed
    ? now.status === 201
    : isAlike(compare({ operation, request, legacy, service: now, times: times() }, rules));
  return { outcome: isExplained ? "raced" : "different", differences };
}

function isAlike({ outcome }: Comparison): boolean {
  return outcome === "same" || outcome === "approved";
}

/** The same lot under a code and an id that nobody has; nothing when the body can't be rewritten. */
function withAnotherCode(request: CapturedRequest): CapturedRequest | undefined {
  const fields = fieldsOf(request);
  if (fields === undefined) return undefined;
  const { id: _id, ...others } = fields;
  const body = JSON.stringify({ ...others, lot_code: `lotline-dry-run-${crypto.randomUUID()}` });
  const headers = request.headers.filter(([name]) => name.toLowerCase() !== "content-encoding");
  return { ...request, headers, body: new TextEncoder().encode(body) };
}
