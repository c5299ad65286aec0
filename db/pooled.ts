import {
  isNamed,
  type Query,
  resetForRepeat,
  sendAsText,
  sendExtended,
  sendUnnamed,
  textOf,
} from "./driver.ts";
import { isForgottenStatement } from "./pg_errors.ts";
import type { PooledLink } from "./pooled_link.ts";
import type { SessionOptions } from "./session_settings.ts";

/*
 * The statements of a session through a pooler in transaction mode. One that isn't part of a transaction
 * is a transaction by itself (`pooled_link.ts`); a transaction has its settings behind its `begin`.
 */

type Send = (query: Query) => void;

const CONTROL = /^\s*(?:begin|start|commit|end|rollback|abort)\b/i;
const BEGIN = /^\s*(?:begin|start)\b[^;]*/i;
const READ_WRITE = /\bread\s+write\b/i;

/** What each transaction sets, since a pooler keeps no settings for its clients. */
export function transactionSettings(options: SessionOptions): Readonly<Record<string, string>> {
  return {
    statement_timeout: String(options.statementTimeoutMs ?? 0),
    lock_timeout: String(options.lockTimeoutMs ?? 0),
    ...(options.readsAsServer !== true && { TimeZone: "UTC", DateStyle: "ISO, MDY" }),
    ...(options.readOnly === true && { transaction_read_only: "on" }),
  };
}

export class PooledStatements {
  readonly #options: SessionOptions;
  readonly #send: Send;
  readonly #waiting: Query[] = [];
  #isNamed: boolean;
  #link: PooledLink | undefined;
  #running = 0;
  /** Whether a `begin`, `commit` or `rollback` is running: until its end nobody knows what follows it. */
  #isControlled = false;

  /** @param isNamed whether the pooler keeps prepared statements for each of its clients */
  constructor(options: SessionOptions, isNamed: boolean, send: Send) {
    this.#options = options;
    this.#isNamed = isNamed;
    this.#send = send;
  }

  /** Call it when the connection is ready. */
  onReady(link: PooledLink): void {
    this.#link = link;
  }

  run(query: Query): void {
    this.#waiting.push(query);
    this.#next();
  }

  #next(): void {
    while (!this.#isControlled) {
      const [query] = this.#waiting;
      if (query === undefined) return;
      const text = textOf(query);
      const isControl = CONTROL.test(text);
      // A statement that is sent again, since its prepared one is lost, would get into the transaction.
      if (isControl && !this.#isInTransaction && this.#running > 0) return;
      this.#waiting.shift();
      if (isControl) sendAsText(query, this.#withSettings(text));
      else this.#prepare(query);
      this.#start(query, isControl);
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

  #start(query: Query, isControl: boolean): void {
    this.#running++;
    this.#isControlled = isControl;
    const { resolve, reject } = query;
    const settled = () => {
      this.#running--;
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
        reject(error);
      }
      this.#next();
    };
    this.#send(query);
  }

  #withSettings(text: string): string {
    const [begin] = BEGIN.exec(text) ?? [];
    if (begin === undefined) return text;
    const { transaction_read_only, ...settings } = transactionSettings(this.#options);
    const { idleInTransactionTimeoutMs = 0 } = this.#options;
    const all = Object.entries({
      ...settings,
      idle_in_transaction_session_timeout: String(idleInTransactionTimeoutMs),
      ...(transaction_read_only !== undefined && !READ_WRITE.test(begin) &&
        { transaction_read_only }),
    });
    const local = all.map(([name, value]) => `; set local ${name} = '${value}'`).join("");
    return `${begin}${local}${text.slice(begin.length)}`;
  }
}
