import type { ResponseHead } from "../exchange/response_head.ts";
import type { BodyCapture } from "../exchange/body_capture.ts";
import type { Connection, Failure, UpstreamListener } from "./connection.ts";
import type { UpstreamPool } from "./upstream.ts";

/** Receives the events of an {@link UpstreamRequest}. */
export interface UpstreamRequestListener {
  send(connection: Connection): void;
  drained(): void;
  interim(head: ResponseHead): void;
  responseBegins(request: UpstreamRequest, head: ResponseHead): void;
  responseContinues(request: UpstreamRequest, chunk: Uint8Array): void;
  responseEnds(request: UpstreamRequest, last: Uint8Array | undefined): void;
  failed(request: UpstreamRequest, failure: Failure): void;
}

/** One request to an upstream; after {@link abort} its listener receives nothing more. */
export class UpstreamRequest implements UpstreamListener {
  /** When the request was written, by `performance.now()`. */
  sentAt = performance.now();
  response: ResponseHead | undefined;
  /** The connection that it was written to. */
  connection: Connection | undefined;
  #isOver = false;

  /** @param capture for the response's body, if it is to be captured */
  constructor(
    readonly pool: UpstreamPool,
    readonly method: string,
    readonly reusedConnections: UpstreamListener["reusedConnections"],
    readonly listener: UpstreamRequestListener,
    public capture: BodyCapture | undefined,
  ) {}

  get ms(): number {
    return performance.now() - this.sentAt;
  }

  /** Cancels the request; the listener receives no further event. */
  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.connection === undefined) this.pool.remove(this);
    else this.connection.destroy();
  }

  ready(connection: Connection): void {
    if (this.#isOver) return connection.destroy();
    this.connection = connection;
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
    this.response = head;
    this.listener.responseBegins(this, head);
  }

  data(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.capture?.append(chunk);
    this.listener.responseContinues(this, chunk);
  }

  end(last: Uint8Array | undefined): void {
    if (this.#isOver) return;
    if (last !== undefined) this.capture?.append(last);
    // From here on the connection serves other requests.
    this.#isOver = true;
    this.listener.responseEnds(this, last);
  }

  failed(failure: Failure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.listener.failed(this, failure);
  }
}
