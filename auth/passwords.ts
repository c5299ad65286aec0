import { Worker } from "node:worker_threads";
import { ApiError } from "../errors.ts";
import { COST, costOf, type Result, type Task } from "./password_work.ts";
import { formsOf } from "./typed_password.ts";

/*
 * Passwords and their bcrypt hashes. A hash of cost 12 takes a core a quarter of a second, so
 * threads compute hashes, and only a limited number of logins waits for them.
 */

/** Hashes per thread: the running one and some seconds' worth of waiting ones. */
const SLOTS_PER_THREAD = 17;

export type Passwords = ReturnType<typeof createPasswords>;

/** The right to check one typed password, and to hash it afterwards. */
export type HashSlot = ReturnType<Passwords["acquireSlot"]>;

/** Disposing ends the threads. A cost below {@link COST} is for tests. */
export function createPasswords(threads = navigator.hardwareConcurrency, cost = COST) {
  const pool = Array.from({ length: threads }, startThread);
  const run = (task: Task): Promise<Result> =>
    pool.reduce((one, other) => other.waiting() < one.waiting() ? other : one).run(task);
  let free = threads * SLOTS_PER_THREAD;
  return {
    /**
     * Reserves slots for the hashes of a typed password, one per form. A login reserves them before
     * any other work, so that excess logins cost next to nothing. Disposing releases them.
     *
     * @throws {ApiError} 429 when too few are free
     */
    acquireSlot(password: string) {
      const forms = formsOf(password);
      // A password without a form is handled and counted like any other.
      const slots = Math.max(1, forms.length);
      if (free < slots) {
        throw new ApiError("too_many_logins", "Too many logins at once, try again in a moment", {
          headers: { "retry-after": "2" },
        });
      }
      free -= slots;
      return {
        /**
         * Returns the form that matches the hash. The work is the same for a right and a wrong
         * password, for a hash of any cost up to {@link COST}, for other text, and for no hash.
         */
        async check(hash: string | null | undefined): Promise<string | undefined> {
          // Waits for all checks, even after a match: the slots are released afterwards.
          const checks = await Promise.allSettled(
            forms.map((form) => run({ password: form, hash: hash ?? "", cost })),
          );
          const failed = checks.find((check) => check.status === "rejected");
          if (failed !== undefined) throw failed.reason;
          return forms.find((_, i) => {
            const check = checks[i];
            return check?.status === "fulfilled" && check.value === true;
          });
        },
        /** Hashes a form with {@link COST}. */
        hash: async (form: string) => String(await run({ password: form, cost })),
        [Symbol.dispose]: () => void (free += slots),
      };
    },
    [Symbol.dispose]: () => pool.forEach((thread) => thread.end()),
  };
}

export function isOutdated(hash: string | null): boolean {
  return (costOf(hash) ?? COST) < COST;
}

function startThread() {
  const waiting: PromiseWithResolvers<Result>[] = [];
  const start = (): Worker => {
    const started = new Worker(new URL("./password_thread.ts", import.meta.url));
    // Results come in the order of the tasks.
    started.on("message", (result: Result) => waiting.shift()?.resolve(result));
    started.on("error", (cause) => {
      // The next task starts a new thread: a thread that can't start must not be retried endlessly.
      worker = undefined;
      const failed = new Error("a password thread failed", { cause });
      for (const { reject } of waiting.splice(0)) reject(failed);
    });
    return started;
  };
  let worker: Worker | undefined = start();
  return {
    /** Tasks without a result, the running one included. */
    waiting: () => waiting.length,
    run(task: Task): Promise<Result> {
      worker ??= start();
      worker.postMessage(task);
      const result = Promise.withResolvers<Result>();
      waiting.push(result);
      return result.promise;
    },
    end: () => worker?.terminate(),
  };
}
