import type net from "node:net";
import type { ProxiedRequest } from "./proxied_request.ts";
import { FramingBytes } from "./framing_bytes.ts";
import type { GatewayServerLimits } from "./server_limits.ts";
import { endWith, willEndGently } from "./last_response.ts";
import type { ErrorResponseStatus } from "./error_response.ts";
import type { Peer } from "./request_head.ts";
import { InFlight } from "./in_flight.ts";

/** A connection of a client. */
export class Client {
  /** Its requests that aren't over. */
  readonly requests = new InFlight<ProxiedRequest>();
  /** Before its first request, the server's own limits hold. */
  wasUsed = false;
  readonly #framing: FramingBytes;
  #newest: ProxiedRequest | undefined;
  #begun = 0;
  #isClosing = false;
  #refusal: { readonly status: ErrorResponseStatus; readonly sentence: string } | undefined;
  /** When it last was seen to be in use, by `performance.now()`, and what had come until then. */
  #usedAt = 0;
  #bytesRead = 0;
  #begunBefore = 0;

  constructor(
    readonly socket: net.Socket,
    readonly peer: Peer,
    readonly limits: GatewayServerLimits,
  ) {
    // Node's server makes a timer when a request is over and clears it when the next one comes, which
    // takes 6 % of the gateway's time for one. `sweep` closes what is kept and not used.
    socket.setTimeout = () => socket;
    this.#framing = new FramingBytes(socket, 2 * limits.headerBytes);
    // The server sets such a timer back after each packet that it has read, also before the events of
    // that packet's bodies. Without that call, `sweep` looks.
    Object.defineProperty(socket, "_unrefTimer", { value: () => this.#look() });
  }

  /**
   * Whether nothing is served any more that comes on it: behind a request that was refused, a server
   * may see other requests than the client sent.
   */
  get isClosing(): boolean {
    // Such a body is refused when it is read, and the next request may have come in the same packet.
    return this.#isClosing ||
      (this.#newest !== undefined && this.#newest.request.bodyBytes > this.limits.bodyBytes);
  }

  /** The head of a request has come that is going to be answered. */
  begin(proxied: ProxiedRequest): void {
    this.#begun++;
    this.requests.add(proxied);
    this.#newest = proxied;
    this.#framing.begin(proxied.request, proxied.head.isChunked);
  }

  /** A request of it is over. */
  end(proxied: ProxiedRequest): void {
    this.requests.delete(proxied);
    if (this.#newest === proxied) this.#newest = undefined;
    this.#refuseInTurn();
  }

  /** Serves nothing more; the requests that it has are answered, and the connection is closed. */
  close(): void {
    this.#isClosing = true;
    willEndGently(this.socket);
  }

  /** Refuses what comes on it and is no request, when the requests before it are answered. */
  refuse(status: ErrorResponseStatus, sentence: string): void {
    this.close();
    const newest = this.#newest;
    if (newest !== undefined && !newest.request.complete) return newest.refuse(status, sentence);
    this.#refusal = { status, sentence };
    this.#refuseInTurn();
  }

  /** Closes it when nobody needs it. To be called a few times a second. */
  sweep(now: number): void {
    const { keepAliveMs, headerMs } = this.limits;
    if (!this.wasUsed || this.requests.size > 0 || this.#begun !== this.#begunBefore) {
      this.#begunBefore = this.#begun;
      this.#bytesRead = this.socket.bytesRead;
      this.#usedAt = now;
      return;
    }
    // A head may have begun at the last moment; one that takes longer, or empty lines, don't keep it.
    const began = this.socket.bytesRead > this.#bytesRead;
    if (now > this.#usedAt + keepAliveMs + (began ? headerMs : 0)) this.socket.destroy();
    else this.#look();
  }

  #look(): void {
    if (this.#isClosing) return;
    const tooMuch = this.#framing.look();
    if (tooMuch === "head") this.refuse(431, "The headers are too long");
    else if (tooMuch === "chunk_framing") {
      this.#isClosing = true;
      // Each chunk more would be work.
      willEndGently(this.socket, false);
      // It may have its answer already.
      if (this.#newest === undefined) this.socket.destroy();
      else this.#newest.refuse(413, "The chunks of the body have too much around them");
    }
  }

  #refuseInTurn(): void {
    if (this.#refusal === undefined || this.requests.size > 0) return;
    const { status, sentence } = this.#refusal;
    this.#refusal = undefined;
    // The answer before may have been the last by itself.
    if (this.socket.writable) endWith(this.socket, status, sentence);
  }
}
