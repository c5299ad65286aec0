import { strictEqual } from "node:assert/strict";
import { compare } from "../compare/compare.ts";
import type { CapturedRequest, CapturedResponse } from "../exchange/exchange.ts";
import { loadLiveRules } from "../compare/approvals.ts";
import type { LegacyOperation } from "../exchange/operations.ts";
import { pairOf } from "./captured.ts";

const rules = await loadLiveRules();

/** The entry that allows a difference, or the first place in which it isn't allowed. */
export function liveVerdict(
  operation: LegacyOperation,
  request: CapturedRequest,
  legacy: CapturedResponse,
  service: CapturedResponse,
): string {
  const { outcome, approvals, differences } = compare(
    pairOf(operation, request, legacy, service),
    rules,
  );
  strictEqual(outcome === "different", differences.length > 0);
  return outcome === "approved" ? approvals.join() : differences[0]?.place ?? outcome;
}
