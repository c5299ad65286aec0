import type { Evidence, Finding } from "../evidence/evidence.ts";
import type { CapturedResponse, Exchange } from "../exchange/exchange.ts";
import { loadLiveRules } from "../compare/approvals.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { createRedactor, type Redactor } from "../redact/redact.ts";
import type { Route, Upstream } from "../exchange/route.ts";
import { createShadow, type Shadow, type ShadowLimits } from "../shadow/shadow.ts";
import type { LogFields } from "../../log.ts";

/** The secret that proves dry runs. */
export const DRY_RUN_SECRET = "a secret of at least thirty-two characters";

const rules = await loadLiveRules();

/** All reports, and a function to compare. */
export interface ShadowRig extends Disposable {
  readonly shadow: Shadow;
  readonly findings: Finding[];
  /** `operation what`. */
  readonly covered: string[];
  readonly answered: [operation: string, side: Upstream, status: number][];
  readonly logged: [level: string, event: string, fields?: LogFields][];
  outcomes(): string[];
}

/** Starts a shadow of two upstreams. */
export function shadowRig(
  options: {
    legacyUrl: string;
    serviceUrl: string;
    limits?: Partial<ShadowLimits>;
    redactor?: Redactor;
  },
): ShadowRig {
  const findings: Finding[] = [];
  const covered: string[] = [];
  const answered: ShadowRig["answered"] = [];
  const logged: ShadowRig["logged"] = [];
  const evidence: Evidence = {
    responded: (operation, _route, upstream, status) =>
      answered.push([operation, upstream, status]),
    served: () => {},
    found: (finding) => findings.push(finding),
    covered: (operation, _route, what) => covered.push(`${operation} ${what}`),
    unknown: () => {},
  };
  const shadow = createShadow({
    dryRunSecret: DRY_RUN_SECRET,
    rules,
    evidence,
    redactor: createRedactor(DRY_RUN_SECRET),
    recorder: { wants: () => false, offer: () => {} },
    waitingBytes: 67_108_864,
    responseBytes: 1_310_720,
    log: (level, event, fields) => logged.push([level, event, fields]),
    ...options,
  });
  return {
    shadow,
    findings,
    covered,
    answered,
    logged,
    outcomes: () => findings.map(({ outcome }) => outcome),
    [Symbol.dispose]: () => shadow[Symbol.dispose](),
  };
}

/** A route of which everything is compared. */
export const routeOf = (
  operation: LegacyOperation,
  name: "shadow" | "service" = "shadow",
): Route => ({
  operation,
  mode: { name },
  epoch: 1,
  samplePercent: 100,
  latch: undefined,
});

/** The response of an upstream that always responds. */
export function givenResponse(requested: Exchange): CapturedResponse {
  if ("failure" in requested) throw new Error(`no response: ${requested.failure}`);
  return requested;
}

/** The differences found, without the compared exchanges. */
export function differing({ findings }: ShadowRig) {
  return findings.filter(({ outcome }) => outcome === "different")
    .map(({ operation, differences }) => ({ operation, differences }));
}
