import { namesPooler, parseAddress } from "./address.ts";
import { poolerOf } from "./pooler.ts";

/*
 * Locks of a session, and what else belongs to a connection, need connections that lead to PostgreSQL
 * itself: a pooler in transaction mode gives each transaction another one.
 */

/** The address for such work, and the setting that it comes from. */
export interface DirectAddress {
  readonly url: string;
  readonly setting: "DATABASE_URL" | "DATABASE_DIRECT_URL";
}

/** The message says which setting leads through a pooler, and what to do. */
export class DirectAddressError extends Error {
  override name = "DirectAddressError";
}

export function directAddress(
  { DATABASE_URL, DATABASE_DIRECT_URL }: {
    readonly DATABASE_URL: string;
    readonly DATABASE_DIRECT_URL?: string | undefined;
  },
): DirectAddress {
  return DATABASE_DIRECT_URL === undefined
    ? { url: DATABASE_URL, setting: "DATABASE_URL" }
    : { url: DATABASE_DIRECT_URL, setting: "DATABASE_DIRECT_URL" };
}

/**
 * Makes sure that the address leads to PostgreSQL itself. An address that says nothing about a pooler
 * is probed with a connection.
 *
 * @param who such as "the worker"
 * @throws {DirectAddressError} it leads through a pooler in transaction mode
 * @throws as a statement does when no connection can be made
 */
export async function requireDirect(
  { url, setting }: DirectAddress,
  who: string,
): Promise<void> {
  const address = parseAddress(url);
  const pooler = namesPooler(url) ? address.pooler : "auto";
  if (pooler === "none") return;
  if (pooler === "auto" && (await poolerOf({ ...address, pooler })).kind === "none") return;
  throw new DirectAddressError(
    `${setting} leads through a pooler in transaction mode, and ${who} holds locks of a connection: ` +
      (setting === "DATABASE_URL"
        ? "set DATABASE_DIRECT_URL to the address of PostgreSQL itself"
        : "give the address of PostgreSQL itself there"),
  );
}
