import type { Rule } from "../compare/approvals.ts";
import { changesBetween, compare, type Comparison, type Pair } from "../compare/compare.ts";
import { fieldsOf, serverError } from "../compare/conditions.ts";
import type { Outcome } from "../evidence/coverage.ts";
import type { Difference, Finding } from "../evidence/evidence.ts";
import {
  type CapturedRequest,
  type CapturedResponse,
  type Exchange,
  headerOf,
} from "../exchange/exchange.ts";
import type { Upstream } from "../exchange/route.ts";

export interface Unconfirmed extends Pair {
  /** The upstream whose response the client received. */
  readonly upstream: Upstream;
  readonly differences: readonly Difference[];
  readonly rules: readonly Rule[];
}

type Confirmed = Pick<Finding, "outcome" | "differences">;

export type SendAgain = (upstream: Upstream, request: CapturedRequest) => Promise<Exchange>;

/** The comparison of two responses of one upstream, and one of the other from between them. */
interface Bracket {
  /** The two are equal: no change of the data explains a difference. */
  readonly isUnchanged: boolean;
  /** The other upstream's response equals the second one. */
  readonly isEqual: boolean;
  /** The first of the two came after the wait. */
  readonly hasWaited: boolean;
  readonly roundsLeft: number;
}

export function readBracket(
  { isUnchanged, isEqual, hasWaited, roundsLeft }: Bracket,
): "raced" | "late" | "different" | "wait" | "again" | "inconclusive" {
  if (isEqual) return hasWaited ? "late" : "raced";
  if (isUnchanged) return hasWaited ? "different" : "wait";
  return roundsLeft > 0 ? "again" : "inconclusive";
}

const ROUNDS = 3;

/** Longer than Lotline's cache is stale after another writer's change, about 100 ms. */
const SETTLED_MS = 250;

/**
 * Determines whether the responses to a safe request differ because the data changed between them. The
 * request is sent again to the upstream that responded first. An equal response leads to one more
 * comparison of both a moment later, a changed one to another round, up to three times.
 */
