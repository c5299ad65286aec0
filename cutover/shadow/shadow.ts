import type { Log } from "../../log.ts";
import { delay, withDeadline } from "../../timing.ts";
import type { Rule } from "../compare/approvals.ts";
import { createSender, type Sender } from "../upstream/send.ts";
import { compare } from "../compare/compare.ts";
import { CAUSES, type LostCause, type UnansweredCause } from "../evidence/coverage.ts";
import { type Confirmed, confirmRead, confirmWrite } from "./confirm.ts";
import { createDryRuns, type DryRunLimits } from "./dry_runs.ts";
import type { Evidence, Finding } from "../evidence/evidence.ts";
import type {
  CapturedRequest,
  CapturedResponse,
  Exchange,
  HeaderLines,
  Observation,
} from "../exchange/exchange.ts";
import { comparedBytesOf, responseBytesOf } from "../exchange/compared_bytes.ts";
import { headerOf } from "../exchange/header_value.ts";
import { withinDeadline } from "./no_response.ts";
import { isSafeOperation, type LegacyOperation } from "../exchange/operations.ts";
import { decodedResponse, openBecause } from "../compare/comparable.ts";
import type { Redactor } from "../redact/redact.ts";
import type { Route, Upstream } from "../exchange/route.ts";

/** Compares the two sides beside the clients' traffic. Nothing here throws or slows an answer down. */
export interface Shadow extends Disposable {
  /** Whether this request is to be compared, by its route's share. */
  wants(operation: LegacyOperation, route: Route): boolean;
  /** Asks Lotline what it would answer to a write, without effect; within 300 ms. */
  dryRun(request: CapturedRequest, operation: LegacyOperation, route: Route): Promise<Exchange>;
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
  readonly responseBytes: number;
  /** How many are compared at once. */
  readonly maxConcurrent: number;
  /** How long a side has for an answer that no client waits for, in ms. */
  readonly requestTimeoutMs: number;
  /** How far the servers' and the database's clocks may be from this one, in ms. */
  readonly clocksApartMs: number;
}

