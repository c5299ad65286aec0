import type tls from "node:tls";
import type { Address } from "./address.ts";
import { attemptsFor } from "./connect_attempts.ts";
import { openLink } from "./link.ts";

/**
 * Until when the certificate of the first host that can be reached is valid; undefined without TLS.
 *
 * @throws the failure of the last host
 */
export async function readCertificateEnd(
  address: Address,
  timeoutMs: number,
): Promise<Date | undefined> {
  let failure: unknown;
  const attempts = attemptsFor(address, { timeoutMs, onFailure: (_, error) => failure = error });
  for (;;) {
    const { value: attempt } = await attempts.next(true);
    if (attempt === undefined) throw failure;
    try {
      const link = await openLink(attempt, address, AbortSignal.timeout(timeoutMs));
      try {
        if (!link.isEncrypted) return undefined;
        return new Date((link.socket as tls.TLSSocket).getPeerCertificate().valid_to);
      } finally {
        link.destroy();
      }
    } catch (error) {
      failure = error;
    }
  }
}
