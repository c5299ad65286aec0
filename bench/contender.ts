import type { Place, Running } from "./servers.ts";
import type { BenchRequest } from "./workloads.ts";
import type { Load } from "./wrk.ts";

/** One of the servers that are compared. */
export interface Contender {
  readonly name: string;
  readonly title: string;
  /** The names of the workloads that it takes part in; all unless said. */
  readonly only?: readonly string[];
  /** Takes part with `--all` alone: what it tells is known, and its turns take time. */
  readonly extra?: true;
  /** Nothing when this machine lacks what the contender runs on; `say` may be told what to do. */
  start(place: Place, say: (line: string) => void): Promise<Entry | Rival | undefined>;
}

/** A server that is asked over HTTP. */
export interface Entry extends Running {
  /**
   * Gets ready for a run, outside what is measured; gives what looks at the run afterwards and throws
   * when it means nothing.
   */
  prepare?(requests: readonly BenchRequest[]): Promise<() => Promise<void>>;
}

/** What servers stand on, asked by a program of its own, with nothing between the two. */
export interface Rival extends AsyncDisposable {
  /** Nothing when it is PostgreSQL itself, whose time is told apart anyway. */
  readonly pid?: number;
  load(workload: string, seconds: number): Promise<Load>;
}
