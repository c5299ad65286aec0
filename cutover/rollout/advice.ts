import type { coverageOf } from "../evidence/coverage.ts";

type Causes = ReturnType<typeof coverageOf>["lostBy"];

/** What to do about a cause of lost or unanswered comparisons; docs/evidence.md has the same list. */
const ADVICE: Readonly<Record<string, string>> = {
  "size": "raise GATEWAY_BODY_LIMIT, or have the old server compress less",
  "content coding": "configure another content coding in the old server",
  "queue": "compare fewer requests: deno task cutover sample",
  "client left": "look why clients close their connections so early",
  "overload": "add a gateway",
  "route changed": "nothing: it passes",
  "gateway stopped": "nothing: it passes",
  "comparing failed": "look for the error in the gateway's log",
  "no outcome (such as a killed gateway)":
    "look why a gateway ended, or why PostgreSQL was unavailable",
  "time": "look why an upstream is slow: a dry run has 300 ms, a read 10 s",
  "refused": "look whether Lotline runs at SERVICE_URL, and the old server at LEGACY_URL",
  "reset": "look why an upstream breaks its connections",
  "unavailable": "look why an upstream sends 429, 502, 503 or 504, such as an unavailable database",
  "not asked":
    "look in the gateway's log why dry runs pause: DRY_RUN_SECRET may differ from the API's",
};

/** What to do about the most frequent of the causes. */
export function adviceOn([first]: Causes): string {
  return ADVICE[first?.cause ?? ""] ?? "look at the gateway's log";
}
