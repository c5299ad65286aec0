import { bcrypt, bcryptVerify } from "hash-wasm";

/** The current cost: 2^12 rounds. A cheaper hash is replaced when its owner logs in. */
export const COST = 12;

export interface Task {
  readonly password: string;
  /** The hash to check the password by; absent: the password is to be hashed. */
  readonly hash?: string;
  /** What the work must cost, whatever the hash is. */
  readonly cost: number;
}

/** Whether the password is right, or the hash. */
export type Result = boolean | string;

const MIN_COST = 4;
/** A higher cost would block a thread for several seconds. */
const MAX_COST = 15;

/**
 * The cost of a supported bcrypt hash: `$2a$`, `$2b$`, `$2y$`, cost 4 to 15. Undefined for any
 * other text, also for `$2x$`, the mark of a broken implementation.
 */
export function costOf(text: string | null): number | undefined {
  const cost = Number(/^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text ?? "")?.[1]);
  return cost >= MIN_COST && cost <= MAX_COST ? cost : undefined;
}

/** The bcrypt hash of a password of 1 to 72 bytes; blocks this thread for 2^cost rounds. */
export function hashPassword(password: string, cost = COST): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  return bcrypt({ password, salt, costFactor: cost, outputType: "encoded" });
}

export async function runTask({ password, hash, cost }: Task): Promise<Result> {
  if (hash === undefined) return await hashPassword(password, cost);
  const costOfHash = costOf(hash);
  if (costOfHash === undefined) {
    await hashPassword(password, cost);
    return false;
  }
  const isCorrect = await bcryptVerify({ password, hash });
  // A cheaper hash takes less time, which would reveal that the account exists. Work doubles with
  // each step of the cost: 2^c + 2^c + 2^(c+1) + … + 2^(cost-1) = 2^cost.
  for (let step = costOfHash; step < cost; step++) await hashPassword(password, step);
  return isCorrect;
}
