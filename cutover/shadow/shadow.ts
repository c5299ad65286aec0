import { limitRepeats, type Log } from "../../log.ts";
import { delay, withDeadline } from "../../timing.ts";
import type { Rule } from "../compare/approvals.ts";
import { createSender, type Sender } from "../upstream/send.ts";
import { compare } from "../compare/compare.ts";
import { CAUSES, type LostCause, type UnansweredCause } from "../evidence/coverage.ts";
import { comparableResponse, confirmRead, confirmWrite } from "./confirm.ts";
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
import { isSafeOperation, type LegacyOperation } from "../exchange/operations.ts";
import { decodedResponse, inconclusiveBecause } from "../compare/comparable.ts";
import type { Recorder } from "../record/recorder.ts";
import type { Redactor } from "../redact/redact.ts";
import type { Route, Upstream } from "../exchange/route.ts";
import { inComparisonSpan } from "./comparison_span.ts";

/** Observes exchanges with clients. Nothing here throws. */
export interface Observer {
  /** Whether this request's exchange is to be observed; comparing depends on the route's sample. */
  wants(operation: LegacyOperation, route: Route): boolean;
  /** Sends a write to Lotline as a dry run, which has no effect; within 300 ms. */
  dryRun(request: CapturedRequest, operation: LegacyOperation, route: Route): Promise<Exchange>;
  /** Passes an exchange to the recorder, and compares it if its route is compared. */
  observe(observation: Observation): void;
}

/** Compares exchanges in the background; one for which the queue has no room counts as `lost`. */
export interface Shadow extends Observer, Disposable {
  /** Exchanges that wait or are being compared, and their memory in bytes. */
  readonly queue: { readonly exchanges: number; readonly bytes: number };
  /** Resolves when the queue is empty, or after this time. */
  drain(ms: number): Promise<void>;
}

const LIMITS = {
  /** Exchanges that wait or are being compared. */
  waiting: 1_000,
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
  readonly recorder: Pick<Recorder, "wants" | "offer">;
  readonly log: Log;
  /** The memory of the exchanges that wait or are being compared. */
  readonly waitingBytes: number;
  /** A larger response body is compared by its digest. */
  readonly responseBytes: number;
  readonly limits?: Partial<ShadowLimits>;
}

export function createShadow(options: ShadowOptions): Shadow {
  const { evidence, recorder, redactor, rules, log } = options;
  const limits = { ...LIMITS, ...options.limits };
  const senders: Record<Upstream, Sender> = {
    legacy: createSender(options.legacyUrl, limits.maxConcurrent),
    service: createSender(options.serviceUrl, limits.maxConcurrent),
  };
  const forDryRuns = createSender(options.serviceUrl, DRY_RUN_CONNECTIONS);
  const routes = new WeakMap<CapturedRequest, Routed>();
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

  const countResponse = ({ operation, route }: Routed, upstream: Upstream, sent: Exchange) => {
    if ("failure" in sent && sent.failure === "not_asked") return;
    evidence.responded(operation, route, upstream, "failure" in sent ? 0 : sent.status, sent.ms);
  };

  // Responses to one request have about the same size, so memory stays in proportion to the queue.
  const capturedBytesFor = (request: CapturedRequest, response?: CapturedResponse) =>
    Math.min(
      options.responseBytes,
      MIN_CAPTURED_BYTES + 5 * (request.body.length + (response?.body.length ?? 0)),
    );

  const lost = ({ operation, route }: Routed, cause: LostCause) =>
    evidence.found({ ...NOTHING, operation, route, outcome: "lost", cause });
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
      const finding = withoutSecrets({ ...NOTHING, operation, route, outcome, ...more });
      if (inFlight.delete(observation)) evidence.found(finding);
    };
    let cause: UnansweredCause = "unavailable";
    // Decoded first: its size bounds the other response.
    const own = decodedResponse(response);
    const capturedBytes = capturedBytesFor(request, own);
    const again = async (to: Upstream, one: CapturedRequest): Promise<Exchange> => {
      routes.set(one, { operation, route });
      const isDryRun = to === "service" && (!isSafeOperation(operation) || operation === "login");
      const send = isDryRun ? dryRuns.inBackground : senders[to].send;
      const about = { operation, upstream: to, isDryRun };
      const sent = await inComparisonSpan(
        request,
        about,
        (fields) =>
          send(one, limits.requestTimeoutMs, [...idOf(request), ...fields], capturedBytes),
      );
      cause = causeOf(sent);
      return sent;
    };
    const otherUpstream = upstream === "legacy" ? "service" : "legacy";
    let sent = observation.earlier ?? observation.dryRun;
    if (sent === undefined && isSafeOperation(operation)) {
      sent = await again(otherUpstream, request);
      countResponse(observation, otherUpstream, sent);
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
    const confirmed = isSafeOperation(operation)
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
      if (mode.name === "legacy") return recorder.wants(operation, "legacy");
      if (mode.name === "service" && !isSafeOperation(operation)) return false;
      if (Math.random() * 100 < samplePercent) return true;
      evidence.covered(operation, route, "not_sampled");
      return false;
    },
    async dryRun(request, operation, route) {
      routes.set(request, { operation, route });
      const sent = await inComparisonSpan(
        request,
        { operation, upstream: "service", isDryRun: true },
        (fields) =>
          dryRuns.beforeWrite(request, [...idOf(request), ...fields], capturedBytesFor(request)),
      );
      // A timeout shorter than the write's and few connections are no evidence against Lotline: they must
      // cause no rollback.
      const hitOwnLimits = "failure" in sent ? sent.failure === "timeout" : sent.status === 503;
      if (!hitOwnLimits) countResponse({ operation, route }, "service", sent);
      return sent;
    },
    observe(observation) {
      recorder.offer(observation);
      if (observation.route.mode.name === "legacy") return;
      const size = sizeOf(observation);
      const isFull = running + waiting.length >= limits.waiting ||
        bytes + size > options.waitingBytes;
      if (isFull || isOver) return lost(observation, isOver ? "stopped" : "queue");
      bytes += size;
      waiting.push(observation);
      startNext();
    },
    get queue() {
      return { exchanges: running + waiting.length, bytes };
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

type Routed = Pick<Observation, "operation" | "route">;

const NOTHING = { approvals: [], differences: [] };

/** Responses of this size are captured for any request. */
const MIN_CAPTURED_BYTES = 262_144;

function causeOf(sent: Exchange): UnansweredCause {
  return "failure" in sent ? CAUSES[sent.failure] : "unavailable";
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