const LIMITS: ShadowLimits = {
  waiting: 1_000,
  waitingBytes: comparedBytesOf(0),
  responseBytes: responseBytesOf(0),
  maxConcurrent: 8,
  requestTimeoutMs: 10_000,
  clocksApartMs: 5 * 60_000,
  writeMs: 300,
  failures: 3,
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
  const senders: Record<Upstream, Sender> = {
    legacy: createSender(options.legacyUrl, limits.maxConcurrent),
    service: createSender(options.serviceUrl, limits.maxConcurrent),
  };
  const forDryRuns = createSender(options.serviceUrl, DRY_RUN_CONNECTIONS);
  const routes = new WeakMap<CapturedRequest, { operation: LegacyOperation; route: Route }>();
  const dryRuns = createDryRuns({
    sender: forDryRuns,
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

  const answered = (
    operation: LegacyOperation,
    route: Route,
    upstream: Upstream,
    sent: Exchange,
  ) => {
    if ("failure" in sent && sent.failure === "not_asked") return;
    evidence.responded(operation, route, upstream, "failure" in sent ? 0 : sent.status, sent.ms);
  };

  const sendAgain = ({ operation, route, request: known, response }: Observation) => {
    const capturedBytes = capturedBytesFor(known, response);
    const isDryRun = !isSafeOperation(operation) || operation === "login";
    return (upstream: Upstream, request: CapturedRequest): Promise<Exchange> => {
      const extra = idOf(known);
      if (upstream === "legacy" || !isDryRun) {
        return senders[upstream].send(request, limits.requestTimeoutMs, extra, capturedBytes);
      }
      routes.set(request, { operation, route });
      return dryRuns.withLongTimeout(request, limits.requestTimeoutMs, extra, capturedBytes);
    };
  };

  // A side that is asked the same says about as much: what is held is in proportion to what waits.
  const capturedBytesFor = (request: CapturedRequest, response?: CapturedResponse) =>
    Math.min(
      limits.responseBytes,
      MIN_CAPTURED_BYTES + 5 * (request.body.length + (response?.body.length ?? 0)),
    );

  const lost = ({ operation, route }: Observation, cause: LostCause) =>
    evidence.found({ operation, route, outcome: "lost", cause, approvals: [], differences: [] });
  /** A difference that can't be made harmless counts all the same; nothing is kept of it. */
  const withoutSecrets = (finding: Finding): Finding => {
    try {
      return redactor.finding(finding);
    } catch (error) {
      log("error", "mismatch_not_stored", { error: nameOf(error) });
      const { exchange: _exchange, ...bare } = finding;
      return { ...bare, differences: [] };
    }
  };
  /** What is being compared; what isn't here any more has its outcome. */
  const inFlight = new Set<Observation>();
  const isReported = new Set<string>();
  /** Once of each operation and reason, of which there are a few. */
  const reportNotRead = (operation: LegacyOperation, reason: string) => {
    if (isReported.has(`${operation} ${reason}`)) return;
    isReported.add(`${operation} ${reason}`);
    log("warn", "response_not_comparable", { operation, reason });
  };

  const examine = async (observation: Observation): Promise<void> => {
    const { operation, route, request, at, upstream, response } = observation;
    const found = (outcome: Finding["outcome"], more: Partial<Finding> = {}) => {
      const finding = withoutSecrets({
        operation,
        route,
        outcome,
        approvals: [],
        differences: [],
        ...more,
      });
      if (inFlight.delete(observation)) evidence.found(finding);
    };
    let cause: UnansweredCause = "unavailable";
    // What is in it says how much the other side may say.
    const own = decodedResponse(response);
    const send = sendAgain({ ...observation, response: own });
    const again: typeof send = async (of, one) => {
      const sent = await send(of, one);
      cause = causeOf(sent);
      return sent;
    };
    const otherUpstream = upstream === "legacy" ? "service" : "legacy";
    let sent = observation.earlier ?? observation.dryRun;
    if (sent === undefined && isSafeOperation(operation)) {
      sent = await again(otherUpstream, request);
      answered(operation, route, otherUpstream, sent);
    }
    const second = sent && withinDeadline(sent);
    if (withinDeadline(own) === undefined) return found("unanswered", { cause: "unavailable" });
    if (sent !== undefined && "failure" in sent && sent.failure === "too_large") {
      return found("lost", { cause: "size" });
    }
    if (second === undefined) {
      return found("unanswered", { cause: sent === undefined ? "not_asked" : causeOf(sent) });
    }
    const other = decodedResponse(second);
    const [legacy, service] = upstream === "legacy" ? [own, other] : [other, own];
    const notRead = openBecause(legacy, service);
    if (notRead !== undefined) {
      reportNotRead(operation, notRead);
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
    const suspicion = { ...pair, upstream, differences, rules };
    const confirmed: Confirmed = isSafeOperation(operation)
      ? await confirmRead(suspicion, again, delay)
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
    while (running < limits.maxConcurrent) {
      const observation = waiting.shift();
      if (observation === undefined) break;
      running++;
      inFlight.add(observation);
      examine(observation).catch((error) => {
        log("error", "comparison_failed", { error: nameOf(error) });
        if (inFlight.delete(observation)) lost(observation, "failed");
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
      if (mode.name === "service" && !isSafeOperation(operation)) return false;
      if (Math.random() * 100 < samplePercent) return true;
      evidence.covered(operation, route, "not_sampled");
      return false;
    },
    async dryRun(request, operation, route) {
      routes.set(request, { operation, route });
      const sent = await dryRuns.writeSender(request, idOf(request), capturedBytesFor(request));
      if (!hadNoTime(sent)) answered(operation, route, "service", sent);
      return sent;
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
      await withDeadline(new Promise<void>((resolve) => drained.push(resolve)), ms, () => {});
    },
    [Symbol.dispose]() {
      isOver = true;
      // Nobody sees to their end any more.
      for (const observation of [...inFlight, ...waiting]) lost(observation, "stopped");
      inFlight.clear();
      waiting.length = 0;
      for (const sender of [senders.legacy, senders.service, forDryRuns]) sender[Symbol.dispose]();
    },
  };
}

/** Answers as long as these are kept whatever the request is, in bytes. */
const MIN_CAPTURED_BYTES = 262_144;

/** Why there is no answer to compare. */
function causeOf(sent: Exchange): UnansweredCause {
  return "failure" in sent ? CAUSES[sent.failure] : "unavailable";
}

/**
 * Whether a dry run came to nothing for the bounds that it has: less time than the write itself, and
 * a few connections of its own. It says nothing of how Lotline answers, and must roll nothing back.
 */
function hadNoTime(sent: Exchange): boolean {
  return "failure" in sent ? sent.failure === "timeout" : sent.status === 503;
}

/** What may be logged of an error: its message may quote a body. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

// Lotline takes ids of this form only, of at most 64 characters.
function idOf(request: CapturedRequest): HeaderLines {
  const id = headerOf(request.headers, "x-request-id");
  return id === undefined ? [] : [["x-request-id", `${id.slice(0, 57)}-shadow`]];
}

/** What an observation holds in memory, about, in bytes. */
function sizeOf({ request, response, dryRun, earlier }: Observation): number {
  const linesOf = (headers: HeaderLines) =>
    headers.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  const others = [dryRun, earlier].flatMap((one) =>
    one === undefined || "failure" in one ? [] : [one]
  );
  return [request, response, ...others].reduce(
    (sum, { headers, body }) => sum + body.length + linesOf(headers),
    request.target.length,
  );
}
