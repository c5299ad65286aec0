import type { Buffer } from "node:buffer";
import type net from "node:net";
import { MalformedResponseError } from "../exchange/response_head.ts";
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

/** A request and the receiver of its response: exactly one of `end` and `failed`, unless it is removed. */
export interface UpstreamListener extends ResponseListener {
  readonly method: string;
  /**
   * Which open connections may be reused. `recent`: one that was in use a moment ago, for requests
   * that must not be sent twice, since the upstream may be closing one that is idle for longer.
   */
  readonly reusedConnections: "any" | "recent" | "none";
  ready(connection: Connection): void;
  /** The upstream accepts more, after `write` had returned false. */
  drained(): void;
  failed(failure: Failure): void;
}

export interface Pool {
  readonly limits: UpstreamLimits;
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
  #listener: UpstreamListener | undefined;
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
    listener: UpstreamListener,
    connected: "connect" | "secureConnect",
  ) {
    this.deadline = performance.now() + pool.limits.connectMs;
    this.#listener = listener;
    socket.on(connected, () => {
      this.#isConnected = true;
      if (this.#listener !== undefined) this.begin(this.#listener);
    });
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("drain", () => {
      this.#isBlocked = false;
      this.#wasActive = true;
      this.#listener?.drained();
    });
    socket.on("end", () => this.#onEnd());
    socket.on("error", ({ message }) => this.#fail("reset", message));
    socket.on("close", () => this.#fail("reset"));
  }

  /** Whether it serves this request, or is being opened for it. */
  isFor(listener: UpstreamListener): boolean {
    return this.#listener === listener;
  }

  begin(listener: UpstreamListener): void {
    this.#requests++;
    this.#listener = listener;
    this.#parser = new ResponseParser(listener.method, listener);
    this.#wasSent = false;
    this.#requestIsComplete = false;
    this.#wasActive = true;
    listener.ready(this);
  }

  /** Sends a part of the request. False: wait for `drained`. */
  write(bytes: Uint8Array | string): boolean {
    if (this.isClosed) return true;
    this.#wasSent = true;
    this.#isBlocked = !this.socket.write(bytes, "latin1");
    this.#wasActive = true;
    return !this.#isBlocked;
  }

  /** The complete request has been written. */
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

  /** Closes the connection without notifying its request. */
  destroy(): void {
    this.#listener = undefined;
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
    this.#listener = undefined;
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
    if (parser === undefined || this.#listener === undefined) return this.#close();
    try {
      parser.finish();
    } catch (error) {
      if (!(error instanceof MalformedResponseError)) throw error;
      return this.#fail("reset");
    }
    this.#finish(parser);
  }

  #fail(kind: "reset" | "timeout" | "broken", why?: string): void {
    const listener = this.#listener;
    this.destroy();
    listener?.failed({
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
