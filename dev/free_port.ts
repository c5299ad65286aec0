/** A requested port is in use by another program. */
export class PortTakenError extends Error {
  override name = "PortTakenError";

  constructor(readonly port: number) {
    super(`Port ${port} is in use by another program`);
  }
}

/** Below the ports that Linux (32768), macOS and Windows (49152) give to outgoing connections. */
const FROM = 15_000;
const TO = 32_767;

/**
 * A TCP port of 127.0.0.1 that nothing listens on right now. Another program may take it before it
 * is used: the caller must be ready to try again.
 *
 * No outgoing connection gets it from the system. So a server finds it free again when it starts
 * anew, and a client that tries to reach a port where nothing listens never reaches itself.
 */
export function freePort(): number {
  for (let tries = 1; tries <= 1_000; tries++) {
    const port = FROM + Math.floor(Math.random() * (TO - FROM + 1));
    if (!isTaken(port)) return port;
  }
  throw new Error(`No free port was found from ${FROM} to ${TO}`);
}

/** The next port of 127.0.0.1 that nothing listens on right now; any free one when there is none. */
export function freePortAfter(port: number): number {
  for (let next = port + 1; next <= 65_535; next++) if (!isTaken(next)) return next;
  return freePort();
}

/** Whether something listens on a port of 127.0.0.1. */
export function isTaken(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return false;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return true;
    throw error;
  }
}
