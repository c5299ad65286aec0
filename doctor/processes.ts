import { listRunningProcesses, type RunningProcess } from "../db/processes.ts";
import type { Finding } from "../db/readiness_checks.ts";
import { isSameZone } from "../db/zone_names.ts";
import { codeVersion } from "../version.ts";
import type { DatabaseCheck } from "./checks.ts";
import { note, ok, warning } from "./findings.ts";

/** What the running processes say of themselves. */
export const processes: DatabaseCheck = {
  name: "processes",
  needs: "primary",
  async run({ sql, settings }) {
    const [running, version] = await Promise.all([listRunningProcesses(sql), codeVersion()]);
    return processFindings(running, { timeZone: settings.timeZone, version });
  },
};

type Running = Pick<RunningProcess, "kind" | "client" | "timeZone" | "version">;

/** Such as "the api at 10.0.0.7". */
export const nameOf = ({ kind, client }: Pick<RunningProcess, "kind" | "client">) =>
  `the ${kind} at ${client ?? "a unix socket"}`;

export function processFindings(
  running: readonly Running[],
  here: { readonly timeZone: string | undefined; readonly version: string | undefined },
): readonly Finding[] {
  const check = "processes";
  const counts = Map.groupBy(running, ({ kind }) => kind);
  const shown = [...counts].map(([kind, { length }]) => `${length} ${kind}`).join(", ") || "none";
  return [
    ok(check, `Running processes: ${shown}`),
    ...(counts.has("worker") ? [] : [
      warning(
        check,
        "No worker runs: jobs wait, and the cache isn't used",
        "start deno task worker",
      ),
    ]),
    ...versionFindings(running, here.version),
    ...zoneFindings(running, here.timeZone),
  ];
}

function versionFindings(
  running: readonly Running[],
  here: string | undefined,
): readonly Finding[] {
  const check = "processes";
  const known = running.filter(({ version }) => version !== null);
  const [first, ...others] = Map.groupBy(known, ({ version }) => version);
  if (first === undefined) return [];
  if (others.length > 0) {
    return [
      warning(
        check,
        `The processes run different code: ${listed([first, ...others])}`,
        "restart all of them with the same version",
      ),
    ];
  }
  const [version] = first;
  return version === here || here === undefined ? [ok(check, `They run version ${version}`)] : [
    note(
      check,
      `The processes run version ${version}, and here is version ${here}`,
      "restart them, or run the doctor of their version",
    ),
  ];
}

const MAX_NAMED = 3;

/** Each value with who has it. */
function listed(groups: readonly (readonly [value: string | null, who: readonly Running[]])[]) {
  return groups.map(([value, who]) => {
    const names = [...new Set(who.map(nameOf))];
    const more = names.length > MAX_NAMED ? `, and ${names.length - MAX_NAMED} more` : "";
    return `${value ?? "not set"} in ${names.slice(0, MAX_NAMED).join(", ")}${more}`;
  }).join("; ");
}

function zoneFindings(
  running: readonly Running[],
  here: string | undefined,
): readonly Finding[] {
  const others = running.filter(({ kind, timeZone }) =>
    kind !== "gateway" && !isSameSetting(timeZone ?? undefined, here)
  );
  return others.length === 0 ? [] : [
    warning(
      "processes",
      `TIME_ZONE is ${here ?? "not set"} here, and ` +
        listed([...Map.groupBy(others, ({ timeZone }) => timeZone)]),
      "give all processes the same TIME_ZONE",
    ),
  ];
}

const isSameSetting = (one: string | undefined, other: string | undefined) =>
  one === other || one !== undefined && other !== undefined && isSameZone(one, other);
