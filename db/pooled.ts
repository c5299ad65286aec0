import {
  isNamed,
  type Query,
  resetForRepeat,
  sendAsText,
  sendExtended,
  sendUnnamed,
  textOf,
} from "./driver.ts";
import { isForgottenStatement, isResponse } from "./pg_errors.ts";
import type { Limits, PooledLink } from "./pooled_link.ts";
import type { SessionOptions } from "./session_settings.ts";

/*
 * The statements of a session through a pooler in transaction mode. One that isn't part of a transaction
 * is a transaction by itself (`pooled_link.ts`); a transaction has its settings behind its `begin`.
 */

type Send = (query: Query) => void;

const CONTROL = /^\s*(?:begin|start|commit|end|rollback|abort)\b/i;
const BEGIN = /^\s*(?:begin|start)\b[^;]*/i;
const READ_WRITE = /\bread\s+write\b/i;

/**
 * What each transaction sets beside `statement_timeout`, since a pooler keeps no settings for its
 * clients.
 */
export function transactionSettings(options: SessionOptions): Readonly<Record<string, string>> {
  return {
    lock_timeout: String(options.lockTimeoutMs ?? 0),
    ...(options.readsAsServer !== true && { TimeZone: "UTC", DateStyle: "ISO, MDY" }),
    ...(options.readOnly === true && { transaction_read_only: "on" }),
  };
}

/** How long the pooler may take to give a connection, in ms. */
const START_MS = 1_500;
/** Between PostgreSQL's clock and the caller's: the way of the response, and a process that is busy. */
const SLACK_MS = 100;

/**
 * How long a statement may wait for one of the pooler's connections, and then run. Both are over before
 * its caller gives up: nothing is stored behind a 503.
 *
 * @param leftMs until the caller gives up; undefined: never
 * @returns undefined when there is no time left for it
 */
export function limitsOf({ statementTimeoutMs = 0 }: SessionOptions, leftMs?: number):
  | Limits
  | undefined {
  if (leftMs === undefined) return { startMs: START_MS, statementMs: statementTimeoutMs };
  const startMs = Math.min(START_MS, Math.floor(leftMs / 2));
  const restMs = Math.floor(leftMs - startMs - SLACK_MS);
  if (restMs <= 0) return undefined;
  const isShorter = statementTimeoutMs === 0 || restMs < statementTimeoutMs;
  return { startMs, statementMs: isShorter ? restMs : statementTimeoutMs };
}

interface Driver {
  /** Whether the pooler keeps prepared statements for each of its clients. */
  readonly isNamed: boolean;
  readonly send: Send;
  /** The error for a statement behind the loss of the connection. */
  readonly lost: () => Error;
}

export class PooledStatements {
  readonly #options: SessionOptions;
  readonly #send: Send;
  readonly #lost: () => Error;
  readonly #waiting: Query[] = [];
  #isNamed: boolean;
  #link: PooledLink | undefined;
  #running = 0;
  /** The last that was sent. A pool sends one at a time, and only its statements have deadlines. */
  #last: Query | undefined;
  /** Whether a `begin`, `commit` or `rollback` is running: until its end nobody knows what follows it. */
  #isControlled = false;
  #isLost = false;

  constructor(options: SessionOptions, { isNamed, send, lost }: Driver) {
    this.#options = options;
    this.#isNamed = isNamed;
    this.#send = send;
    this.#lost = lost;
  }

  /** Call it when the connection is ready. */
  onReady(link: PooledLink): void {
    this.#link = link;
  }

  /** Of the statement that is written now. */
  readonly limits = (): Limits | undefined => {
    const until = this.#last?.until;
    return limitsOf(this.#options, until === undefined ? undefined : until - performance.now());
  };

  run(query: Query): void {
    if (this.#isLost) query.reject(this.#lost());
    else this.#waiting.push(query);
    this.#next();
  }

  #next(): void {
    while (!this.#isControlled && !this.#isLost) {
      const [query] = this.#waiting;
      if (query === undefined) return;
      const text = textOf(query);
      const isControl = CONTROL.test(text);
      // A statement that is sent again, since its prepared one is lost, would get into the transaction.
      if (isControl && !this.#isInTransaction && this.#running > 0) return;
      this.#waiting.shift();
      if (isControl) sendAsText(query, this.#withSettings(text));
      else this.#prepare(query);
      this.#start(query, isControl, isControl && BEGIN.test(text));
    }
  }

  get #isInTransaction(): boolean {
    return this.#link?.isInTransaction ?? false;
  }

  #prepare(query: Query): void {
    // In a transaction none is prepared: postgres.js may send it again behind the transaction's end.
    if (this.#isInTransaction || !this.#isNamed) sendUnnamed(query);
    if (!this.#isInTransaction) sendExtended(query);
  }

  #start(query: Query, isControl: boolean, isBegin: boolean): void {
    this.#running++;
    this.#last = query;
    this.#isControlled = isControl;
    const { resolve, reject } = query;
    const settled = () => {
      this.#running--;
      if (this.#last === query) this.#last = undefined;
      if (isControl) this.#isControlled = false;
    };
    query.resolve = (result) => {
      settled();
      resolve(result);
      this.#next();
    };
    query.reject = (error) => {
      settled();
      if (isNamed(query) && isForgottenStatement(error)) {
        // Nothing has happened. The pooler lost the statement, or its table has changed.
        this.#isNamed = false;
        query.resolve = resolve;
        query.reject = reject;
        resetForRepeat(query);
        this.#waiting.unshift(query);
      } else {
        // postgres.js would write to a socket that is closed already, which ends the process.
        this.#isLost ||= !isResponse(error);
        reject(error);
      }
      // Those behind a `begin` that failed would run outside its transaction.
      if (isBegin || this.#isLost) this.#rejectWaiting(isBegin ? error : this.#lost());
      this.#next();
    };
    this.#send(query);
  }

  #rejectWaiting(error: unknown): void {
    for (const query of this.#waiting.splice(0)) query.reject(error);
  }

  #withSettings(text: string): string {
    const [begin] = BEGIN.exec(text) ?? [];
    if (begin === undefined) return text;
    const { transaction_read_only, ...settings } = transactionSettings(this.#options);
    const { statementTimeoutMs = 0, idleInTransactionTimeoutMs = 0 } = this.#options;
    const all = Object.entries({
      ...settings,
      statement_timeout: String(statementTimeoutMs),
      idle_in_transaction_session_timeout: String(idleInTransactionTimeoutMs),
      ...(transaction_read_only !== undefined && !READ_WRITE.test(begin) &&
        { transaction_read_only }),
    });
    const local = all.map(([name, value]) => `; set local ${name} = '${value}'`).join("");
    return `${begin}${local}${text.slice(begin.length)}`;
  }
}
