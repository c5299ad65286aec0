import process from "node:process";

/** The ratio of the two inputs that {@link growth} compares. */
export const TIMES = 32;

/**
 * A greater ratio is no longer linear: with 32 times the input, quadratic time is 1,024 times as
 * long. The bound is in the middle, so that neither a busy machine nor a small constant decides.
 */
export const LINEAR = 180;

const ROUNDS = 5;
/** Below this after two rounds, growth is linear: a square would be 17 times as much. */
const CLEARLY_LINEAR = 60;
/** Shorter runs are repeated, so that the clock can measure them. */
const MEASURABLE_MS = 0.5;

/**
 * How many times longer `run` takes with 32 times the input. Both run in turn, and the fastest of
 * each counts, since other load only makes a run longer.
 *
 * @param run may be run again with the same input
 */
export async function growth<Input>(
  run: (input: Input) => unknown,
  little: Input,
  much: Input,
): Promise<number> {
  let min = Infinity;
  // A chance result is measured again; quadratic growth stays.
  for (let attempt = 0; attempt < 3 && min > LINEAR; attempt++) {
    min = Math.min(min, await measured(run, little, much));
  }
  return min;
}

async function measured<Input>(
  run: (input: Input) => unknown,
  little: Input,
  much: Input,
): Promise<number> {
  let repeats = 1;
  while (await time(run, little, repeats) < MEASURABLE_MS && repeats < 4_096) repeats *= 2;
  let [short, long] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS; round++) {
    short = Math.min(short, await time(run, little, repeats));
    long = Math.min(long, await time(run, much, repeats));
    if (round > 0 && long < CLEARLY_LINEAR * short) break;
    // Far beyond the bound, and slow.
    if (long > 10 * LINEAR * short) break;
  }
  return long / short;
}

async function time<Input>(
  run: (input: Input) => unknown,
  input: Input,
  repeats: number,
): Promise<number> {
  const began = processorMs();
  for (let at = 0; at < repeats; at++) {
    const result = run(input);
    if (result instanceof Promise) await result;
  }
  return processorMs() - began;
}

/**
 * Processor time of this process alone: on a busy machine a long run waits more often than a short
 * one.
 */
function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}
