import type { Place, Running } from "./servers.ts";
import type { BenchRequest } from "./workloads.ts";
import type { Load } from "./wrk.ts";

/** One of the compared servers. */
export interface Contender {
  readonly name: string;
  readonly title: string;
  /** The names of its workloads; all unless set. */
  readonly only?: readonly string[];
  /** Undefined when this machine lacks what the contender needs; `say` may get the instructions. */
  start(place: Place, say: (line: string) => void): Promise<Entry | Rival | undefined>;
}

/** A contender that is measured over HTTP. */
export interface Entry extends Running {
  /**
   * Prepares a run, outside the measured time. Returns a check for after the run, which throws when
   * the run is invalid.
   */
  prepare?(requests: readonly BenchRequest[]): Promise<() => Promise<void>>;
}

/** PostgreSQL alone, measured by its own program; its processor time is measured separately anyway. */
export interface Rival extends AsyncDisposable {
  load(workload: string, seconds: number): Promise<Load>;
}
