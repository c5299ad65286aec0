import type net from "node:net";
import type { ProxiedRequest } from "./proxied_request.ts";
import { FramingBytes } from "./framing_bytes.ts";
import type { GatewayServerLimits } from "./server_limits.ts";
import { closeGracefully, respondAndClose } from "./last_response.ts";
import type { ErrorResponseStatus } from "./error_response.ts";
import type { Peer } from "./request_head.ts";
import { InFlight } from "./in_flight.ts";

export class Client {
  readonly requests = new InFlight<ProxiedRequest>();
  /** Before the first request, the timeouts of Node's server apply. */
  wasUsed = false;
  readonly #framing: FramingBytes;
  #newest: ProxiedRequest | undefined;
  #begun = 0;
  #isClosing = false;
  #refusal: { readonly status: ErrorResponseStatus; readonly sentence: string } | undefined;
  /** When the last sweep found it in use, by `performance.now()`, and its counts at that moment. */
  #usedAt = 0;
  #bytesRead = 0;
  #begunBefore = 0;

  constructor(
    readonly socket: net.Socket,
    readonly peer: Peer,
    readonly limits: GatewayServerLimits,
  ) {
    // Node's server sets a timer after each request and clears it before the next one, which takes 6 %
    // of the gateway's processor time. `sweep` closes idle connections instead.
    socket.setTimeout = () => socket;
    this.#framing = new FramingBytes(socket, 2 * limits.headerBytes);
    // The server calls this after each packet, before the events of the bodies in that packet. Should a
    // release of the runtime stop that, `sweep` still checks.
    Object.defineProperty(socket, "_unrefTimer", { value: () => this.#checkFraming() });
  }

  /**
   * Whether further requests on it are ignored: after a refused request, a server may parse other
   * requests than the client sent.
   */
  get isClosing(): boolean {
    // A body is refused only when it is read, and the next request may be in the same packet.
    return this.#isClosing ||
      (this.#newest !== undefined && this.#newest.request.bodyBytes > this.limits.bodyBytes);
  }

  begin(proxied: ProxiedRequest): void {
    this.#begun++;
    this.requests.add(proxied);
    this.#newest = proxied;
    this.#framing.begin(proxied.request, proxied.head.isChunked);
  }

  end(proxied: ProxiedRequest): void {
    this.requests.delete(proxied);
    if (this.#newest === proxied) this.#newest = undefined;
    this.#refuseInTurn();
  }

  /** Accepts no further request, and closes the connection after the pending responses. */
  close(): void {
    this.#isClosing = true;
    closeGracefully(this.socket);
  }

  /** Refuses bytes that are no acceptable request, after the pending responses. */
  refuse(status: ErrorResponseStatus, sentence: string): void {
    this.close();
    const newest = this.#newest;
    if (newest !== undefined && !newest.request.complete) return newest.refuse(status, sentence);
    this.#refusal = { status, sentence };
    this.#refuseInTurn();
  }

  /** Closes an idle connection. To be called a few times a second. */
  sweep(now: number): void {
    const { keepAliveMs, headerMs } = this.limits;
    if (!this.wasUsed || this.requests.size > 0 || this.#begun !== this.#begunBefore) {
      this.#begunBefore = this.#begun;
      this.#bytesRead = this.socket.bytesRead;
      this.#usedAt = now;
      return;
    }
    // A head may have begun at the last moment; neither a slower one nor empty lines extend the time.
    const hasBegun = this.socket.bytesRead > this.#bytesRead;
    if (now > this.#usedAt + keepAliveMs + (hasBegun ? headerMs : 0)) this.socket.destroy();
    else this.#checkFraming();
  }

  #checkFraming(): void {
    if (this.#isClosing) return;
    const excess = this.#framing.check();
    if (excess === "head") this.refuse(431, "The headers are too long");
    else if (excess === "chunk_framing") {
      this.#isClosing = true;
      // Reading further chunks would cost processor time.
      closeGracefully(this.socket, false);
      if (this.#newest === undefined) this.socket.destroy();
      else this.#newest.refuse(413, "The chunks of the body have too much around them");
    }
  }

  #refuseInTurn(): void {
    if (this.#refusal === undefined || this.requests.size > 0) return;
    const { status, sentence } = this.#refusal;
    this.#refusal = undefined;
    // The response before may have closed the connection.
    if (this.socket.writable) respondAndClose(this.socket, status, sentence);
  }
}
