import { Buffer } from "node:buffer";
import type net from "node:net";
import { LinkError } from "./link_error.ts";

/*
 * Between postgres.js and a pooler in transaction mode: each statement that isn't part of a transaction
 * gets the settings of the session in the same implicit transaction, in front of it.
 *
 * The messages up to a Sync are one transaction, and after an error PostgreSQL skips the others up to it.
 * So no statement runs without its settings, and it takes one round trip.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */

/** Whether a connection is in a transaction, by PostgreSQL's own letter: idle, transaction, error. */
type Status = "I" | "T" | "E";

/** The messages up to a Sync, or a simple query. */
interface Unit {
  readonly hasSettings: boolean;
  readonly isSimple: boolean;
  /** Whether the settings' responses have arrived. */
  isPast: boolean;
}

export interface PooledLink {
  /** Since the last response. */
  readonly isInTransaction: boolean;
}

/** Of one statement, in ms. */
export interface Limits {
  /** How long the pooler may take to give a connection. */
  readonly startMs: number;
  /** PostgreSQL's timeout for the statement; 0 is never. */
  readonly statementMs: number;
}

interface Transactions {
  /** PostgreSQL's settings of each transaction, beside `statement_timeout`. */
  readonly settings: Readonly<Record<string, string>>;
  /** The limits of the statement that is written now; undefined: it must not be sent any more. */
  readonly limits: () => Limits | undefined;
}

export interface LinkEvents {
  /** PostgreSQL begins with a statement: the pooler has given it a connection. */
  readonly onStart: () => void;
  /** The connection can't be used any more. */
  readonly onBroken: (error: Error) => void;
}

/** The time to read what has arrived while this process was busy, in ms. */
const GRACE_MS = 50;

const HEAD = 5;
/** A message's type and length, and of ReadyForQuery the status. */
const READY_LENGTH = 6;
const code = (letter: string) => letter.charCodeAt(0);
const [PARSE, BIND, SYNC, QUERY] = ["P", "B", "S", "Q"].map(code) as [
  number,
  number,
  number,
  number,
];
const [PARSE_COMPLETE, BIND_COMPLETE, COMMAND_COMPLETE, ERROR, READY] = ["1", "2", "C", "E", "Z"]
  .map(code) as [number, number, number, number, number];

/** Takes over a connection that is ready for its first statement. */
export function watchUnits(
  socket: net.Socket,
  transactions: Transactions,
  events: LinkEvents,
): PooledLink {
  const units = new Units(transactions, events);
  socket.once("close", () => units.end());
  const write: (chunk: Buffer, done?: () => void) => boolean = socket.write;
  socket.write = ((chunk: Buffer, done?: () => void) => {
    const bytes = units.outgoing(chunk);
    return bytes === undefined || write.call(socket, bytes, done);
  }) as typeof socket.write;
  const emit: (event: string | symbol, ...values: unknown[]) => boolean = socket.emit;
  const pass = (bytes: Buffer) => void emit.call(socket, "data", bytes);
  socket.emit = ((event: string | symbol, ...values: unknown[]): boolean => {
    if (event !== "data") return emit.call(socket, event, ...values);
    units.incoming(values[0] as Buffer, pass);
    return true;
  }) as typeof socket.emit;
  return units;
}

class Units implements PooledLink {
  readonly #transactions: Transactions;
  readonly #events: LinkEvents;
  /** The settings' messages for the last statement's timeout, which is nearly always the same. */
  #messages: { readonly statementMs: number; readonly bytes: Buffer } | undefined;
  #startTimer: ReturnType<typeof setTimeout> | undefined;
  /** Sent, and not yet over. */
  readonly #units: Unit[] = [];
  #isAtStart = true;
  #status: Status = "I";
  /** The beginning of a message's head. */
  #rest: Buffer = Buffer.alloc(0);
  /** Of the message that arrives, in bytes. */
  #left = 0;
  #isDropped = false;

  constructor(transactions: Transactions, events: LinkEvents) {
    this.#transactions = transactions;
    this.#events = events;
  }

