import { limitRepeats, type Log } from "../../log.ts";
import { delay, withDeadline } from "../../timing.ts";
import type { Rule } from "../compare/approvals.ts";
import { createSender, type Sender } from "../upstream/send.ts";
import { compare } from "../compare/compare.ts";
import { CAUSES, type LostCause, type UnansweredCause } from "../evidence/coverage.ts";
import { type Confirmed, confirmRead, confirmWrite } from "./confirm.ts";
import { createDryRuns } from "./dry_runs.ts";
import type { Evidence, Finding } from "../evidence/evidence.ts";
import {
  type CapturedRequest,
  type CapturedResponse,
  type Exchange,
  type HeaderLines,
  headerOf,
  type Observation,
} from "../exchange/exchange.ts";
import { comparedBytesOf, responseBytesOf } from "../exchange/compared_bytes.ts";
import { comparableResponse } from "./no_response.ts";
import type { Observer } from "./observer.ts";
import { isSafeOperation, type LegacyOperation } from "../exchange/operations.ts";
import { decodedResponse, inconclusiveBecause } from "../compare/comparable.ts";
import type { Redactor } from "../redact/redact.ts";
import type { Route, Upstream } from "../exchange/route.ts";

/** Compares exchanges in the background; one for which the queue has no room counts as `lost`. */
export interface Shadow extends Observer, Disposable {
  /** Resolves when the queue is empty, or after this time. */
  drain(ms: number): Promise<void>;
}

const LIMITS = {
  /** Exchanges that wait or are being compared, and their bytes. */
  waiting: 1_000,
  waitingBytes: comparedBytesOf(0),
  /** A larger response body is compared by its digest. */
  responseBytes: responseBytesOf(0),
  maxConcurrent: 8,
  /** For requests that no client waits for. */
  requestTimeoutMs: 10_000,
  /** The greatest difference between this clock and those of the servers and the database. */
  clocksApartMs: 5 * 60_000,
  /** How long a write waits for its dry run. */
  writeMs: 300,
  failures: 3,
  pauseMs: 1_000,
};

export type ShadowLimits = Readonly<typeof LIMITS>;

/** Dry runs have connections of their own, since writes wait for them. */
const DRY_RUN_CONNECTIONS = 32;

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

  const countResponse = (
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
      return dryRuns.inBackground(request, limits.requestTimeoutMs, extra, capturedBytes);
    };
  };

  // Responses to one request have about the same size, so memory stays in proportion to the queue.
  const capturedBytesFor = (request: CapturedRequest, response?: CapturedResponse) =>
    Math.min(
      limits.responseBytes,
      MIN_CAPTURED_BYTES + 5 * (request.body.length + (response?.body.length ?? 0)),
    );

  const lost = ({ operation, route }: Observation, cause: LostCause) =>
    evidence.found({ operation, route, outcome: "lost", cause, approvals: [], differences: [] });
  /** A difference that can't be redacted counts all the same, without its exchange. */
  const withoutSecrets = (finding: Finding): Finding => {
    try {
      return redactor.finding(finding);
    } catch (error) {
      log("error", "mismatch_not_stored", { error: nameOf(error) });
      const { exchange: _exchange, ...bare } = finding;
      return { ...bare, differences: [] };
    }
  };
  /** Comparisons without an outcome. */
  const inFlight = new Set<Observation>();
  const logRarely = limitRepeats(log);

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
    // Decoded first: its size bounds the other response.
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
      countResponse(operation, route, otherUpstream, sent);
    }
    const second = sent && comparableResponse(sent);
    if (comparableResponse(own) === undefined) return found("unanswered", { cause: "unavailable" });
    if (sent !== undefined && "failure" in sent && sent.failure === "too_large") {
      return found("lost", { cause: "size" });
    }
    if (second === undefined) {
      return found("unanswered", { cause: sent === undefined ? "not_asked" : causeOf(sent) });
    }
    const other = decodedResponse(second);
    const [legacy, service] = upstream === "legacy" ? [own, other] : [other, own];
    const unreadable = inconclusiveBecause(legacy, service);
    if (unreadable !== undefined) {
      const fields = { operation, reason: unreadable };
      logRarely(`${operation} ${unreadable}`, "warn", "response_not_comparable", fields);
      return found("lost", { cause: unreadable });
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
      const sent = await dryRuns.beforeWrite(request, idOf(request), capturedBytesFor(request));
      if (!hitOwnLimits(sent)) countResponse(operation, route, "service", sent);
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
      for (const observation of [...inFlight, ...waiting]) lost(observation, "stopped");
      inFlight.clear();
      waiting.length = 0;
      for (const sender of [senders.legacy, senders.service, forDryRuns]) sender[Symbol.dispose]();
    },
  };
}

/** Responses of this size are captured for any request. */
const MIN_CAPTURED_BYTES = 262_144;

function causeOf(sent: Exchange): UnansweredCause {
  return "failure" in sent ? CAUSES[sent.failure] : "unavailable";
}

/**
 * Whether a dry run failed because of its own bounds: a shorter timeout than the write's, and few
 * connections. That is no evidence against Lotline and must cause no rollback.
 */
function hitOwnLimits(sent: Exchange): boolean {
  return "failure" in sent ? sent.failure === "timeout" : sent.status === 503;
}

/** What may be logged of an error: its message may quote a body. */
function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

// Lotline accepts ids of at most 64 characters.
function idOf(request: CapturedRequest): HeaderLines {
  const id = headerOf(request.headers, "x-request-id");
  return id === undefined ? [] : [["x-request-id", `${id.slice(0, 57)}-shadow`]];
}

/** The approximate memory of an observation, in bytes. */
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
