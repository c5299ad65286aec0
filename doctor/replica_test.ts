import { deepStrictEqual, ok } from "node:assert/strict";
import { replicaFindings, type ReplicaLook } from "./replica.ts";

const WELL: ReplicaLook = {
  isStandby: true,
  isSame: true,
  lag: { bytes: 0, ms: 0 },
  schema: "current",
  hasFeedback: true,
  isPooled: false,
};

const CASES: { what: string; look: Partial<ReplicaLook>; level: string; says: string }[] = [
  { what: "a standby of the primary", look: {}, level: "ok", says: "lag: none" },
  { what: "one through a pooler", look: { isPooled: true }, level: "ok", says: "through a pooler" },
  {
    what: "one of which the lag isn't known",
    look: { lag: undefined, isSame: undefined },
    level: "ok",
    says: "not known",
  },
  {
    what: "one that has caught up but for the last moment",
    look: { lag: { bytes: 80, ms: 20 } },
    level: "ok",
    says: "80 bytes",
  },
  {
    what: "one whose replay stands still",
    look: { lag: { bytes: 5_000, ms: 1_100 } },
    level: "warning",
    says: "by 5000 bytes",
  },
  {
    what: "another cluster, also a primary",
    look: { isSame: false, isStandby: false },
    level: "warning",
    says: "another cluster",
  },
  { what: "a primary", look: { isStandby: false }, level: "warning", says: "no standby" },
  { what: "an old schema", look: { schema: "behind" }, level: "warning", says: "lacks migrations" },
  {
    what: "one without feedback",
    look: { hasFeedback: false },
    level: "note",
    says: "hot_standby_feedback",
  },
];

for (const { what, look, level, says } of CASES) {
  Deno.test(`of a replica that is ${what} the doctor says ${level}`, () => {
    const last = replicaFindings({ ...WELL, ...look }).at(-1);
    deepStrictEqual([last?.check, last?.level], ["replica", level]);
    ok(last?.message.includes(says), `${last?.message}`);
  });
}
