import type { Sql } from "../../db/sql.ts";
import { compare } from "../compare/compare.ts";
import type { Difference } from "../evidence/evidence.ts";
import type { CapturedRequest, CapturedResponse, Observation } from "../exchange/exchange.ts";
import { loadLiveRules } from "../compare/approvals.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { findOperation } from "../exchange/match_operation.ts";
import { decodedText } from "../exchange/decoded_body.ts";
import type { Mode } from "../exchange/route.ts";
import { startTestGatewayServer } from "../testing/gateway_server.ts";
import { routeOf, shadowRig } from "../testing/shadow_rig.ts";
import type { WireRequest } from "./draft.ts";
import { storedBy, storedDifferences, type StoredRow } from "./stored.ts";
import { sendOnWire } from "./wire.ts";

/** Sends one request after the other to both upstreams. */
export interface Lane extends AsyncDisposable {
  /** @param mayBeRefused the gateway may refuse it where the old server answers */
  ask(request: WireRequest, mayBeRefused: boolean): Promise<Trial>;
}

/**
 * The result of a request. `refused`: by the gateway, before an upstream saw it. `elsewhere`: it
 * matches no operation that both upstreams have.
 */
export type TrialOutcome = "same" | "approved" | "refused" | "elsewhere" | "different";

/** One request, sent to both. */
export interface Trial {
  readonly outcome: TrialOutcome;
  readonly approvals: readonly string[];
  /** Differences that no rule allows. Each place says what was compared. */
  readonly differences: readonly Difference[];
  readonly legacy: CapturedResponse | undefined;
  readonly service: CapturedResponse | undefined;
}

/** One upstream, and its database. */
export interface LaneUpstream {
  readonly url: string;
  readonly sql: Sql;
}

const rules = await loadLiveRules();

/** A long timeout: on a busy machine a dry run is slow, and no client waits. */
const PATIENT = { writeMs: 30_000, requestTimeoutMs: 30_000, failures: 1_000 };
const DRAIN_MS = 60_000;
const CLOCKS_APART_MS = 60_000;

/**
 * Starts a gateway for one operation. Each request goes through it twice. On a route in shadow the
 * old server answers, and the gateway's own findings are collected. On one in service Lotline
 * answers. The two responses and the rows stored by both are compared as well.
 */
