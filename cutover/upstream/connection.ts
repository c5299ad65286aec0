import type { Buffer } from "node:buffer";
import type net from "node:net";
import type { BodyCapture } from "../exchange/body_capture.ts";
import { MalformedResponseError, type ResponseHead } from "../exchange/response_head.ts";
import { type ResponseListener, ResponseParser } from "./response_parser.ts";

/** Bounds of one upstream's pool. */
export interface UpstreamLimits {
  readonly connections: number;
  /** Requests that may wait for a connection. */
  readonly waiting: number;
  readonly connectMs: number;
  /** How long the upstream may take to start its response, and between two parts of it. */
  readonly responseTimeoutMs: number;
  /** After this time an idle connection is closed. */
  readonly idleMs: number;
  /** A connection idle for less than this isn't being closed by its server. */
  readonly recentMs: number;
}

/** Why a request has no complete response. */
export interface Failure {
  /** `busy`: no connection was free, and the queue was full. `broken`: the response was malformed. */
  readonly kind: "refused" | "busy" | "reset" | "timeout" | "broken";
  /** The system's message, if there is one. */
  readonly why?: string;
  /** Whether any of the request may have reached the upstream. */
  readonly wasSent: boolean;
  /** The connection had been used before: the upstream may have closed it while it was idle. */
  readonly wasReused: boolean;
}

export interface UpstreamRequestListener {
  send(connection: Connection): void;
  /** The upstream accepts more, after `write` had returned false. */
  drained?(): void;
  interim?(head: ResponseHead): void;
  responseBegins?(request: UpstreamRequest, head: ResponseHead): void;
  responseContinues(request: UpstreamRequest, chunk: Uint8Array): void;
  responseEnds(request: UpstreamRequest, last: Uint8Array | undefined): void;
  failed(request: UpstreamRequest, failure: Failure): void;
}

/**
 * One request to an upstream. Its listener receives exactly one of `responseEnds` and `failed`, and
 * after {@link abort} nothing more.
 */
export class UpstreamRequest implements ResponseListener {
  /** When the request was written, by `performance.now()`. */
  sentAt = performance.now();
  response: ResponseHead | undefined;
  /** The connection that it was written to. */
  connection: Connection | undefined;
  #isOver = false;

  /**
   * @param reusedConnections which open connections may be used. `recent`: one that was in use a moment
   *   ago, for requests that must not be sent twice, since the upstream may be closing one that is idle
   *   for longer.
   * @param capture for the response's body, if it is to be captured
   */
  constructor(
    readonly pool: Pool,
    readonly method: string,
    readonly reusedConnections: "any" | "recent" | "none",
    readonly listener: UpstreamRequestListener,
    public capture: BodyCapture | undefined,
  ) {}

  get ms(): number {
    return performance.now() - this.sentAt;
  }

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
    if (!this.#isOver) this.listener.drained?.();
  }

