/** What the addresses of PostgreSQL and of Valkey have in common. */

import net from "node:net";

/** An address is refused; the message is a sentence without a value of the address. */
export class AddressError extends Error {
  override name = "AddressError";
}

export const MAX_ADDRESS_LENGTH = 8_192;

/**
 * Replaces percent-encoded bytes. `decodeURIComponent` alone has no sentence for what it refuses.
 *
 * @param part what the text is, such as "the password"
 * @throws {AddressError}
 */
export function percentDecoded(part: string, text: string): string {
  if (text.replaceAll(/%[\dA-Fa-f]{2}/g, "").includes("%")) {
    throw new AddressError(
      `${part} has a % without two hexadecimal digits behind it: write it as %25`,
    );
  }
  if (/%00|\0/.test(text)) throw new AddressError(`${part} has a zero byte`);
  try {
    return decodeURIComponent(text);
  } catch {
    throw new AddressError(`${part} has percent-encoded bytes that are not UTF-8`);
  }
}

/** Whether the text is a name in ASCII or an IP address without a zone. */
export function isHost(text: string): boolean {
  return net.isIP(text) !== 0 ? !text.includes("%") : /^[\w.-]{1,255}$/.test(text);
}

/** A port from 1 to 65535; undefined when the text is none. */
export function parsePort(text: string): number | undefined {
  const port = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** Whether an unknown name can be shown: it may be a part of a password with a raw @, ? or &. */
export function isShown(name: string, query: string): boolean {
  return /^[A-Za-z_][\w.-]{0,62}$/.test(name) && !/@|password=/i.test(query);
}
