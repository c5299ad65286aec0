import { LRUCache } from "lru-cache";

/**
 * Connections with a refused request whose framing or host two servers could read differently.
 * Deno's server sends `Connection: close` and still reads on. It would execute what the client, or
 * an attacker through it, sent behind that request.
 *
 * A connection is identified by the client's address and port, which another connection may have
 * later: on Linux a second after the last one at the earliest (`tcp_tw_reuse`). That time is enough:
 * smuggled requests arrive at once, and each refused one begins it anew.
 */
export class ClosingConnections {
  // The exact time is read, since a cached one needs a timer.
  readonly #refused = new LRUCache<string, true>({ max: 10_000, ttl: 1_000, ttlResolution: 0 });

  close(address: string, port: number): void {
    this.#refused.set(`${address} ${port}`, true);
  }

  /** Whether a request on this connection is to be refused. */
  isClosing(address: string, port: number | undefined): boolean {
    // The usual case, without building a key.
    return this.#refused.size > 0 && this.#refused.has(`${address} ${port}`);
  }
}
