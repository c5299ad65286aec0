/** A requested port is in use by another program. */
export class PortTakenError extends Error {
  override name = "PortTakenError";

  constructor(readonly port: number) {
    super(`Port ${port} is in use by another program`);
  }
}

/**
 * A TCP port of 127.0.0.1 that nothing listens on right now. Another program may take it before it
 * is used: the caller must be ready to try again.
 */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
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
