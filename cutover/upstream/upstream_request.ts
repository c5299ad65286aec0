import type { ResponseHead } from "../exchange/response_head.ts";
import { ALWAYS_CAPTURED_BYTES, BodyCapture } from "../exchange/body_capture.ts";
import type { BodyDigest } from "../exchange/exchange.ts";
import type { Upstream } from "../exchange/route.ts";
import type { Connection, Failure, UpstreamListener } from "./connection.ts";
import type { UpstreamPool } from "./upstream.ts";

/** Is told how one side answers. */
export interface UpstreamRequestListener {
  /** Writes the request. */
  send(connection: Connection): void;
  drained(): void;
  interim(head: ResponseHead): void;
  responseBegins(request: UpstreamRequest, head: ResponseHead): void;
  responseContinues(request: UpstreamRequest, chunk: Uint8Array): void;
  responseEnds(request: UpstreamRequest, last: Uint8Array | undefined): void;
  failed(request: UpstreamRequest, failure: Failure): void;
}

/** One side, asked once on behalf of a client. */
export class UpstreamRequest implements UpstreamListener {
  /** When the request was written, by `performance.now()`. */
  sentAt = performance.now();
  answer: ResponseHead | undefined;
  #connection: Connection | undefined;
  #isOver = false;
  #kept: BodyCapture | undefined;

  /** @param capture what the answer's body is gathered in, if it is */
  constructor(
    readonly upstream: Upstream,
    readonly pool: UpstreamPool,
    readonly method: string,
    readonly reusedConnections: "any" | "recent" | "none",
    readonly listener: UpstreamRequestListener,
    capture: BodyCapture | undefined,
  ) {
    this.#kept = capture;
  }

  /** Whether a connection was there, and the request was written to it. */
  get isSent(): boolean {
    return this.#connection !== undefined;
  }

  get ms(): number {
    return performance.now() - this.sentAt;
  }

  /** The answer's body, if it was to be kept and could be. */
  get body(): Uint8Array | undefined {
    return this.#kept?.body;
  }

  /** What is known of a body that was to be kept and was too large, when all of it has come. */
  get digest(): BodyDigest | undefined {
    return this.#kept?.digest;
  }

  /** From its beginning the body is gathered, a short one, to be held back. */
  captureBody(): void {
    this.#kept = new BodyCapture(ALWAYS_CAPTURED_BYTES);
  }

  /** Asks no further; the watcher is told nothing more. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#connection === undefined) this.pool.remove(this);
    else this.#connection.destroy();
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  ready(connection: Connection): void {
    if (this.#isOver) return connection.destroy();
    this.#connection = connection;
    this.sentAt = performance.now();
    this.listener.send(connection);
  }

  drained(): void {
    if (!this.#isOver) this.listener.drained();
  }

  interim(head: ResponseHead): void {
    if (!this.#isOver) this.listener.interim(head);
  }

  head(head: ResponseHead): void {
    if (this.#isOver) return;
    this.answer = head;
    this.listener.responseBegins(this, head);
  }

  data(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#kept?.append(chunk);
    this.listener.responseContinues(this, chunk);
  }

  end(last: Uint8Array | undefined): void {
    if (this.#isOver) return;
    if (last !== undefined) this.#kept?.append(last);
    // The connection is no longer this request's.
    this.#isOver = true;
    this.listener.responseEnds(this, last);
  }

  failed(failure: Failure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.listener.failed(this, failure);
  }
}