  end(): void {
    clearTimeout(this.#startTimer);
  }

  get isInTransaction(): boolean {
    return this.#status !== "I";
  }

  /**
   * @param chunk whole messages, as postgres.js writes them
   * @returns what is sent; undefined: nothing, and the connection ends
   */
  outgoing(chunk: Buffer): Buffer | undefined {
    const parts: Buffer[] = [];
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1 + chunk.readUInt32BE(at + 1)) {
      const type = chunk[at];
      if (this.#isAtStart) {
        const limits = this.#transactions.limits();
        if (limits === undefined) return this.#refuse();
        const hasSettings = (type === PARSE || type === BIND) && !this.isInTransaction;
        if (hasSettings) {
          parts.push(chunk.subarray(from, at), this.#settings(limits));
          from = at;
        }
        this.#units.push({ hasSettings, isSimple: type === QUERY, isPast: false });
        if (this.#units.length === 1) this.#awaitStart(limits);
      }
      this.#isAtStart = type === SYNC || type === QUERY;
    }
    if (parts.length === 0) return chunk;
    parts.push(chunk.subarray(from));
    return Buffer.concat(parts);
  }

  #settings({ statementMs }: Limits): Buffer {
    if (this.#messages?.statementMs !== statementMs) {
      const settings = { statement_timeout: String(statementMs), ...this.#transactions.settings };
      this.#messages = { statementMs, bytes: settingsMessages(settings) };
    }
    return this.#messages.bytes;
  }

  #refuse(): undefined {
    this.#events.onBroken(
      new LinkError("silent", "the statement's time was up before it was sent"),
    );
  }

  /** @param pass gets what postgres.js expects */
  incoming(chunk: Buffer, pass: (bytes: Buffer) => void): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = bytes.subarray(bytes.length);
    let at = 0;
    let from = 0;
    while (at < bytes.length) {
      if (this.#left === 0) {
        const type = bytes[at] ?? 0;
        if (bytes.length - at < (type === READY ? READY_LENGTH : HEAD)) {
          this.#rest = bytes.subarray(at);
          break;
        }
        this.#isDropped = this.#onMessage(type, bytes[at + HEAD] ?? 0);
        this.#left = 1 + bytes.readUInt32BE(at + 1);
        if (this.#isDropped && from < at) pass(bytes.subarray(from, at));
      }
      const arrived = Math.min(this.#left, bytes.length - at);
      this.#left -= arrived;
      at += arrived;
      if (this.#isDropped) from = at;
    }
    if (from < at) pass(bytes.subarray(from, at));
  }

  /** @returns whether it belongs to the settings */
  #onMessage(type: number, status: number): boolean {
    const [unit] = this.#units;
    if (unit === undefined) return false;
    if (this.#startTimer !== undefined) this.#onStart();
    if (type === READY) {
      this.#units.shift();
      this.#onReady(unit, String.fromCharCode(status) as Status);
      const limits = this.#units.length > 0 ? this.#transactions.limits() : undefined;
      if (limits !== undefined) this.#awaitStart(limits);
      return false;
    }
    if (!unit.hasSettings || unit.isPast) return false;
    if (type === COMMAND_COMPLETE || type === ERROR) unit.isPast = true;
    return type === PARSE_COMPLETE || type === BIND_COMPLETE || type === COMMAND_COMPLETE;
  }

  #onReady(unit: Unit, status: Status): void {
    const was = this.#status;
    this.#status = status;
    if (unit.isSimple || (was === "I") === (status === "I")) return;
    this.#events.onBroken(new Error("a transaction begins or ends in an extended query"));
  }

  /** Once it is closed, the pooler gives the connection to the next client. */
  #awaitStart({ startMs }: Limits): void {
    if (this.isInTransaction) return;
    const giveUp = () => {
      this.#events.onBroken(new LinkError("too_many", `no free connection in ${startMs} ms`));
    };
    this.#startTimer = setTimeout(() => {
      this.#startTimer = setTimeout(giveUp, GRACE_MS);
    }, startMs);
  }

  #onStart(): void {
    clearTimeout(this.#startTimer);
    this.#startTimer = undefined;
    this.#events.onStart();
  }
}

/** Parse, Bind and Execute of one statement without rows, whose responses PostgreSQL sends at once. */
function settingsMessages(settings: Readonly<Record<string, string>>): Buffer {
  // `set local` would warn, since the transaction is implicit. The condition is never true.
  const conditions = Object.entries(settings).map(([name, value]) =>
    `pg_catalog.set_config('${name}', '${value}', true) is null`
  );
  const noNames = "\0";
  return Buffer.concat([
    message("P", Buffer.from(`${noNames}select where ${conditions.join(" or ")}\0`), words(0)),
    message("B", Buffer.from(`${noNames}${noNames}`), words(0, 0, 0)),
    message("E", Buffer.from(noNames), words(0, 0)),
    message("H"),
  ]);
}

function message(type: string, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const head = Buffer.alloc(HEAD);
  head.write(type);
  head.writeUInt32BE(content.length + 4, 1);
  return Buffer.concat([head, content]);
}

/** Numbers of two bytes. */
function words(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(2 * numbers.length);
  numbers.forEach((number, i) => bytes.writeUInt16BE(number, 2 * i));
  return bytes;
}
