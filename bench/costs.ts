/**
 * What some work has cost the measured processes, and what was left of the machine.
 *
 * @module
 */

import { cpuSeconds, type MachineTime, machineTime, treeCpuSeconds } from "./process_cost.ts";

/** The measured processes. */
export interface Measured {
  /** The server's process, and those whose time counts as the server's. */
  readonly serverPids: readonly number[];
  /** PostgreSQL's postmaster. */
  readonly databasePid: number;
}

/** Processor time, in seconds of one core. */
export interface Costs {
  /** The time that all cores together had. */
  readonly all: number;
  readonly idle: number;
  /** Of the server, all its threads, and of its helpers. */
  readonly server: number;
  /** Of all PostgreSQL processes. */
  readonly database: number;
  /** Of the benchmark and of the load generators that it waited for. */
  readonly own: number;
  /** Of other programs, or of other machines of the same host. */
  readonly others: number;
}

/** Does some work; returns its result and the cost from its start to its end. */
export async function withCosts<T>(
  { serverPids, databasePid }: Measured,
  work: () => Promise<T>,
): Promise<{ result: T; costs: Costs }> {
  const spentSoFar = async () => ({
    server: (await Promise.all(serverPids.map(cpuSeconds))).reduce((sum, s) => sum + s, 0),
    database: await treeCpuSeconds(databasePid),
    machine: await machineTime(),
  });
  const before = await spentSoFar();
  const result = await work();
  const after = await spentSoFar();
  const spent = (what: keyof MachineTime) => after.machine[what] - before.machine[what];
  const [all, idle, own] = [spent("all"), spent("idle"), spent("own")];
  const server = after.server - before.server;
  const database = after.database - before.database;
  const others = Math.max(0, all - idle - own - server - database);
  return { result, costs: { all, idle, server, database, own, others } };
}
