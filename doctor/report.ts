import type { Finding } from "../db/readiness_checks.ts";
import { columns } from "../terminal.ts";

/** The levels that the last line counts. */
const COUNTED = ["failure", "warning", "note"] as const;

/** A table for people: what to do stands below what is wrong. */
export function textOf(findings: readonly Finding[]): string {
  const rows = findings.flatMap(({ level, check, message, todo }) => [
    [level === "failure" ? "FAILURE" : level, check, message],
    ...(todo === undefined ? [] : [["", "", `→ ${todo}`]]),
  ]);
  const counts = COUNTED.map((level) => {
    const count = findings.filter((finding) => finding.level === level).length;
    return `${count} ${level}${count === 1 ? "" : "s"}`;
  });
  return `${columns(["", "check", "finding"], rows)}\n\n${counts.join(", ")}`;
}

/** For programs: `ok` is false when something has failed. */
export function jsonOf(findings: readonly Finding[]): string {
  return JSON.stringify(
    {
      ok: findings.every(({ level }) => level !== "failure"),
      findings: findings.map(({ check, level, message, todo }) => ({
        check,
        level,
        message,
        todo,
      })),
    },
    undefined,
    2,
  );
}
