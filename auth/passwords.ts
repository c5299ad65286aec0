import { Worker } from "node:worker_threads";
import { ApiError } from "../errors.ts";
import { type Answer, COST, costOf, MOST_PASSWORD_BYTES, type Question } from "./password_work.ts";

/*
 * Passwords and their bcrypt hashes. A hash of cost 12 takes a core a quarter of a second, so the
 * API makes them on threads of their own, and lets only so many logins wait for one.
 */

/** How many logins there are to a thread at once: the one in work, and some seconds' worth behind. */
const PLACES_PER_THREAD = 17;

/** Threads that check and hash passwords. Disposing ends them. */
export interface Passwords extends Disposable {
  /**
   * A place among those who may ask. Taken before a login has any work done for it, so that what is
   * too much costs next to nothing; disposing gives it back.
   *
   * @throws {ApiError} 429 when all are taken
   */
  takePlace(): Place;
}

/** The right to ask. */
export interface Place extends Disposable {
  /**
   * Whether a hash is this password's. It is the same work for a hash of any cost up to
   * {@link COST}, for a text that is none, and for no hash at all.
   */
  check(password: string, hash: string | null | undefined): Promise<boolean>;
  /** The hash of a password of 1 to {@link MOST_PASSWORD_BYTES} bytes, of cost {@link COST}. */
  hash(password: string): Promise<string>;
}

/** Starts the threads, one for each core unless said. */
export function createPasswords(threads = navigator.hardwareConcurrency): Passwords {
  const pool = Array.from({ length: threads }, startThread);
  const ask = (question: Question): Promise<Answer> =>
    pool.reduce((one, other) => other.waiting() < one.waiting() ? other : one).ask(question);
  let free = threads * PLACES_PER_THREAD;
  return {
    takePlace() {
      if (free === 0) {
        throw new ApiError("too_many_logins", "Too many logins at once, try again in a moment", {
          headers: { "retry-after": "2" },
        });
      }
      free--;
      return {
        check: async (password, hash) =>
          isOfPossibleLength(password) &&
          await ask({ kind: "check", password, hash: hash ?? "" }) === true,
        hash: async (password) => String(await ask({ kind: "hash", password })),
        [Symbol.dispose]: () => void free++,
      };
    },
    [Symbol.dispose]: () => pool.forEach((thread) => thread.end()),
  };
}

/** Whether a hash that was checked is cheaper than today's. */
export function isOutdated(hash: string | null): boolean {
  return (costOf(hash) ?? COST) < COST;
}

function isOfPossibleLength(password: string): boolean {
  const { length } = new TextEncoder().encode(password);
  return length > 0 && length <= MOST_PASSWORD_BYTES;
}

interface Thread {
  /** How many questions have no answer yet, the one in work included. */
  waiting(): number;
  ask(question: Question): Promise<Answer>;
  end(): void;
}

function startThread(): Thread {
  const waiting: PromiseWithResolvers<Answer>[] = [];
  const start = (): Worker => {
    const started = new Worker(new URL("./password_thread.ts", import.meta.url));
    // It answers in the order in which it was asked.
    started.on("message", (answer: Answer) => waiting.shift()?.resolve(answer));
    started.on("error", (cause) => {
      // The next question starts another: one that can't even start mustn't be tried for ever.
      worker = undefined;
      const failed = new Error("a password thread failed", { cause });
      for (const { reject } of waiting.splice(0)) reject(failed);
    });
    return started;
  };
  let worker: Worker | undefined = start();
  return {
    waiting: () => waiting.length,
    ask(question) {
      worker ??= start();
      worker.postMessage(question);
      const answer = Promise.withResolvers<Answer>();
      waiting.push(answer);
      return answer.promise;
    },
    end: () => worker?.terminate(),
  };
}