  interim(head: ResponseHead): void {
    if (!this.#isOver) this.listener.interim?.(head);
  }

  head(head: ResponseHead): void {
    if (this.#isOver) return;
    this.response = head;
    this.listener.responseBegins?.(this, head);
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

export interface Pool {
  readonly limits: UpstreamLimits;
  /** Sends a request as soon as a connection is free. */
  send(request: UpstreamRequest): void;
  /** Removes a request that waits for a connection, or for one that is being opened. */
  remove(request: UpstreamRequest): void;
  /** The connection may be used for another request. */
  released(connection: Connection): void;
  closed(connection: Connection): void;
}

/** An upstream may start its keep-alive timeout earlier than the pool. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

/** A connection to an upstream, used for one request after the other. */
export class Connection {
  /** When the sweep ends it, by `performance.now()`. */
  deadline: number;
  idleSince = 0;
  isClosed = false;
  #request: UpstreamRequest | undefined;
  #parser: ResponseParser | undefined;
  #isConnected = false;
  #wasSent = false;
  #requestIsComplete = false;
  #isBlocked = false;
  #isPaused = false;
  /** Active since the last sweep: the deadline counts from the next one. */
  #wasActive = false;
  #requests = 0;

  constructor(
    readonly socket: net.Socket,
    readonly pool: Pool,
    request: UpstreamRequest,
    connected: "connect" | "secureConnect",
  ) {
    this.deadline = performance.now() + pool.limits.connectMs;
    this.#request = request;
    socket.on(connected, () => {
      this.#isConnected = true;
      if (this.#request !== undefined) this.begin(this.#request);
    });
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("drain", () => {
      this.#isBlocked = false;
      this.#wasActive = true;
      this.#request?.drained();
    });
    socket.on("end", () => this.#onEnd());
    socket.on("error", ({ message }) => this.#fail("reset", message));
    socket.on("close", () => this.#fail("reset"));
  }

  /** Whether it serves this request, or is being opened for it. */
  isFor(request: UpstreamRequest): boolean {
    return this.#request === request;
  }

  begin(request: UpstreamRequest): void {
    this.#requests++;
    this.#request = request;
    this.#parser = new ResponseParser(request.method, request);
    this.#wasSent = false;
    this.#requestIsComplete = false;
    this.#wasActive = true;
    request.ready(this);
  }

  /** Sends a part of the request. False: wait for `drained`. */
  write(bytes: Uint8Array | string): boolean {
    if (this.isClosed) return true;
    this.#wasSent = true;
    this.#isBlocked = !this.socket.write(bytes, "latin1");
    this.#wasActive = true;
    return !this.#isBlocked;
  }

  requestComplete(): void {
    this.#requestIsComplete = true;
    this.#wasActive = true;
  }

  /** Stops reading until {@link resume}: the client is slow. */
  pause(): void {
    this.#isPaused = true;
    this.socket.pause();
    this.#wasActive = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.socket.resume();
    this.#wasActive = true;
  }

  /** Closes the connection without a notification of its request. */
  destroy(): void {
    this.#request = undefined;
    this.#close();
  }

  /** Enforces the deadlines. To be called a few times a second. */
  sweep(now: number): void {
    if (this.#wasActive) {
      this.#wasActive = false;
      this.deadline = now + this.pool.limits.responseTimeoutMs;
    } else if (now > this.deadline && !this.#waitsForClient()) this.#fail("timeout");
  }

  /** Whether the client is slow to send or to read: other deadlines apply to that. */
  #waitsForClient(): boolean {
    if (!this.#isConnected || this.#parser === undefined) return false;
    return this.#isPaused || (!this.#requestIsComplete && !this.#isBlocked);
  }

  #read(bytes: Buffer): void {
    const parser = this.#parser;
    if (parser === undefined) return this.destroy();
    this.#wasActive = true;
    try {
      parser.push(bytes);
    } catch (error) {
      if (!(error instanceof MalformedResponseError)) throw error;
      return this.#fail("broken");
    }
    if (parser.isDone && this.#parser === parser) this.#finish(parser);
  }

  #finish(parser: ResponseParser): void {
    this.#request = undefined;
    this.#parser = undefined;
    // Part of a request is still on it, or the upstream closes it.
    if (!this.#requestIsComplete || !parser.keepsAlive) return this.#close();
    this.resume();
    const { idleMs } = this.pool.limits;
    const seconds = parser.keepAliveSeconds;
    this.idleSince = performance.now();
    this.#wasActive = false;
    this.deadline = this.idleSince +
      (seconds === undefined ? idleMs : Math.min(idleMs, seconds * 1_000 - KEEP_ALIVE_MARGIN_MS));
    this.pool.released(this);
  }

  #onEnd(): void {
    const parser = this.#parser;
    if (parser === undefined || this.#request === undefined) return this.#close();
    try {
      parser.finish();
    } catch (error) {
      if (!(error instanceof MalformedResponseError)) throw error;
      return this.#fail("reset");
    }
    this.#finish(parser);
  }

  #fail(kind: "reset" | "timeout" | "broken", why?: string): void {
    const request = this.#request;
    this.destroy();
    request?.failed({
      kind: this.#isConnected || kind === "timeout" ? kind : "refused",
      wasSent: this.#wasSent,
      wasReused: this.#requests > 1,
      ...(why !== undefined && { why }),
    });
  }

  #close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#parser = undefined;
    this.socket.destroy();
    this.pool.closed(this);
  }
}
