import type { Place, Running } from "./servers.ts";
import type { BenchRequest } from "./workloads.ts";
import type { Load } from "./wrk.ts";

/** One of the compared servers. */
export interface Contender {
  readonly name: string;
  readonly title: string;
  /** The names of its workloads; all unless set. */
  readonly only?: readonly string[];
  /** Runs only with `--all`: its result is known, and its turns take time. */
  readonly extra?: true;
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

/** PostgreSQL or Valkey alone, measured by its own program, without a server in front. */
export interface Rival extends AsyncDisposable {
  /** Undefined when it is PostgreSQL itself, whose time is measured separately anyway. */
  readonly pid?: number;
  load(workload: string, seconds: number): Promise<Load>;
}
