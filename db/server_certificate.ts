import type tls from "node:tls";
import type { Address } from "./address.ts";
import { attemptsFor } from "./connect_attempts.ts";
import { openLink } from "./link.ts";

/** How the connections of an address are encrypted. */
export interface Encryption {
  /** Such as `TLSv1.3`. */
  readonly version: string;
  /** Until when the server's certificate is valid. */
  readonly end: Date;
}

/**
 * The encryption to the first host that can be reached, which may be a pooler's; undefined without TLS.
 *
 * @throws the failure of the last host
 */
export async function readEncryption(
  address: Address,
  timeoutMs: number,
): Promise<Encryption | undefined> {
  let failure: unknown;
  const attempts = attemptsFor(address, { timeoutMs, onFailure: (_, error) => failure = error });
  for (;;) {
    const { value: attempt } = await attempts.next(true);
    if (attempt === undefined) throw failure;
    try {
      const link = await openLink(attempt, address, AbortSignal.timeout(timeoutMs));
      try {
        if (!link.isEncrypted) return undefined;
        const socket = link.socket as tls.TLSSocket;
        const end = new Date(socket.getPeerCertificate().valid_to);
        return { version: socket.getProtocol() ?? "TLS", end };
      } finally {
        link.destroy();
      }
    } catch (error) {
      failure = error;
    }
  }
}
