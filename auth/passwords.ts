import { Worker } from "node:worker_threads";
import { ApiError } from "../errors.ts";
import { COST, costOf, type Result, type Task } from "./password_work.ts";
import { formsOf } from "./typed_password.ts";

/*
 * Passwords and their bcrypt hashes. A hash of cost 12 takes a core a quarter of a second, so the
 * API makes them on threads of their own, and lets only so many logins wait for one.
 */

/** How many hashes there are to a thread at once: the one in work, and some seconds' worth behind. */
const SLOTS_PER_THREAD = 17;

/** Threads that check and hash passwords. Disposing ends them. */
export interface Passwords extends Disposable {
  /**
   * Places for the hashes that a typed password takes, one for each of its forms. They are taken
   * before a login has any work done for it, so that what is too much costs next to nothing; disposing
   * gives them back.
   *
   * @throws {ApiError} 429 when there aren't as many
   */
  acquireSlot(password: string): HashSlot;
}

/** The right to have one typed password checked, and hashed after that. */
export interface HashSlot extends Disposable {
  /**
   * The form of the password that a hash is made of; nothing when it is made of none. It is the same
   * work whether one is right or not, for a hash of any cost up to {@link COST}, for a text that is
   * none, and for no hash at all.
   */
  check(hash: string | null | undefined): Promise<string | undefined>;
  /** The hash of a form that was right, of cost {@link COST}. */
  hash(form: string): Promise<string>;
}

/** Starts the threads, one for each core unless said. */
export function createPasswords(threads = navigator.hardwareConcurrency): Passwords {
  const pool = Array.from({ length: threads }, startThread);
  const run = (task: Task): Promise<Result> =>
    pool.reduce((one, other) => other.waiting() < one.waiting() ? other : one).run(task);
  let free = threads * SLOTS_PER_THREAD;
  return {
    acquireSlot(password) {
      const forms = formsOf(password);
      // One that has no form is looked up and counted like any other.
      const slots = Math.max(1, forms.length);
      if (free < slots) {
        throw new ApiError("too_many_logins", "Too many logins at once, try again in a moment", {
          headers: { "retry-after": "2" },
        });
      }
      free -= slots;
      return {
        async check(hash) {
          // All of them, though one may be right already, and until the last is over: the places are
          // given back after that.
          const checks = await Promise.allSettled(
            forms.map((form) => run({ kind: "check", password: form, hash: hash ?? "" })),
          );
          const failed = checks.find((check) => check.status === "rejected");
          if (failed !== undefined) throw failed.reason;
          return forms.find((_, i) => {
            const check = checks[i];
            return check?.status === "fulfilled" && check.value === true;
          });
        },
        hash: async (form) => String(await run({ kind: "hash", password: form })),
        [Symbol.dispose]: () => void (free += slots),
      };
    },
    [Symbol.dispose]: () => pool.forEach((thread) => thread.end()),
  };
}

/** Whether a hash that was checked is cheaper than today's. */
export function isOutdated(hash: string | null): boolean {
  return (costOf(hash) ?? COST) < COST;
}

interface Thread {
  /** How many questions have no answer yet, the one in work included. */
  waiting(): number;
  run(task: Task): Promise<Result>;
  end(): void;
}

function startThread(): Thread {
  const waiting: PromiseWithResolvers<Result>[] = [];
  const start = (): Worker => {
    const started = new Worker(new URL("./password_thread.ts", import.meta.url));
    // It answers in the order in which it was asked.
    started.on("message", (result: Result) => waiting.shift()?.resolve(result));
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
    run(task) {
      worker ??= start();
      worker.postMessage(task);
      const result = Promise.withResolvers<Result>();
      waiting.push(result);
      return result.promise;
    },
    end: () => worker?.terminate(),
  };
}
