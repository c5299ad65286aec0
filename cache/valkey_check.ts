import type { Finding } from "../db/readiness_checks.ts";
import type { Valkey } from "./valkey.ts";

/** What readiness says of Valkey. */
export interface ValkeyFinding extends Finding {
  /** Why it can't be used, as {@link Valkey.problem} says it. */
  readonly reason?: string;
}

const PRIMARY = "give the address of the primary in VALKEY_URL";
const PASSWORD = "check user and password in VALKEY_URL";
const MEMORY = "raise maxmemory, or set maxmemory-policy to volatile-lru";

/** By the reason. */
const ADVICE: Readonly<Record<string, string>> = {
  unreachable: "check host and port in VALKEY_URL, and that Valkey runs there",
  silent: "check the network to Valkey, and its load",
  readonly: PRIMARY,
  masterdown: PRIMARY,
  shared: "give each Lotline a number of its own at the end of VALKEY_URL, or a Valkey of its own",
  cluster: "give the address of a Valkey without cluster mode",
  noauth: PASSWORD,
  wrongpass: PASSWORD,
  noperm: "give the user of VALKEY_URL all commands on all keys",
  oom: MEMORY,
  misconf: "see Valkey's log: it can't write to its disk",
  loading: "wait until Valkey has read its data",
};

/** Whether a reason is one of a fixed list. Valkey may say others. */
export const isKnownReason = (reason: string): boolean => Object.hasOwn(ADVICE, reason);

/** Whether Valkey can do a process's work: it responds, and accepts writes. Lotline works without it. */
export async function checkValkey(valkey: Valkey | undefined): Promise<ValkeyFinding> {
  const check = "valkey";
  if (valkey === undefined) {
    return { check, level: "note", message: "No Valkey is configured: there is no cache" };
  }
  const reason = await valkey.problem();
  if (reason === undefined) return { check, level: "ok", message: "Valkey responds" };
  return {
    check,
    level: "warning",
    message: `Valkey can't be used: ${reason}`,
    todo: ADVICE[reason] ?? "see Lotline's log for the cause",
    reason,
  };
}
