import type { Buffer } from "node:buffer";
import type net from "node:net";
import { MalformedResponseError } from "../exchange/response_head.ts";
import { type ResponseListener, ResponseParser } from "./response_parser.ts";

/** Bounds of what one side is asked. */
export interface UpstreamLimits {
  /** The most connections at once. */
  readonly connections: number;
  /** The most requests that wait for a connection. */
  readonly waiting: number;
  readonly connectMs: number;
  /** How long the side may take to start its answer, and to go on with it. */
  readonly responseTimeoutMs: number;
  /** How long a connection is kept that nobody needs. */
  readonly idleMs: number;
  /** A connection that was in use so short a time ago isn't being closed by its server. */
  readonly recentMs: number;
}

/** Why a request got no whole answer. */
export interface Failure {
  /**
   * `busy`: all connections were in use, and too many requests waited. `broken`: what came was no
   * answer.
   */
  readonly kind: "refused" | "busy" | "reset" | "timeout" | "broken";
  /** In the words of the system, where it said something. */
  readonly why?: string;
  /** Whether anything of the request may have reached the side. */
  readonly wasSent: boolean;
  /** Whether the connection had been used before: the side may have closed it while it was idle. */
  readonly wasReused: boolean;
}

/** A request on its way. It is told exactly one of `end` and `failed`, unless it is given up. */
export interface UpstreamListener extends ResponseListener {
  readonly method: string;
  /**
   * Which kept connections will do. `recent`, for what must not be sent twice: one that was in use a
   * moment ago, since the side may be closing one that has been idle for longer.
   */
  readonly reusedConnections: "any" | "recent" | "none";
  /** A connection is there: write the request. */
  ready(connection: Connection): void;
  /** The side has taken what was written, after `write` had said that it is slow. */
  drained(): void;
  failed(failure: Failure): void;
}

/** What a connection belongs to. */
export interface Pool {
  readonly limits: UpstreamLimits;
  /** The connection's request is over: it can be used for another one. */
  released(connection: Connection): void;
  closed(connection: Connection): void;
}

/** A side that says for how long it keeps a connection may begin to count earlier than we do. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

/** A connection to a side, used for one request after the other. */
export class Connection {
  /** When the sweep ends it, by `performance.now()`. */
  deadline: number;
  idleSince = 0;
  #asker: UpstreamListener | undefined;
  #parser: ResponseParser | undefined;
  #isConnected = false;
  #isClosed = false;
  #wasSent = false;
  #requestIsWhole = false;
  #isBlocked = false;
  #isPaused = false;
  /** Something has happened since the last sweep: the deadline counts from the next one. */
  #hasMoved = false;
  #uses = 0;

  constructor(
    readonly socket: net.Socket,
    readonly pool: Pool,
    listener: UpstreamListener,
    connected: "connect" | "secureConnect",
  ) {
    this.deadline = performance.now() + pool.limits.connectMs;
    this.#asker = listener;
    socket.on(connected, () => {
      this.#isConnected = true;
      const first = this.#asker;
      if (first !== undefined) this.begin(first);
    });
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("drain", () => {
      this.#isBlocked = false;
      this.#hasMoved = true;
      this.#asker?.drained();
    });
    socket.on("end", () => this.#ended());
    socket.on("error", ({ message }) => this.#lost("reset", message));
    socket.on("close", () => this.#lost("reset"));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether it works for this request, or is being opened for it. */
  isFor(listener: UpstreamListener): boolean {
    return this.#asker === listener;
  }

  /** Starts a request on the connection. */
  begin(listener: UpstreamListener): void {
    this.#uses++;
    this.#asker = listener;
    this.#parser = new ResponseParser(listener.method, listener);
    this.#wasSent = false;
    this.#requestIsWhole = false;
    this.#hasMoved = true;
    listener.ready(this);
  }

  /** Sends a part of the request. False: the side is slow to take it, wait for `drained`. */
  write(bytes: Uint8Array | string): boolean {
    if (this.#isClosed) return true;
    this.#wasSent = true;
    this.#isBlocked = !this.socket.write(bytes, "latin1");
    this.#hasMoved = true;
    return !this.#isBlocked;
  }

  /** All of the request has been written. */
  wholeRequest(): void {
    this.#requestIsWhole = true;
    this.#hasMoved = true;
  }

  /** Reads no further until {@link resume}: the client is slow. */
  pause(): void {
    this.#isPaused = true;
    this.socket.pause();
    this.#hasMoved = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.socket.resume();
    this.#hasMoved = true;
  }

  /** Closes the connection; its request, if there is one, is told nothing. */
  destroy(): void {
    this.#asker = undefined;
    this.#close();
  }

  /** Ends it when it takes too long. To be called a few times a second. */
  sweep(now: number): void {
    if (this.#hasMoved) {
      this.#hasMoved = false;
      this.deadline = now + this.pool.limits.responseTimeoutMs;
    } else if (now > this.deadline) this.#timeOut();
  }

  #timeOut(): void {
    // It isn't the side's fault when the client is slow to send or to read; others watch over that.
    if (this.#isConnected && this.#parser !== undefined) {
      if (this.#isPaused || (!this.#requestIsWhole && !this.#isBlocked)) return;
    }
    this.#lost("timeout");
  }

  #read(bytes: Buffer): void {
    const parser = this.#parser;
    if (parser === undefined) return this.destroy();
    this.#hasMoved = true;
    try {
      parser.push(bytes);
    } catch (error) {
      if (!(error instanceof MalformedResponseError)) throw error;
      return this.#lost("broken");
    }
    if (parser.isDone && this.#parser === parser) this.#done(parser);
  }

  #done(parser: ResponseParser): void {
    this.#asker = undefined;
    this.#parser = undefined;
    // Half of a request is stuck in it, or the side has said that it ends here.
    if (!this.#requestIsWhole || !parser.keepsAlive) return this.#close();
    this.resume();
    const { idleMs } = this.pool.limits;
    const notified = parser.keepAliveSeconds;
    this.idleSince = performance.now();
    this.#hasMoved = false;
    this.deadline = this.idleSince +
      (notified === undefined ? idleMs : Math.min(idleMs, notified * 1_000 - KEEP_ALIVE_MARGIN_MS));
    this.pool.released(this);
  }

  #ended(): void {
    const parser = this.#parser;
    if (parser === undefined || this.#asker === undefined) return this.#close();
    try {
      parser.finish();
    } catch (error) {
      if (!(error instanceof MalformedResponseError)) throw error;
      return this.#lost("reset");
    }
    this.#done(parser);
  }

  #lost(kind: "reset" | "timeout" | "broken", why?: string): void {
    const listener = this.#asker;
    this.#asker = undefined;
    this.#close();
    listener?.failed({
      kind: this.#isConnected || kind === "timeout" ? kind : "refused",
      wasSent: this.#wasSent,
      wasReused: this.#uses > 1,
      ...(why !== undefined && { why }),
    });
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#parser = undefined;
    this.socket.destroy();
    this.pool.closed(this);
  }
}
