import { ok } from "node:assert/strict";
import type { Finding } from "../db/readiness_checks.ts";
import { runChecks } from "../doctor/run_checks.ts";

/** Runs all checks; each finding that isn't well has something to do, and none has a secret. */
export async function examine(environment: Record<string, string>): Promise<readonly Finding[]> {
  const findings = await runChecks(environment);
  ok(!JSON.stringify(findings).includes("canary"), JSON.stringify(findings));
  for (const { level, todo } of findings) {
    if (level === "failure" || level === "warning") ok(todo, JSON.stringify(findings));
  }
  return findings;
}

const WORST = ["failure", "warning", "note", "ok"] as const;

/** A check's worst finding: level, message and what to do. */
export function about(
  check: string,
  findings: readonly Finding[],
): readonly [level: string, message: string, ...todo: string[]] {
  const ofCheck = findings.filter((finding) => finding.check === check);
  const level = WORST.find((level) => ofCheck.some((finding) => finding.level === level));
  const finding = ofCheck.find((finding) => finding.level === level);
  if (finding === undefined) return ["none", ""];
  const { message, todo } = finding;
  return [finding.level, message, ...todo === undefined ? [] : [todo]];
}
