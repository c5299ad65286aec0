import type { Log } from "../../log.ts";
import type { Rule } from "../compare/approvals.ts";
import { type Asker, createAsker } from "../upstream/ask.ts";
import { compare } from "../compare/compare.ts";
import { CAUSES, type LostCause, type UnansweredCause } from "../evidence/coverage.ts";
import { type Confirmed, confirmRead, confirmWrite } from "./confirm.ts";
import { createDryRuns, type DryRunLimits } from "./dry_runs.ts";
import type { Evidence, Finding } from "../evidence/evidence.ts";
import type {
  Asked,
  CapturedAnswer,
  CapturedRequest,
  HeaderLines,
  Observation,
} from "../exchange/exchange.ts";
import { answerBytesOf, comparedBytesOf } from "../exchange/compared_bytes.ts";
import { headerOf } from "../exchange/header_value.ts";
import { answerIn } from "./no_response.ts";
import { isHarmless, type OldOperation } from "../exchange/operations.ts";
import { openBecause, plainAnswer } from "../compare/comparable.ts";
import type { Redactor } from "../redact/redact.ts";
import type { Route, Side } from "../exchange/route.ts";

/** Compares the two sides beside the clients' traffic. Nothing here throws or slows an answer down. */
export interface Shadow extends Disposable {
  /** Whether this request is to be compared, by its route's share. */
  wants(operation: OldOperation, route: Route): boolean;
  /** Asks Lotline what it would answer to a write, without effect; within 300 ms. */
  dryRun(request: CapturedRequest, operation: OldOperation, route: Route): Promise<Asked>;
  /** Compares in the background; what finds no place in the queue is counted as `lost`. */
  observe(observation: Observation): void;
  /** Resolves when nothing waits any more, or when the time is over. */
  drain(ms: number): Promise<void>;
}

/** Bounds of comparing. */
export interface ShadowLimits extends DryRunLimits {
  /** How many exchanges may wait or be under way, and how many bytes of them. */
  readonly waiting: number;
  readonly waitingBytes: number;
  /** The most bytes of an answer that are compared one by one. */
  readonly answerBytes: number;
  /** How many are compared at once. */
  readonly atOnce: number;
  /** How long a side has for an answer that no client waits for, in ms. */
  readonly askMs: number;
  /** How far the servers' and the database's clocks may be from this one, in ms. */
  readonly clocksApartMs: number;
}

const LIMITS: ShadowLimits = {
  waiting: 1_000,
  waitingBytes: comparedBytesOf(0),
  answerBytes: answerBytesOf(0),
  atOnce: 8,
  askMs: 10_000,
  clocksApartMs: 5 * 60_000,
  writeMs: 300,
  silences: 3,
  pauseMs: 1_000,
};

/** Writes that wait for their dry run have connections of their own. */
const DRY_RUN_CONNECTIONS = 32;

/** What comparing needs. */
export interface ShadowOptions {
  readonly legacyUrl: string;
  readonly serviceUrl: string;
  readonly dryRunSecret: string;
  readonly rules: readonly Rule[];
  readonly evidence: Evidence;
  readonly redactor: Redactor;
  readonly log: Log;
  readonly limits?: Partial<ShadowLimits>;
}

