/**
 * The compared servers, as data.
 *
 * @module
 */

import { freePort } from "../dev/free_port.ts";
import { startCachedLotline } from "./cached_lotline.ts";
import type { Contender } from "./contender.ts";
import { startPgbench } from "./pgbench.ts";
import {
  startLegacy,
  startLegacyOnNode,
  startLotline,
  startServer,
  startTwoLotlines,
} from "./servers.ts";

/** All contenders. The first that runs on this machine is the baseline. */
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
    name: "lotline",
    title: "Lotline",
    only: ["health", "trace", "login", "qc", "lot"],
    start: (place) => startLotline(place, { AUTH_MODE: "legacy" }),
  },
  {
    name: "lotline-two",
    title: "Lotline, two processes on one port",
    only: ["health", "trace", "login", "qc", "lot"],
    start: (place) => startTwoLotlines(place, { AUTH_MODE: "legacy" }),
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
