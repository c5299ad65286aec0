import { bcrypt, bcryptVerify } from "hash-wasm";

/** What a hash costs today: 2^12 rounds. One of a lower cost is made anew when its owner logs in. */
export const COST = 12;

/** What a thread can be asked: to check a password, or to hash one. */
export type Task =
  | {
    readonly kind: "check";
    readonly password: string;
    /** A bcrypt hash, or anything else. */
    readonly hash: string;
  }
  | { readonly kind: "hash"; readonly password: string };

/** What it answers: whether the password is right, or the hash. */
export type Result = boolean | string;

const MIN_COST = 4;
/** A hash of a higher cost would take a thread several seconds at a time. */
const MAX_COST = 15;

/**
 * The cost of a bcrypt hash that passwords are checked against: `$2a$`, `$2b$`, `$2y$`, of a cost
 * from 4 to 15. Nothing for any other text; `$2x$`, the name of hashes that a broken program made,
 * is such a one.
 */
export function costOf(text: string | null): number | undefined {
  const cost = Number(/^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text ?? "")?.[1]);
  return cost >= MIN_COST && cost <= MAX_COST ? cost : undefined;
}

/** The bcrypt hash of a password of 1 to 72 bytes. It keeps this thread for 2^cost rounds. */
export function hashPassword(password: string, cost = COST): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return bcrypt({ password, salt, costFactor: cost, outputType: "encoded" });
}

/** Does what it is asked for, on this thread. */
export async function runTask(task: Task): Promise<Result> {
  const { password } = task;
  if (task.kind === "hash") return await hashPassword(password);
  const { hash } = task;
  const costOfHash = costOf(hash);
  if (costOfHash === undefined) {
    await hashPassword(password);
    return false;
  }
  const isCorrect = await bcryptVerify({ password, hash });
  // A cheaper hash took less time, which would tell that there is such an account. Work doubles with
  // each step of the cost: 2^c + 2^c + 2^(c+1) + … + 2^11 = 2^12.
  for (let step = costOfHash; step < COST; step++) await hashPassword(password, step);
  return isCorrect;
}
