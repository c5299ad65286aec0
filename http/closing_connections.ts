/** A connection serves nothing for this long after a refusal, in ms. */
const CLOSING_MS = 5_000;
const MAX_CONNECTIONS = 10_000;

/**
 * Connections with a refused request whose framing or host two servers could read differently.
 * Deno's server sends `Connection: close` and still reads on. It would execute what the client, or
 * an attacker through it, sent behind that request.
 *
 * A connection is identified by the client's address and port, which another connection may have
 * later. A short time is enough: smuggled requests arrive at once.
 */
export class ClosingConnections {
  readonly #refusedAt = new Map<string, number>();

  close(address: string, port: number): void {
    const connection = `${address} ${port}`;
    this.#refusedAt.delete(connection);
    this.#refusedAt.set(connection, performance.now());
    for (const [oldest, at] of this.#refusedAt) {
      if (!isOver(at) && this.#refusedAt.size <= MAX_CONNECTIONS) break;
      this.#refusedAt.delete(oldest);
    }
  }

  isClosing(address: string, port: number | undefined): boolean {
    // The usual case, without building a key.
    if (this.#refusedAt.size === 0) return false;
    const at = this.#refusedAt.get(`${address} ${port}`);
    return at !== undefined && !isOver(at);
  }
}

function isOver(refusedAt: number): boolean {
  return performance.now() > refusedAt + CLOSING_MS;
}