export async function confirmRead(
  unconfirmed: Unconfirmed,
  sendAgain: SendAgain,
  wait: (ms: number) => Promise<void>,
): Promise<Confirmed> {
  const { operation, request, upstream, rules } = unconfirmed;
  const otherUpstream = upstream === "legacy" ? "service" : "legacy";
  const times = () => ({ ...unconfirmed.times, to: Date.now() });
  const send = async (of: Upstream) => comparableResponse(await sendAgain(of, request));
  const compareNow = (own: CapturedResponse, other: CapturedResponse) => {
    const [legacy, service] = upstream === "legacy" ? [own, other] : [other, own];
    return compare({ operation, request, times: times(), legacy, service }, rules);
  };
  const end = (outcome: Outcome, differences = unconfirmed.differences): Confirmed => ({
    outcome,
    differences,
  });

  if (await isOnlyOrder(unconfirmed, sendAgain)) return { outcome: "same", differences: [] };
  let { [upstream]: before, [otherUpstream]: other } = unconfirmed;
  let hasWaited = false;
  const changing = new Set<string>();
  const note = (changes: readonly Difference[]) => {
    for (const { place } of changes) changing.add(rootOf(place));
  };
  for (let roundsLeft = ROUNDS;; roundsLeft--) {
    const after = await send(upstream);
    if (after === undefined) return end("unanswered");
    const changes = changesBetween(before, after, { operation, request, times: times() });
    note(changes);
    const { outcome, differences } = compareNow(after, other);
    if (outcome === "lost") return end(outcome);
    const isEqual = outcome !== "different";
    const next = readBracket({ isUnchanged: changes.length === 0, isEqual, hasWaited, roundsLeft });
    if (next === "raced" || next === "late") return end(next);
    if (next === "different") return end(next, differences);
    if (next === "inconclusive") {
      // The data kept changing. A change of a place on either upstream explains a difference there.
      const explained = differences.every(({ place }) => isChanging(place, changing));
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

/** The place up to the first list in it: positions in a changed list mean nothing. */
function rootOf(place: string): string {
  return place.replace(/\[.*/, "");
}

function isChanging(place: string, changing: ReadonlySet<string>): boolean {
  // With another status everything differs. Links may appear and disappear between two responses, which
  // look unchanged then; a fault in the lists shows in lots that don't change.
  const root = rootOf(place);
  return changing.has("status") || changing.has(root) || LISTS.includes(root);
}

const LISTS: readonly string[] = ["body.parents", "body.children"];

/**
 * Whether one upstream responded 304 and the other 200 only because a trace's lots had another order
 * when the client received its validator: without conditions both responses are equal in other bytes.
 */
async function isOnlyOrder(
  { operation, request, legacy, service, times, rules }: Unconfirmed,
  sendAgain: SendAgain,
): Promise<boolean> {
  const statuses = new Set([legacy.status, service.status]);
  if (operation !== "getTraceability" || !statuses.has(304) || !statuses.has(200)) return false;
  const headers = request.headers.filter(([name]) => !/^if-/i.test(name));
  const plain: CapturedRequest = { ...request, method: "GET", headers };
  const old = comparableResponse(await sendAgain("legacy", plain));
  const now = comparableResponse(await sendAgain("service", plain));
  if (old === undefined || now === undefined) return false;
  const pair = { operation, request: plain, legacy: old, service: now, times };
  return areAlike(compare(pair, rules)) &&
    headerOf(old.headers, "etag") !== headerOf(now.headers, "etag");
}

/**
 * Determines whether a write's responses differ because the data changed between them, by a second dry
 * run after the old server has executed the write.
 */
export async function confirmWrite(
  unconfirmed: Unconfirmed,
  dryRunAgain: (request: CapturedRequest) => Promise<Exchange>,
): Promise<Confirmed> {
  const { operation, request, legacy, service, differences, rules } = unconfirmed;
  const times = () => ({ ...unconfirmed.times, to: Date.now() });
  // A code or reference that was missing may exist by now. The write itself has taken the lot's code, so
  // that its second dry run needs another one.
  const isMissed = operation === "createLot" && legacy.status === 201 && service.status === 409;
  const sent = isMissed ? withAnotherCode(request) : request;
  if (sent === undefined) return { outcome: "different", differences };
  const now = comparableResponse(await dryRunAgain(sent));
  if (now === undefined) return { outcome: "unanswered", differences };
  const isExplained = isMissed
    ? now.status === 201
    : areAlike(compare({ operation, request, legacy, service: now, times: times() }, rules));
  return { outcome: isExplained ? "raced" : "different", differences };
}

function areAlike({ outcome }: Comparison): boolean {
  return outcome === "same" || outcome === "approved";
}

/** The same lot under an unused code and id; undefined when the body can't be rewritten. */
function withAnotherCode(request: CapturedRequest): CapturedRequest | undefined {
  const fields = fieldsOf(request);
  if (fields === undefined) return undefined;
  const { id: _id, ...others } = fields;
  const body = JSON.stringify({ ...others, lot_code: `lotline-dry-run-${crypto.randomUUID()}` });
  const headers = request.headers.filter(([name]) => name.toLowerCase() !== "content-encoding");
  return { ...request, headers, body: new TextEncoder().encode(body) };
}

/**
 * The response to compare; undefined when the upstream failed or is unavailable, which counts as its
 * error and not as a difference.
 */
export function comparableResponse(sent: Exchange): CapturedResponse | undefined {
  if ("failure" in sent || UNAVAILABLE.has(sent.status)) return undefined;
  return DATABASE_UNAVAILABLE.test(serverError(sent)) ? undefined : sent;
}

const UNAVAILABLE = new Set([429, 502, 503, 504]);

// The old server's messages, with 500, when it has no connection to its database.
const DATABASE_UNAVAILABLE = new RegExp([
  "^Connection terminated",
  "^terminating connection ",
  "^connect E[A-Z]+ ",
  "^read ECONNRESET",
  "^write EPIPE",
  "^the database system is ",
  "^sorry, too many clients already",
  "^remaining connection slots are reserved",
  "^timeout exceeded when trying to connect",
  "^canceling statement due to ",
  "^cannot execute .* in a read-only transaction",
].join("|"));
