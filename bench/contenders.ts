/**
 * The servers that are compared, as data.
 *
 * @module
 */

import { freePort } from "../dev/free_port.ts";
import { startCachedLotline } from "./cached_lotline.ts";
import { startPgbench } from "./pgbench.ts";
import { dropLinkIndexes, dropTriggers } from "./plant.ts";
import {
  type Place,
  type Running,
  startLegacy,
  startLegacyOnNode,
  startLotline,
  startServer,
} from "./servers.ts";
import { startValkeyAlone } from "./valkey_alone.ts";
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
  /** Other processes whose time counts as the server's. */
  readonly helpers?: readonly number[];
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

/** All contenders. The first that runs on this machine is what the others are compared with. */
export const CONTENDERS: readonly Contender[] = [
  {
    name: "old-node",
    title: "old server's stand-in (Node)",
    start: startLegacyOnNode,
  },
  {
    name: "old",
    title: "old server's stand-in (Deno)",
    start: startLegacy,
  },
  {
    name: "old-unindexed",
    title: "old server's stand-in (Node), before `deno task migrate`",
    only: ["trace"],
    extra: true,
    async start(place) {
      await dropLinkIndexes(place.databaseUrl);
      return await startLegacyOnNode(place);
    },
  },
  {
    name: "old-untriggered",
    title: "old server's stand-in (Node), without the triggers on its tables",
    only: ["qc", "lot"],
    extra: true,
    async start(place) {
      await dropTriggers(place.databaseUrl);
      return await startLegacyOnNode(place);
    },
  },
  {
    name: "lotline",
    title: "Lotline",
    only: ["health", "trace", "login", "qc", "lot"],
    start: (place) => startLotline(place, { AUTH_MODE: "legacy" }),
  },
  {
    name: "lotline-cached",
    title: "Lotline with Valkey and a worker",
    only: ["trace-cached"],
    start: startCachedLotline,
  },
  {
    name: "pgbench",
    title: "PostgreSQL alone: pgbench with Lotline's statement",
    only: ["trace", "lot"],
    start: startPgbench,
  },
  {
    name: "valkey",
    title: "Valkey alone: GET of an answer of median size",
    only: ["trace-cached"],
    start: startValkeyAlone,
  },
  {
    name: "bare",
    title: "bare Deno.serve",
    only: ["health"],
    start: ({ folder }) => {
      const port = freePort();
      const args = ["run", "--quiet", "--allow-net", "bench/bare_server.ts", String(port)];
      return startServer({ folder, port, command: Deno.execPath(), args });
    },
  },
];
