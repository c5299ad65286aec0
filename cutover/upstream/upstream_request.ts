import type { AnswerHead } from "../exchange/response_head.ts";
import { ALWAYS_KEPT_BYTES, BodyCapture } from "../exchange/body_capture.ts";
import type { BodyDigest } from "../exchange/exchange.ts";
import type { Side } from "../exchange/route.ts";
import type { Asker, Connection, Failure } from "./connection.ts";
import type { Upstream } from "./upstream.ts";

/** Is told how one side answers. */
export interface AttemptWatcher {
  /** Writes the request. */
  send(connection: Connection): void;
  drained(): void;
  interim(head: AnswerHead): void;
  answerBegins(attempt: Attempt, head: AnswerHead): void;
  answerGoesOn(attempt: Attempt, chunk: Uint8Array): void;
  answerEnds(attempt: Attempt, last: Uint8Array | undefined): void;
  failed(attempt: Attempt, failure: Failure): void;
}

/** One side, asked once on behalf of a client. */
export class Attempt implements Asker {
  /** When the request was written, by `performance.now()`. */
  sentAt = performance.now();
  answer: AnswerHead | undefined;
  #connection: Connection | undefined;
  #isOver = false;
  #kept: BodyCapture | undefined;

  /** @param capture what the answer's body is gathered in, if it is */
  constructor(
    readonly side: Side,
    readonly upstream: Upstream,
    readonly method: string,
    readonly keptConnections: "any" | "recent" | "none",
    readonly watcher: AttemptWatcher,
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
  keepBody(): void {
    this.#kept = new BodyCapture(ALWAYS_KEPT_BYTES);
  }

  /** Asks no further; the watcher is told nothing more. */
  giveUp(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#connection === undefined) this.upstream.forget(this);
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
    this.watcher.send(connection);
  }

  drained(): void {
    if (!this.#isOver) this.watcher.drained();
  }

  interim(head: AnswerHead): void {
    if (!this.#isOver) this.watcher.interim(head);
  }

  head(head: AnswerHead): void {
    if (this.#isOver) return;
    this.answer = head;
    this.watcher.answerBegins(this, head);
  }

  data(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#kept?.append(chunk);
    this.watcher.answerGoesOn(this, chunk);
  }

  end(last: Uint8Array | undefined): void {
    if (this.#isOver) return;
    if (last !== undefined) this.#kept?.append(last);
    // The connection is no longer this request's.
    this.#isOver = true;
    this.watcher.answerEnds(this, last);
  }

  failed(failure: Failure): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.watcher.failed(this, failure);
  }
}
