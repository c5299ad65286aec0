import { LotlineError } from "./errors.ts";

/** What a login takes. The service needs the password with `AUTH_MODE=required`. */
export interface Credentials {
  readonly email: string;
  readonly password?: string | undefined;
}

/** Renewed so long before its end that no request arrives with a token that has just ended. */
const MARGIN_MS = 60_000;
/** A login that is refused counts against its account, which would soon be shut for everyone. */
const REST_MS = 60_000;

interface Held {
  readonly token: string;
  /** On the clock of `performance.now()`. */
  readonly renewAt: number;
}

/** The token of a client, in memory only: got at the first need, renewed before its end. */
export class Session {
  readonly #signIn: (credentials: Credentials) => Promise<string>;
  #credentials: Credentials | undefined;
  #held: Held | undefined;
  #renewal: Promise<string> | undefined;
  #refusal: { readonly error: LotlineError; readonly until: number } | undefined;

  constructor(
    signIn: (credentials: Credentials) => Promise<string>,
    start: { readonly token?: string | undefined; readonly login?: Credentials | undefined },
  ) {
    this.#signIn = signIn;
    this.#credentials = start.login;
    // How old it is, nobody knows: it is good until the service says that it isn't.
    if (start.token !== undefined) this.#held = { token: start.token, renewAt: Infinity };
  }

  /** The token to send, of a new login if need be; undefined when there is nothing to log in with. */
  async token(): Promise<string | undefined> {
    const held = this.#held;
    if (held !== undefined && performance.now() < held.renewAt) return held.token;
    return await this.#renew() ?? held?.token;
  }

  /** The token to send after this one was refused; undefined when there is no other. */
  async instead(refused: string): Promise<string | undefined> {
    const held = this.#held;
    // Another request had the same response before, and has logged in.
    if (held !== undefined && held.token !== refused) return held.token;
    return await this.#renew();
  }

  /** From now on as another login has it. */
  start(credentials: Credentials, token: string): void {
    this.#credentials = credentials;
    this.#refusal = undefined;
    this.#held = hold(token);
  }

  /** No login from now on. Gives the token that is left, once a login under way has ended. */
  async end(): Promise<string | undefined> {
    this.#credentials = undefined;
    const latest = await this.#renewal?.catch(() => undefined);
    return latest ?? this.#held?.token;
  }

  /** Forgets the token, unless there was a login since the end. */
  forget(): void {
    if (this.#credentials === undefined) this.#held = undefined;
  }

  // One login for all requests that need one at the same time.
  #renew(): Promise<string | undefined> {
    if (this.#credentials === undefined) return Promise.resolve(undefined);
    this.#renewal ??= this.#signInAgain(this.#credentials).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #signInAgain(credentials: Credentials): Promise<string> {
    const refusal = this.#refusal;
    if (refusal !== undefined && performance.now() < refusal.until) throw refusal.error;
    try {
      const token = await this.#signIn(credentials);
      // Another login, or the end, may have come in between.
      if (this.#credentials === credentials) this.#held = hold(token);
      return token;
    } catch (error) {
      if (error instanceof LotlineError && error.kind === "unauthorized") {
        this.#refusal = { error, until: performance.now() + REST_MS };
      }
      throw error;
    }
  }
}

function hold(token: string): Held {
  // From when it was got, on a clock that nobody sets: this machine's may be wrong by any amount.
  return { token, renewAt: performance.now() + renewAfter(token) };
}

/** So many milliseconds after it was got, another takes a token's place. */
export function renewAfter(token: string): number {
  const lifetime = lifetimeOf(token);
  return lifetime - Math.min(MARGIN_MS, lifetime / 2);
}

/** For how many milliseconds a JWT is good; Infinity when it doesn't say. */
function lifetimeOf(token: string): number {
  try {
    const payload = token.split(".")[1] ?? "";
    const claims: unknown = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    if (typeof claims !== "object" || claims === null) return Infinity;
    if (!("exp" in claims && "iat" in claims)) return Infinity;
    const { exp, iat } = claims;
    return typeof exp === "number" && typeof iat === "number" ? (exp - iat) * 1000 : Infinity;
  } catch {
    // It isn't for us to read; the service will say when it has enough of it.
    return Infinity;
  }
}