export async function startLane(
  operation: LegacyOperation,
  { legacy, service }: { readonly legacy: LaneUpstream; readonly service: LaneUpstream },
): Promise<Lane> {
  const rig = shadowRig({ legacyUrl: legacy.url, serviceUrl: service.url, limits: PATIENT });
  let mode: Mode = { name: "shadow" };
  const gateway = await startTestGatewayServer({
    legacyUrl: legacy.url,
    serviceUrl: service.url,
    modeNow: () => mode,
    upstream: { responseTimeoutMs: PATIENT.requestTimeoutMs },
    dryRun: (...requested) => rig.shadow.dryRun(...requested),
  });
  const stored = await storedBy(operation);

  const pass = async (name: "shadow" | "service", request: WireRequest): Promise<Pass> => {
    mode = { name };
    gateway.observed.length = gateway.answered.length = gateway.found.length = 0;
    const response = await sendOnWire(gateway.port, request);
    return { response, observation: gateway.observed[0], sides: [...gateway.answered] };
  };

  /** The gateway's own findings for an exchange with the old server. */
  const shadowed = async (observation: Observation, findings: Findings): Promise<void> => {
    rig.findings.length = 0;
    rig.shadow.observe({ ...observation, route: routeOf(observation.operation) });
    await rig.shadow.drain(DRAIN_MS);
    const { outcome = "lost", approvals = [], differences = [] } = rig.findings[0] ?? {};
    findings.approve(approvals);
    if (outcome === "same" || outcome === "approved") return;
    findings.note(
      outcome === "different" ? "shadow" : `shadow, ${outcome}`,
      differences.length > 0 ? differences : [{ place: "no comparison" }],
    );
  };

  const sendBoth = async (request: WireRequest, mayBeRefused: boolean): Promise<Trial> => {
    const findings = new Findings();
    const from = Date.now();
    const first = await pass("shadow", request);
    if (first.observation !== undefined) await shadowed(first.observation, findings);
    if (first.sides.length === 0) return await refused(request, mayBeRefused, first, findings);
    const second = await pass("service", request);
    const [was, is] = [first.response, second.response];
    if (was === undefined || is === undefined) {
      findings.note("gateway", [{ place: "no response", ...statuses(was, is) }]);
      return findings.trial("different", was, is);
    }
    const failed = second.sides.find((line) => / service (?:5|0)/.test(line));
    if (failed !== undefined) findings.note("service", [{ place: "failed", service: failed }]);
    // A body that is too long to capture isn't observed.
    const exchange = {
      operation: first.observation?.operation ?? operation,
      request: first.observation?.request ?? capturedOf(request),
      legacy: was,
      service: is,
    };
    const times = { from, to: Date.now(), clocksApartMs: CLOCKS_APART_MS };
    const compared = compare({ ...exchange, times }, rules);
    findings.approve(compared.approvals);
    findings.note("service", compared.differences);
    const [own, other] = [await stored.rows(legacy.sql), await stored.rows(service.sql)];
    findings.note("stored", storedDifferences(exchange, own, other));
    if (operation === "createLot" && was.status === 201 && is.status === 201) {
      await trace(own[0], other[0], findings);
    }
    return findings.trial("same", was, is);
  };

  /** Neither upstream has handled it as an operation: the gateway refused it, or it is none. */
  const refused = async (
    request: WireRequest,
    mayBeRefused: boolean,
    { response }: Pass,
    findings: Findings,
  ): Promise<Trial> => {
    const known = findOperation(request.method, request.target);
    // The old server answers OPTIONS.
    if (!mayBeRefused && request.method !== "OPTIONS") {
      const direct = await sendOnWire(Number(new URL(legacy.url).port), request);
      if (direct !== undefined && direct.status < 400) {
        const place = known === undefined ? "what is no operation" : "what is refused";
        findings.note("gateway", [{ place, ...statuses(direct, response) }]);
      }
    }
    if (known === undefined) return findings.trial("elsewhere", response);
    const second = await pass("service", request);
    if (second.response?.status !== response?.status) {
      findings.note("gateway", [{ place: "by mode", ...statuses(response, second.response) }]);
    }
    if ((await stored.rows(service.sql)).length > 0) {
      findings.note("stored", [{ place: "rows of a refused request" }]);
    }
    return findings.trial("refused", response, second.response);
  };

  /** A lot that both have stored is traced. Their generated fields are made equal before. */
  const trace = async (
    own: StoredRow | undefined,
    other: StoredRow | undefined,
    findings: Findings,
  ): Promise<void> => {
    const code = own?.code ?? undefined;
    if (code === undefined || own === undefined || other === undefined) return;
    await service.sql`
      update lots set id = ${own.id}, created_at = ${own.values.created_at ?? null}
      where id = ${other.id}`;
    const target = `/api/traceability/${encodeURIComponent(code)}`;
    const lines = [`GET ${target} HTTP/1.1`, "Host: plant.example"];
    const framing = { kind: "none" } as const;
    const { observation } = await pass("shadow", {
      method: "GET",
      target,
      lines,
      body: new Uint8Array(),
      framing,
    });
    if (observation !== undefined) await shadowed(observation, findings);
  };

  return {
    async ask(request, mayBeRefused) {
      try {
        return await sendBoth(request, mayBeRefused);
      } finally {
        await Promise.all([stored.forget(legacy.sql), stored.forget(service.sql)]);
      }
    },
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      rig[Symbol.dispose]();
    },
  };
}

/** A request that went through the gateway. */
interface Pass {
  readonly response: CapturedResponse | undefined;
  readonly observation: Observation | undefined;
  /** The upstream and the result of each response, in turn. */
  readonly sides: readonly string[];
}

/** The findings for one request. */
class Findings {
  readonly #approvals = new Set<string>();
  readonly #differences: Difference[] = [];

  approve(ids: readonly string[]): void {
    for (const id of ids) this.#approvals.add(id);
  }

  note(what: string, differences: readonly Difference[]): void {
    for (const one of differences) {
      this.#differences.push({ ...one, place: `${what}: ${one.place}` });
    }
  }

  trial(outcome: TrialOutcome, legacy?: CapturedResponse, service?: CapturedResponse): Trial {
    const isApproved = outcome === "same" && this.#approvals.size > 0;
    return {
      outcome: this.#differences.length > 0 ? "different" : isApproved ? "approved" : outcome,
      approvals: [...this.#approvals],
      differences: this.#merged(),
      legacy,
      service,
    };
  }

  /** A finding of both shadow and service is reported once. */
  #merged(): readonly Difference[] {
    const places = new Set(this.#differences.map(({ place }) => place));
    return this.#differences.flatMap((one) => {
      const [, mode, place] = /^(shadow|service): (.*)$/s.exec(one.place) ?? [];
      if (!places.has(`${mode === "shadow" ? "service" : "shadow"}: ${place}`)) return [one];
      return mode === "shadow" ? [] : [{ ...one, place: `both: ${place}` }];
    });
  }
}

/** The status and message of each. */
function statuses(legacy: CapturedResponse | undefined, service: CapturedResponse | undefined) {
  const [was, is] = [legacy, service].map((response) =>
    response === undefined
      ? "nothing"
      : `${response.status} ${decodedText(response) ?? ""}`.trimEnd()
  );
  return { legacy: was ?? "", service: is ?? "" };
}

function capturedOf({ method, target, lines, body }: WireRequest): CapturedRequest {
  const headers = lines.slice(1).map((line): readonly [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return { method, target, headers, body };
}
