import { AUDIT } from "./audit.ts";
import { COLD_START } from "./cold_start.ts";
import { GATEWAY } from "../cutover/bench/gateway.ts";
import { GROWTH } from "./growth.ts";
import { LARGE_TRACE } from "./large_trace.ts";
import { LOGIN_FLOOD } from "./login_flood.ts";
import { LOGIN_TIMING } from "./login_timing.ts";
import { MEMORY } from "./memory.ts";
import { PROCESSES } from "./processes.ts";
import type { Study } from "./study.ts";
import { TRACES } from "./traces.ts";

/** All measurements of Lotline alone; each is run only when it is asked for. */
export const STUDIES: readonly Study[] = [
  LOGIN_TIMING,
  LOGIN_FLOOD,
  AUDIT,
  TRACES,
  GATEWAY,
  COLD_START,
  PROCESSES,
  MEMORY,
  GROWTH,
  LARGE_TRACE,
];
