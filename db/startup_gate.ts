import type { Buffer } from "node:buffer";
import type { Attempt } from "./connect_attempts.ts";
import { cut, hold } from "./held_socket.ts";
import { type Link, tlsError } from "./link.ts";
import { LinkError } from "./link_error.ts";
import {
  createLoginCheck,
  createMessageReader,
  errorOf,
  type Message,
  parameterOf,
} from "./startup_messages.ts";
import { mismatch } from "./target_server.ts";

/** How an attempt ends. */
export type Outcome =
  | { readonly kind: "ready"; readonly reported: ReadonlyMap<string, string> }
  /** Another attempt may succeed. */
  | { readonly kind: "next"; readonly error: unknown }
  /** PostgreSQL refuses the login with this encryption; the other one is tried. */
  | { readonly kind: "refused"; readonly refusal: Message }
  /** The statement has its error, and no other attempt is made. */
  | { readonly kind: "over" };

interface GateOptions {
  readonly attempt: Attempt;
  /** Whether the session itself requests to be read-only. */
  readonly isReadOnly: boolean;
  /** What PostgreSQL sent when the login was refused with the other encryption. */
  readonly refusal: Message | undefined;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
  /** Called once, before postgres.js gets what decided it. */
  readonly onOutcome: (outcome: Outcome) => void;
}

/** PostgreSQL is starting or stopping. */
const CANNOT_CONNECT_NOW = "57P03";
/** Class 28: the password, or no line of pg_hba.conf. */
const REFUSED = /^28/;

/**
 * Looks at what the server sends until it is ready, before postgres.js gets it. Of an attempt that fails
 * postgres.js sees only that the socket closes; it has sent no statement then.
 */
export function watchStartup(link: Link, options: GateOptions): void {
  const gate = new Gate(link, options);
  gate.begin();
}

class Gate {
  readonly #link: Link;
  readonly #options: GateOptions;
  readonly #read = createMessageReader();
  readonly #checkLogin = createLoginCheck();
  readonly #reported = new Map<string, string>();
  #release = () => {};
  #hasEnded = false;

  constructor(link: Link, options: GateOptions) {
    this.#link = link;
    this.#options = options;
  }

  begin(): void {
    const { isEncrypted, socket } = this.#link;
    this.#release = hold(socket, {
      onData: (chunk, pass) => this.#onData(chunk, pass),
      onError: (error) => this.#giveUp(isEncrypted ? tlsError(error) : error),
    });
    socket.once("close", this.#onClose);
    this.#options.signal.addEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = () => this.#giveUp(this.#options.signal.reason);

  readonly #onClose = () =>
    this.#end({
      kind: "next",
      error: new LinkError("unreachable", "the server closes the connection"),
    });

  #onData(chunk: Buffer, pass: (bytes: Buffer) => void): void {
    try {
      for (const message of this.#read(chunk)) {
        const bytes = this.#judge(message);
        if (bytes === undefined) return;
        pass(bytes);
      }
    } catch (error) {
      this.#end({ kind: "over" });
      cut(this.#link, error as Error);
    }
  }

  /** @returns what postgres.js gets; undefined: nothing, and the attempt is over */
  #judge(message: Message): Buffer | undefined {
    const { type, content, bytes } = message;
    if (type === "E") return this.#judgeError(message);
    if (type === "Z") return this.#judgeServer(bytes);
    if (type === "R") this.#checkLogin(content);
    if (type === "S") this.#reported.set(...parameterOf(content));
    return bytes;
  }

  #judgeServer(bytes: Buffer): Buffer | undefined {
    const { attempt: { target }, isReadOnly } = this.#options;
    const reason = mismatch(target, this.#reported, isReadOnly);
    if (reason !== undefined) return this.#giveUp(reason);
    this.#end({ kind: "ready", reported: this.#reported });
    return bytes;
  }

  #judgeError(message: Message): Buffer | undefined {
    const { attempt, refusal } = this.#options;
    const { code, text } = errorOf(message.content);
    if (code === CANNOT_CONNECT_NOW) return this.#giveUp(new LinkError("starting", text));
    const isRefused = REFUSED.test(code);
    if (isRefused && attempt.hasOther && this.#usesFirstEncryption()) {
      this.#end({ kind: "refused", refusal: message });
      cut(this.#link);
      return undefined;
    }
    this.#end({ kind: "over" });
    // The first refusal is of the encryption that the address prefers.
    return isRefused && refusal !== undefined ? refusal.bytes : message.bytes;
  }

  /** False: `prefer`, and the server has no TLS. */
  #usesFirstEncryption(): boolean {
    return this.#link.isEncrypted || this.#options.attempt.encryption === "none";
  }

  #giveUp(error: unknown): undefined {
    this.#end({ kind: "next", error });
    cut(this.#link);
  }

  #end(outcome: Outcome): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#release();
    this.#link.socket.off("close", this.#onClose);
    this.#options.signal.removeEventListener("abort", this.#onAbort);
    this.#options.onOutcome(outcome);
  }
}
