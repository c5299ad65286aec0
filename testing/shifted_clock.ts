import { join } from "node:path";

/**
 * Writes a file that, preloaded by a process, sets its clock off by so many seconds: all that reads
 * `Date` sees it. Timers keep their pace. Returns the file's path.
 */
export async function shiftedClock(folder: string, seconds: number): Promise<string> {
  const path = join(folder, "shifted_clock.js");
  await Deno.writeTextFile(
    path,
    `const RealDate = Date;
const now = () => RealDate.now() + ${seconds * 1_000};
globalThis.Date = class extends RealDate {
  constructor(...args) {
    if (args.length === 0) super(now());
    else super(...args);
  }
  static now = now;
};
`,
  );
  return path;
}
