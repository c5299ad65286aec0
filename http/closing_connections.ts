/** So long after a refusal nothing is served on its connection, in ms. */
const CLOSING_MS = 5_000;
const MAX_CONNECTIONS = 10_000;

/**
 * Connections on which a request was refused whose framing, or whose host, two servers could read in
 * two ways. Deno's server writes `Connection: close` of such an answer and goes on reading: what the
 * client, or somebody through it, has sent behind that request would be executed.
 *
 * A connection is known by its client's address and port, which another one may have later. So it is
 * remembered for a moment only: what was sent ahead comes at once.
 */
export class ClosingConnections {
  readonly #refusedAt = new Map<string, number>();

  /** Serves nothing more on a connection from there. */
  close(address: string, port: number): void {
    const connection = `${address} ${port}`;
    this.#refusedAt.delete(connection);
    this.#refusedAt.set(connection, performance.now());
    for (const [oldest, at] of this.#refusedAt) {
      if (!isOver(at) && this.#refusedAt.size <= MAX_CONNECTIONS) break;
      this.#refusedAt.delete(oldest);
    }
  }

  /** Whether nothing is served any more on the connection from there. */
  isClosing(address: string, port: number | undefined): boolean {
    // Almost always there is none.
    if (this.#refusedAt.size === 0) return false;
    const at = this.#refusedAt.get(`${address} ${port}`);
    return at !== undefined && !isOver(at);
  }
}

function isOver(refusedAt: number): boolean {
  return performance.now() > refusedAt + CLOSING_MS;
}
