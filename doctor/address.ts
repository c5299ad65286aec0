import { safeName } from "../db/address.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { LocalCheck } from "./checks.ts";
import { note, ok, warning } from "./findings.ts";

/** What DATABASE_URL says that may be a mistake; an invalid one is a finding of the settings. */
export const addresses: LocalCheck = {
  name: "address",
  run({ address }) {
    if (address === undefined) return [];
    const { hosts, target, ignored } = address;
    const findings: Finding[] = [
      ok("address", `DATABASE_URL leads to ${safeName(address)}`),
    ];
    if (hosts.length > 1 && target === "any") {
      findings.push(
        warning(
          "address",
          "DATABASE_URL has several hosts, and a standby may be used",
          "add target_session_attrs=read-write",
        ),
      );
    }
    if (ignored.length > 0) {
      findings.push(
        note("address", `DATABASE_URL has parameters without effect: ${ignored.join(", ")}`),
      );
    }
    return findings;
  },
};