/** Starts comparing. */
export function createShadow(options: ShadowOptions): Shadow {
  const { evidence, redactor, rules, log } = options;
  const limits = { ...LIMITS, ...options.limits };
  const askers: Record<Side, Asker> = {
    legacy: createAsker(options.legacyUrl, limits.atOnce),
    service: createAsker(options.serviceUrl, limits.atOnce),
  };
  const forDryRuns = createAsker(options.serviceUrl, DRY_RUN_CONNECTIONS);
  const routes = new WeakMap<CapturedRequest, { operation: OldOperation; route: Route }>();
  const dryRuns = createDryRuns({
    asker: forDryRuns,
    secret: options.dryRunSecret,
    log,
    limits,
    onEffect: ({ status }, request) => {
      const of = routes.get(request);
      if (of === undefined) return;
      const service = `${status} without x-lotline-dry-run: done`;
      const differences = [{ place: "dry run", service }];
      evidence.found({ ...of, outcome: "different", approvals: [], differences });
    },
  });

  const answered = (operation: OldOperation, route: Route, side: Side, asked: Asked) => {
    if ("silence" in asked && asked.silence === "not_asked") return;
    evidence.answered(operation, route, side, "silence" in asked ? 0 : asked.status, asked.ms);
  };

  const askAgain = ({ operation, route, request: known, answer }: Observation) => {
    const keptBytes = keptBytesFor(known, answer);
    const isDryRun = !isHarmless(operation) || operation === "login";
    return (side: Side, request: CapturedRequest): Promise<Asked> => {
      const extra = idOf(known);
      if (side === "legacy" || !isDryRun) {
        return askers[side].ask(request, limits.askMs, extra, keptBytes);
      }
      routes.set(request, { operation, route });
      return dryRuns.patiently(request, limits.askMs, extra, keptBytes);
    };
  };

  // A side that is asked the same says about as much: what is held is in proportion to what waits.
  const keptBytesFor = (request: CapturedRequest, answer?: CapturedAnswer) =>
    Math.min(
      limits.answerBytes,
      MIN_KEPT_BYTES + 5 * (request.body.length + (answer?.body.length ?? 0)),
    );

  const lost = ({ operation, route }: Observation, cause: LostCause) =>
    evidence.found({ operation, route, outcome: "lost", cause, approvals: [], differences: [] });
  /** A difference that can't be made harmless counts all the same; nothing is kept of it. */
  const withoutSecrets = (finding: Finding): Finding => {
    try {
      return redactor.finding(finding);
    } catch (error) {
      log("error", "mismatch_not_stored", { error: String(error) });
      const { exchange: _exchange, ...bare } = finding;
      return { ...bare, differences: [] };
    }
  };
  /** What is being compared; what isn't here any more has its outcome. */
  const underWay = new Set<Observation>();
  const told = new Set<string>();
  /** Once of each operation and reason, of which there are a few. */
  const tellNotRead = (operation: OldOperation, reason: string) => {
    if (told.has(`${operation} ${reason}`)) return;
    told.add(`${operation} ${reason}`);
    log("warn", "response_not_comparable", { operation, reason });
  };

  const examine = async (observation: Observation): Promise<void> => {
    const { operation, route, request, at, side, answer } = observation;
    const found = (outcome: Finding["outcome"], more: Partial<Finding> = {}) => {
      const finding = withoutSecrets({
        operation,
        route,
        outcome,
        approvals: [],
        differences: [],
        ...more,
      });
      if (underWay.delete(observation)) evidence.found(finding);
    };
    let cause: UnansweredCause = "unavailable";
    // What is in it says how much the other side may say.
    const own = plainAnswer(answer);
    const ask = askAgain({ ...observation, answer: own });
    const again: typeof ask = async (of, one) => {
      const asked = await ask(of, one);
      cause = causeOf(asked);
      return asked;
    };
    const otherSide = side === "legacy" ? "service" : "legacy";
    let asked = observation.earlier ?? observation.dryRun;
    if (asked === undefined && isHarmless(operation)) {
      asked = await again(otherSide, request);
      answered(operation, route, otherSide, asked);
    }
    const second = asked && answerIn(asked);
    if (answerIn(own) === undefined) return found("unanswered", { cause: "unavailable" });
    if (asked !== undefined && "silence" in asked && asked.silence === "too_large") {
      return found("lost", { cause: "size" });
    }
    if (second === undefined) {
      return found("unanswered", { cause: asked === undefined ? "not_asked" : causeOf(asked) });
    }
    const other = plainAnswer(second);
    const [legacy, service] = side === "legacy" ? [own, other] : [other, own];
    const notRead = openBecause(legacy, service);
    if (notRead !== undefined) {
      tellNotRead(operation, notRead);
      return found("lost", { cause: notRead });
    }
    const times = { from: at, to: Date.now(), clocksApartMs: limits.clocksApartMs };
    const pair = { operation, request, legacy, service, times };
    const { outcome, approvals, differences } = compare(pair, rules);
    if (outcome === "lost") return found("lost", { cause: "size" });
    if (outcome !== "different") {
      const isSuccess = [legacy, service].every(({ status }) => status >= 200 && status < 300);
      if (isSuccess && request.method !== "HEAD") evidence.covered(operation, route, "success");
      return found(outcome, { approvals });
    }
    const suspicion = { ...pair, side, differences, rules };
    const confirmed: Confirmed = isHarmless(operation)
      ? await confirmRead(suspicion, again, wait)
      : await confirmWrite(suspicion, (one) => again("service", one));
    const exchange = { mode: route.mode.name, request, legacy, service };
    if (confirmed.outcome === "same") found("same");
    else if (confirmed.outcome === "unanswered") found("unanswered", { cause });
    else if (confirmed.outcome === "lost") found("lost", { cause: "size" });
    else found(confirmed.outcome, { differences: confirmed.differences, exchange });
  };

  const waiting: Observation[] = [];
  let bytes = 0;
  let running = 0;
  let isOver = false;
  let drained: (() => void)[] = [];
  const startNext = () => {
    while (running < limits.atOnce) {
      const observation = waiting.shift();
      if (observation === undefined) break;
      running++;
      underWay.add(observation);
      examine(observation).catch((error) => {
        log("error", "comparison_failed", { error: String(error) });
        if (underWay.delete(observation)) lost(observation, "failed");
      }).finally(() => {
        running--;
        bytes -= sizeOf(observation);
        startNext();
      });
    }
    if (running > 0 || waiting.length > 0) return;
    for (const resolve of drained) resolve();
    drained = [];
  };

  return {
    wants(operation, route) {
      const { mode, samplePercent } = route;
      if (mode.name === "legacy") return false;
      if (mode.name === "service" && !isHarmless(operation)) return false;
      if (Math.random() * 100 < samplePercent) return true;
      evidence.covered(operation, route, "not_sampled");
      return false;
    },
    async dryRun(request, operation, route) {
      routes.set(request, { operation, route });
      const asked = await dryRuns.ofWrite(request, idOf(request), keptBytesFor(request));
      if (!hadNoTime(asked)) answered(operation, route, "service", asked);
      return asked;
    },
    observe(observation) {
      const size = sizeOf(observation);
      const isFull = running + waiting.length >= limits.waiting ||
        bytes + size > limits.waitingBytes;
      if (isFull || isOver) return lost(observation, isOver ? "stopped" : "queue");
      bytes += size;
      waiting.push(observation);
      startNext();
    },
    async drain(ms) {
      if (running === 0 && waiting.length === 0) return;
      let timer: ReturnType<typeof setTimeout> | undefined;
      await new Promise<void>((resolve) => {
        drained.push(resolve);
        timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
    },
    [Symbol.dispose]() {
      isOver = true;
      // Nobody sees to their end any more.
      for (const observation of [...underWay, ...waiting]) lost(observation, "stopped");
      underWay.clear();
      waiting.length = 0;
      for (const asker of [askers.legacy, askers.service, forDryRuns]) asker[Symbol.dispose]();
    },
  };
}

/** Answers as long as these are kept whatever the request is, in bytes. */
const MIN_KEPT_BYTES = 262_144;

/** Why there is no answer to compare. */
function causeOf(asked: Asked): UnansweredCause {
  return "silence" in asked ? CAUSES[asked.silence] : "unavailable";
}

/**
 * Whether a dry run came to nothing for the bounds that it has: less time than the write itself, and
 * a few connections of its own. It says nothing of how Lotline answers, and must roll nothing back.
 */
function hadNoTime(asked: Asked): boolean {
  return "silence" in asked ? asked.silence === "timeout" : asked.status === 503;
}

// Lotline takes ids of this form only, of at most 64 characters.
function idOf(request: CapturedRequest): HeaderLines {
  const id = headerOf(request.headers, "x-request-id");
  return id === undefined ? [] : [["x-request-id", `${id.slice(0, 57)}-shadow`]];
}

/** What an observation holds in memory, about, in bytes. */
function sizeOf({ request, answer, dryRun, earlier }: Observation): number {
  const linesOf = (headers: HeaderLines) =>
    headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  const others = [dryRun, earlier].flatMap((one) =>
    one === undefined || "silence" in one ? [] : [one]
  );
  return [request, answer, ...others].reduce(
    (sum, { headers, body }) => sum + body.length + linesOf(headers),
    request.target.length,
  );
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
