import type { Contender } from "./contender.ts";
import { CONTENDERS } from "./contenders.ts";
import { measure, type Run } from "./measure.ts";
import type { Workload } from "./workloads.ts";
import { findWrk } from "./wrk.ts";

/** The path of wrk, if this machine has it or can install it. */
export const WRK = Deno.build.os === "linux" ? await findWrk(console.log) : undefined;

/** Measures one round of a second, as the tests of the benchmarks do. */
export async function measureShortly(
  contenders: readonly Contender[],
  workloads: readonly Workload[],
): Promise<Run[]> {
  const folder = await Deno.makeTempDir({ prefix: "lotline-bench-" });
  try {
    const short = { rounds: 1, seconds: 1, wrk: WRK ?? "", folder, say: () => {} };
    return await measure({ contenders, workloads, ...short });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

export function contendersNamed(...names: string[]): Contender[] {
  return CONTENDERS.filter(({ name }) => names.includes(name));
}
