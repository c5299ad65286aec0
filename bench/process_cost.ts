/**
 * What a process has cost so far, as Linux counts it.
 *
 * @module
 */

// USER_HZ, which is 100 on every platform that Deno runs on.
const TICKS_PER_SECOND = 100;

/** Seconds of processor time of a process on all cores, its ended threads included. */
export async function cpuSeconds(pid: number): Promise<number> {
  return statOf(await Deno.readTextFile(`/proc/${pid}/stat`)).cpuSeconds;
}

/**
 * The same for a process with its children: those that run now, and those that have ended. Drivers
 * of PostgreSQL close connections that are idle for some seconds, which ends its processes.
 */
export async function treeCpuSeconds(root: number): Promise<number> {
  let sum = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    // A process may end during this read.
    const text = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => undefined);
    if (text === undefined) continue;
    const stat = statOf(text);
    if (Number(name) === root) sum += stat.cpuSeconds + stat.endedChildrenCpuSeconds;
    else if (stat.parent === root) sum += stat.cpuSeconds;
  }
  return sum;
}

/** Memory of a process that is in RAM, in MB (10⁶ bytes). */
export async function residentMb(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  if (kibibytes === undefined) throw new Error(`/proc/${pid}/status names no VmRSS`);
  return Number(kibibytes) * 1024 / 1e6;
}

/** Seconds that all cores together had, and how they were spent. */
export interface MachineTime {
  readonly all: number;
  readonly idle: number;
  /** By this process and those of its children that have ended. */
  readonly own: number;
}

/** The machine's time since it was started. */
export async function machineTime(): Promise<MachineTime> {
  // cpu user nice system idle iowait irq softirq steal guest guest_nice; guests are in user already.
  const [first = ""] = (await Deno.readTextFile("/proc/stat")).split("\n");
  const seconds = first.trim().split(/\s+/).slice(1, 9).map((n) => Number(n) / TICKS_PER_SECOND);
  const self = statOf(await Deno.readTextFile("/proc/self/stat"));
  return {
    all: seconds.reduce((sum, n) => sum + n, 0),
    idle: (seconds[3] ?? NaN) + (seconds[4] ?? NaN),
    own: self.cpuSeconds + self.endedChildrenCpuSeconds,
  };
}

interface Stat {
  readonly parent: number;
  readonly cpuSeconds: number;
  readonly endedChildrenCpuSeconds: number;
}

/**
 * Parses "pid (name) state parent …". The name may have any characters, so fields start after the
 * last bracket.
 */
function statOf(text: string): Stat {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  // proc_pid_stat(5) counts from 1, and we start at its field 3.
  const seconds = (...numbers: number[]) =>
    numbers.reduce((sum, number) => sum + (fields[number - 3] ?? NaN), 0) / TICKS_PER_SECOND;
  return {
    parent: fields[1] ?? NaN,
    cpuSeconds: seconds(14, 15),
    endedChildrenCpuSeconds: seconds(16, 17),
  };
}
