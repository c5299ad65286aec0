import { type DirectAddress, DirectAddressError, requireDirect } from "../db/direct_address.ts";
import type { Log } from "../log.ts";
import { delay } from "../timing.ts";

/*
 * A worker begins when PostgreSQL has shown that no pooler stands before it: the lock of a relay, taken
 * through one, would outlive the worker.
 */

const RETRY_MS = 1_000;

/**
 * Returns whether that is known.
 * @throws {DirectAddressError} there is a pooler
 */
export async function isDirect(address: DirectAddress, log: Log): Promise<boolean> {
  try {
    await requireDirect(address, "the worker");
    return true;
  } catch (error) {
    if (!(error instanceof DirectAddressError)) return false;
    log("error", "direct_address_needed", { setting: address.setting });
    throw error;
  }
}

/**
 * Waits for a database that was unavailable, until that is known or the signal is aborted.
 * @throws {DirectAddressError} there is a pooler
 */
export async function untilDirect(
  address: DirectAddress,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  do await delay(RETRY_MS, signal); while (!signal.aborted && !await isDirect(address, log));
}
