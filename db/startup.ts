import type net from "node:net";
import type { Duplex } from "node:stream";
import type { Address } from "./address.ts";
import { type Attempt, attemptsFor, forgetFailure, rememberFailure } from "./connect_attempts.ts";
import { cut, failingSocket } from "./held_socket.ts";
import { type Link, openLink } from "./link.ts";
import { LinkError } from "./link_error.ts";
import { type Outcome, watchStartup } from "./startup_gate.ts";
import type { Message } from "./startup_messages.ts";

/*
 * The startup phase of a connection, until PostgreSQL is ready for a statement: which host, with or
 * without TLS, and whether the server is what the address requests. postgres.js does the login
 * (docs/decisions/0028).
 */

interface OpenerOptions {
  /** For each attempt, until PostgreSQL is ready. */
  readonly timeoutMs: number;
  /** Whether the session itself requests to be read-only. */
  readonly isReadOnly: boolean;
  /** @param reported the parameters that the server has sent */
  readonly onReady: (socket: net.Socket, reported: ReadonlyMap<string, string>) => void;
  /** The error for a statement that would need another connection than the session's first. */
  readonly lost: () => Error;
}

type Host = Attempt["host"];

/** How long a connection may take to end over the network, in ms. */
const CLOSE_MS = 1_000;

/** Opens the connection of one session. */
export class Opener {
  readonly #address: Address;
  readonly #options: OpenerOptions;
  readonly #attempts: ReturnType<typeof attemptsFor>;
  readonly #failures: LinkError[] = [];
  #state: "opening" | "ready" | "over" = "opening";
  #triesOther = false;
  #refusal: Message | undefined;
  #abort = new AbortController();
  #link: Link | undefined;

  constructor(address: Address, options: OpenerOptions) {
    this.#address = address;
    this.#options = options;
    this.#attempts = attemptsFor(address, {
      timeoutMs: options.timeoutMs,
      onFailure: (host, error) => this.#failures.push(located(host, error)),
    });
  }

  /** The `socket` of postgres.js, which calls it again when a socket closes before it is ready. */
  readonly open = async (): Promise<Duplex> => {
    while (this.#state === "opening") {
      const { value: attempt } = await this.#attempts.next(this.#triesOther);
      if (attempt === undefined) return failingSocket(summaryOf(this.#failures));
      this.#triesOther = false;
      const link = await this.#tryLink(attempt);
      if (link !== undefined) return link.socket;
    }
    return failingSocket(this.#options.lost());
  };

  /** Ends the connection at once; its statements fail with this error. */
  fail(error: Error): void {
    if (this.#link !== undefined) cut(this.#link, error);
  }

  /** Ends what is open, and opens nothing any more. */
  close(): void {
    const wasReady = this.#state === "ready";
    this.#state = "over";
    this.#abort.abort(this.#options.lost());
    const link = this.#link;
    if (link === undefined || link.socket.destroyed) return;
    if (!wasReady) return link.destroy();
    const timer = setTimeout(() => link.destroy(), CLOSE_MS);
    Deno.unrefTimer(timer);
    link.socket.once("close", () => clearTimeout(timer));
  }

  async #tryLink(attempt: Attempt): Promise<Link | undefined> {
    const { timeoutMs, isReadOnly } = this.#options;
    const abort = this.#abort = new AbortController();
    const timer = setTimeout(() => {
      abort.abort(new LinkError("unreachable", `no connection in ${timeoutMs} ms`));
    }, timeoutMs);
    const { signal } = abort;
    try {
      const link = this.#link = await openLink(attempt, this.#address, signal);
      watchStartup(link, {
        attempt,
        isReadOnly,
        refusal: this.#refusal,
        signal,
        onOutcome: (outcome) => {
          clearTimeout(timer);
          this.#onOutcome(attempt, outcome);
        },
      });
      return link;
    } catch (error) {
      clearTimeout(timer);
      this.#failed(attempt, error);
      return undefined;
    }
  }

  #onOutcome(attempt: Attempt, outcome: Outcome): void {
    if (outcome.kind === "next") {
      this.#failed(attempt, outcome.error);
    } else if (outcome.kind === "refused") {
      this.#refusal = outcome.refusal;
      this.#triesOther = true;
    } else if (outcome.kind === "over") {
      this.#state = "over";
    } else if (this.#state === "opening") {
      this.#state = "ready";
      forgetFailure(attempt);
      if (this.#link !== undefined) this.#options.onReady(this.#link.socket, outcome.reported);
    }
  }

  #failed(attempt: Attempt, error: unknown): void {
    const { host, encryption, hasOther } = attempt;
    const failure = located(host, error);
    this.#failures.push(failure);
    const isOfTls = failure.kind.startsWith("tls_") && failure.kind !== "tls_file";
    this.#triesOther = hasOther && encryption === "preferred" && isOfTls;
    if (!this.#triesOther) rememberFailure(attempt);
  }
}

/** An error with the host that it is about. */
function located({ name, port, socket }: Host, error: unknown): LinkError {
  const where = socket ?? `${name}:${port}`;
  const kind = error instanceof LinkError ? error.kind : "unreachable";
  const message = error instanceof Error ? error.message : String(error);
  return new LinkError(kind, `${where}: ${message}`, { cause: error });
}

/** The error of a session whose attempts have all failed. */
function summaryOf(failures: readonly LinkError[]): LinkError {
  const [first] = failures;
  if (first !== undefined && failures.length === 1) return first;
  // A host that responds says more than one that is down.
  const { kind } = failures.find(({ kind }) => kind !== "unreachable") ?? first ??
    { kind: "unreachable" };
  return new LinkError(kind, failures.map(({ message }) => message).join("; "), {
    cause: new AggregateError(failures),
  });
}
