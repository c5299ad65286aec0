import type net from "node:net";
import type { ProxiedRequest } from "./proxied_request.ts";
import type { ClientRequest } from "./request_body.ts";
import type { GatewayServerLimits } from "./server_limits.ts";
import { closeGracefully, type ErrorResponse, respondAndClose } from "./client_response.ts";
import type { Peer } from "./request_head.ts";
import { InFlight } from "./in_flight.ts";

/** Node's bound on chunk extensions; here for all framing of a request. */
const MAX_FRAMING_BYTES = 16_384;
/** A chunk's size and its two line ends, with a reserve. */
const BYTES_PER_PIECE = 16;

/**
 * Bounds the chunks of a body, each of which costs a call: this many of any size, and one more for each
 * {@link BYTES_PER_MORE}. A body that the upstreams accept may have chunks of one byte.
 */
const MAX_PIECES = 102_400;
const BYTES_PER_MORE = 64;

/**
 * Counts the bytes on a client's connection that belong to neither heads nor bodies. The server's parser
 * bounds the names and values of headers and trailers only. Chunk extensions, zeros before a chunk size,
 * empty lines before a request and spaces before a header's value would be unbounded.
 *
 * It counts packets: bytes in the packet that ended another request are left out.
 */
class FramingBytes {
  #request: ClientRequest | undefined;
  #isChunked = false;
  /** Bytes read when the last request was complete; undefined: a request is arriving. */
  #completeAt: number | undefined = 0;
  /** Bytes read when the body began; undefined: unknown. */
  #bodyAt: number | undefined;

  /** @param maxHeadBytes of a head, with the spaces and empty lines in it and before it */
  constructor(readonly socket: net.Socket, readonly maxHeadBytes: number) {}

  begin(request: ClientRequest, isChunked: boolean): void {
    this.#request = request;
    this.#isChunked = isChunked;
    this.#bodyAt = undefined;
    if (isChunked && this.#completeAt !== undefined) {
      this.#bodyAt = this.#completeAt + request.headBytes();
    }
    this.#completeAt = undefined;
  }

  /** To be called after each packet. Returns which bound is exceeded. */
  check(): "chunk_framing" | "head" | undefined {
    const { bytesRead } = this.socket;
    if (this.#completeAt !== undefined) {
      return bytesRead - this.#completeAt > this.maxHeadBytes ? "head" : undefined;
    }
    const request = this.#request;
    if (request === undefined) return undefined;
    if (request.complete) {
      this.#completeAt = bytesRead;
      this.#request = undefined;
    }
    if (!this.#isChunked) return undefined;
    this.#bodyAt ??= bytesRead - request.bodyBytes;
    const framing = bytesRead - this.#bodyAt - request.bodyBytes;
    const maxFraming = MAX_FRAMING_BYTES + BYTES_PER_PIECE * request.pieces;
    const maxPieces = MAX_PIECES + request.bodyBytes / BYTES_PER_MORE;
    return framing > maxFraming || request.pieces > maxPieces ? "chunk_framing" : undefined;
  }
}

export class Client {
  readonly requests = new InFlight<ProxiedRequest>();
  /** Before the first request, the timeouts of Node's server apply. */
  wasUsed = false;
  readonly #framing: FramingBytes;
  #newest: ProxiedRequest | undefined;
  #begun = 0;
  #isClosing = false;
  #refusal: ErrorResponse | undefined;
  /** When the last sweep found it in use, by `performance.now()`, and its counts at that moment. */
  #usedAt = 0;
  #bytesRead = 0;
  #begunBefore = 0;

  constructor(
    readonly socket: net.Socket,
    readonly peer: Peer,
    readonly limits: GatewayServerLimits,
    /** Called for bytes that were refused before they were a request. */
    readonly onRefused: (status: number) => void,
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
  refuse(refusal: ErrorResponse): void {
    this.close();
    const newest = this.#newest;
    if (newest !== undefined && !newest.request.complete) return newest.refuse(refusal);
    this.#refusal = refusal;
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
    if (excess === "head") this.refuse([431, "The headers are too long"]);
    else if (excess === "chunk_framing") {
      this.#isClosing = true;
      // Reading further chunks would cost processor time.
      closeGracefully(this.socket, false);
      if (this.#newest === undefined) this.socket.destroy();
      else this.#newest.refuse([413, "The chunks of the body have too much around them"]);
    }
  }

  #refuseInTurn(): void {
    const refusal = this.#refusal;
    if (refusal === undefined || this.requests.size > 0) return;
    this.#refusal = undefined;
    // The response before may have closed the connection.
    if (!this.socket.writable) return;
    respondAndClose(this.socket, refusal);
    this.onRefused(refusal[0]);
  }
}
