import type { Log } from "../log.ts";
import { parseAddress } from "./address.ts";

/** Logs at a start what an address says that may be a mistake. */
export function logAddress(address: string, log: Log): void {
  const { hosts, target, ignored } = parseAddress(address);
  if (ignored.length > 0) {
    log("info", "parameters_ignored", { parameters: ignored.join(" ") });
  }
  if (hosts.length > 1 && target === "any") {
    log("warn", "address_any_host", { hosts: hosts.length });
  }
}
