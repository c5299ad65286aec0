import { deepStrictEqual } from "node:assert/strict";
import { connectionFindings, diskFinding, versionFindings } from "./server.ts";

const levels = (findings: ReturnType<typeof versionFindings>) => findings.map(({ level }) => level);

Deno.test("PostgreSQL 15 and 17 are known, another one is a note, an older one a failure", () => {
  for (
    const [version, level] of [[150_004, "ok"], [170_010, "ok"], [180_000, "note"], [
      140_009,
      "failure",
    ]] as const
  ) {
    deepStrictEqual(levels(versionFindings({ version, encoding: "UTF8", deno: "2.9.6" })), [level]);
  }
});

Deno.test("another encoding is a failure, another Deno a note", () => {
  const findings = versionFindings({ version: 170_000, encoding: "LATIN1", deno: "2.10.0" });
  deepStrictEqual(levels(findings), ["ok", "failure", "note"]);
});

Deno.test("connections are a warning when nearly all are in use, or could be", () => {
  const found = (used: number, pools: number) =>
    connectionFindings({ used, max: 103, reserved: 3, pools });
  deepStrictEqual(
    [[89, 100], [90, 100], [2, 101]].map(([used = 0, pools = 0]) => levels(found(used, pools))),
    [["ok", "ok"], ["warning", "ok"], ["ok", "warning"]],
  );
  deepStrictEqual(found(2, 150).map(({ message }) => message), [
    "2 of PostgreSQL's 100 connections (max_connections 103, 3 reserved) are in use",
    "The pools of the running processes have 150 connections together, and PostgreSQL has 100 " +
    "connections (max_connections 103, 3 reserved)",
  ]);
});

const GB = 1e9;
for (
  const [what, free, total, level] of [
    ["half of it free", 50 * GB, 100 * GB, "ok"],
    ["5 % of 100 GB free", 5 * GB, 100 * GB, "warning"],
    ["5 % of 1 TB free", 50 * GB, 1_000 * GB, "ok"],
    ["1 % of 100 GB free", GB, 100 * GB, "failure"],
    ["1 % of 1 TB free", 10 * GB, 1_000 * GB, "warning"],
  ] as const
) {
  Deno.test(`a disk with ${what} is ${level}`, () => {
    const finding = diskFinding(12_345_678, { free, total });
    deepStrictEqual([finding.level, finding.message.slice(0, 24)], [
      level,
      "The database takes 12 MB",
    ]);
  });
}

Deno.test("a disk of another machine can't be seen", () => {
  deepStrictEqual(diskFinding(1e9), {
    check: "disk",
    level: "ok",
    message: "The database takes 1.0 GB; its disk can't be seen from this machine",
  });
});
