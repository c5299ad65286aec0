import { type Address, safeName } from "../db/address.ts";
import { type HostState, readHostStates } from "../db/host_states.ts";
import type { Finding } from "../db/readiness_checks.ts";
import type { LocalCheck } from "./checks.ts";
import { adviceFor, note, ok, warning } from "./findings.ts";

const TIMEOUT_MS = 2_000;

/** Which server of this address is read makes no difference. */
const ANY_HOST = "DATABASE_REPLICA_URL";

/** What DATABASE_URL says that may be a mistake; an invalid one is a finding of the settings. */
export const addresses: LocalCheck = {
  name: "address",
  async run({ addresses }) {
    const findings = await Promise.all(addresses.map(async ({ setting, address }) => [
      ...addressFindings(setting, address),
      ...address.hosts.length === 1 || setting === ANY_HOST
        ? []
        : hostFindings(setting, await readHostStates(address, TIMEOUT_MS)),
    ]));
    return findings.flat();
  },
};

function addressFindings(setting: string, address: Address): readonly Finding[] {
  const { hosts, target, ignored } = address;
  return [
    ok("address", `${setting} leads to ${safeName(address)}`),
    ...(hosts.length === 1 || target !== "any" || setting === ANY_HOST ? [] : [
      warning(
        "address",
        `${setting} has ${hosts.length} hosts, and a standby may be used`,
        `add target_session_attrs=read-write to ${setting}`,
      ),
    ]),
    ...(ignored.length === 0 ? [] : [
      note("address", `${setting} has parameters without effect: ${ignored.join(", ")}`),
    ]),
  ];
}

/** Of an address with several hosts: one has to be the primary, and each may have to take over. */
export function hostFindings(
  setting: string,
  states: readonly HostState[],
): readonly Finding[] {
  const primaries = [
    ...new Map(
      states.filter(({ is }) => is === "primary").map(({ name, startedAt }) => [startedAt, name]),
    ).values(),
  ];
  const shown = states.map(({ name, is }) => `${name} is ${typeof is === "string" ? is : "out"}`);
  const findings = states.flatMap(({ name, is }) =>
    typeof is === "string" ? [] : [
      warning(
        "address",
        `${name} in ${setting} can't take over: ${is.sentence}`,
        adviceFor(is.todo, setting),
      ),
    ]
  );
  if (primaries.length > 1) {
    return [
      ...findings,
      warning(
        "address",
        `${setting} has ${primaries.length} servers that can be written: ${primaries.join(", ")}`,
        `stop the former primary, or take it out of ${setting}`,
      ),
    ];
  }
  return findings.length > 0
    ? findings
    : [ok("address", `The hosts of ${setting}: ${shown.join(", ")}`)];
}
