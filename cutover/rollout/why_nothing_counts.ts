import { coverageOf, describeCauses, type OutcomeCounts } from "../evidence/coverage.ts";
import { isSafeOperation, type LegacyOperation } from "../exchange/operations.ts";
import type { Mode } from "../exchange/route.ts";
import { type MovedShare, NO_CANARY } from "../routes/moved_share.ts";
import { adviceOn } from "./advice.ts";
import type { Thresholds } from "./thresholds.ts";
import { confirmedOf, isCompared } from "./verdict.ts";

/** Why a route's evidence doesn't get enough, and what to do about it. */
export interface Hindrance {
  readonly why: string;
  readonly todo: string;
}

/** What was seen of a route since the last change of its mode. */
export interface SeenOfRoute {
  readonly operation: LegacyOperation;
  readonly mode: Mode;
  readonly samplePercent: number;
  readonly seconds: number;
  /** Requests that either upstream received. */
  readonly requests: number;
  /** The clients, and how many of them Lotline served; undefined: they aren't known. */
  readonly share: MovedShare | undefined;
  readonly outcomes: OutcomeCounts;
  readonly coverage: Readonly<Record<string, number>>;
}

/** A moment without traffic shows nothing. */
const MIN_SECONDS = 60;
const DAY_S = 86_400;

/** What keeps the evidence from being enough; empty where it is, or where only time is missing. */
export function whyNothingCounts(
  seen: SeenOfRoute,
  limits: Pick<
    Thresholds,
    "min_samples" | "window_seconds" | "lost_percent" | "silence_percent"
  >,
): Hindrance[] {
  if (seen.mode.name === "legacy") return [];
  if (seen.samplePercent === 0 && isCompared(seen)) {
    return [{
      why: "its sample is 0 %, so that no request is compared",
      todo: `deno task cutover sample ${seen.operation} 100 --why TEXT`,
    }];
  }
  if (seen.requests === 0) return seen.seconds < MIN_SECONDS ? [] : [noTraffic(seen)];
  const found = [
    oneSided(seen),
    lost(seen, limits.lost_percent),
    unanswered(seen, limits.silence_percent),
  ].filter((one) => one !== undefined);
  // What isn't compared at all has no pace.
  if (found.length > 0) return found;
  const quiet = tooQuiet(seen, limits);
  return quiet === undefined ? [] : [quiet];
}

/** A hindrance in one sentence. */
export function describeHindrance({ why, todo }: Hindrance): string {
  return `${why}. To do: ${todo}`;
}

function noTraffic({ operation, seconds }: SeenOfRoute): Hindrance {
  return {
    why: `no request has come since the last change, ${ago(seconds)} ago`,
    todo: `look whether clients send to the gateway's address; ${moreRequests(operation)}`,
  };
}

/** Requests that count come from clients, or, where they change nothing, from a command. */
function moreRequests(operation: LegacyOperation): string {
  return isSafeOperation(operation)
    ? "for a quiet plant: deno task cutover probe"
    : "a write needs clients, since nothing else may write";
}

/** All clients of a canary are on one side. */
function oneSided({ operation, mode, share }: SeenOfRoute): Hindrance | undefined {
  if (mode.name !== "canary" || share === undefined || share.clients === 0) return undefined;
  const { clients, movedClients, requests } = share;
  if (movedClients > 0 && movedClients < clients) return undefined;
  const from = clients === 1
    ? `all requests (${requests}) come from one client`
    : `all ${clients} clients (${requests} requests) are alike`;
  const side = movedClients === 0
    ? "on the old server's side, so that the canary moves nobody"
    : "on Lotline's side, so that the canary is no step" +
      (isSafeOperation(operation) ? "" : " and no write is compared");
  return { why: `${from}, and ${clients === 1 ? "it is" : "are"} ${side}`, todo: ONE_SIDE };
}

const ONE_SIDE = `name the proxy in TRUSTED_PROXIES if there is one. ${NO_CANARY}`;

function lost(seen: SeenOfRoute, limit: number): Hindrance | undefined {
  const { lost, due, lostPercent, lostBy } = coverageOf(seen);
  if (lost === 0 || lostPercent <= limit) return undefined;
  return {
    why: `${lost} of ${due} comparisons were lost (${describeCauses(lostBy)})`,
    todo: adviceOn(lostBy),
  };
}

function unanswered(seen: SeenOfRoute, limit: number): Hindrance | undefined {
  const { unanswered, unansweredBy } = coverageOf(seen);
  const all = confirmedOf(seen) + unanswered;
  if (unanswered === 0 || unanswered / all * 100 <= limit) return undefined;
  return {
    why: `${unanswered} of ${all} comparisons had no response (${describeCauses(unansweredBy)})`,
    todo: adviceOn(unansweredBy),
  };
}

/** At its pace, no window ever has enough samples. */
function tooQuiet(
  seen: SeenOfRoute,
  limits: Pick<Thresholds, "min_samples" | "window_seconds">,
): Hindrance | undefined {
  const { operation, seconds, requests } = seen;
  const samples = isCompared(seen) ? confirmedOf(seen) : requests;
  // A window that isn't full yet says nothing about the pace.
  if (seconds < Math.max(MIN_SECONDS, Math.min(limits.window_seconds, DAY_S))) return undefined;
  const inWindow = samples / seconds * limits.window_seconds;
  if (inWindow >= limits.min_samples) return undefined;
  const inDay = Math.floor(samples / seconds * DAY_S);
  return {
    why: `it is too quiet: about ${Math.floor(inWindow)} samples in a window of ` +
      `${limits.window_seconds} s, and a verdict needs ${limits.min_samples}`,
    todo: `${moreRequests(operation)}; or judge a day: deno task cutover limits ` +
      `window_seconds=${DAY_S} min_samples=${
        Math.min(50, Math.max(10, inDay))
      } --why "a quiet plant"`,
  };
}

function ago(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}
