import type net from "node:net";
import type { Forwarding } from "./forwarding.ts";
import type { Peer } from "./request_head.ts";
import { UnderWay } from "./under_way.ts";

/** A connection of a client. */
export class Client {
  /** Its requests that aren't over. */
  readonly requests = new UnderWay<Forwarding>();
  /** Before its first request, the server's own limits hold. */
  wasUsed = false;
  #bytesRead = 0;
  /** When it last was seen to be in use, by `performance.now()`. */
  #usedAt = 0;

  constructor(readonly socket: net.Socket, readonly peer: Peer) {
    // Node's server makes a timer when a request is over and clears it when the next one comes, which
    // takes 6 % of the gateway's time for one. `sweep` closes what is kept and not used.
    socket.setTimeout = () => socket;
  }

  /** Closes it when nothing has come for so long. To be called a few times a second. */
  sweep(now: number, keepAliveMs: number): void {
    const { bytesRead } = this.socket;
    if (!this.wasUsed || this.requests.size > 0 || bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead;
      this.#usedAt = now;
    } else if (now > this.#usedAt + keepAliveMs) this.socket.destroy();
  }
}
