/**
 * Measures the time from the start of a process to its first response.
 *
 * @module
 */

import { join } from "node:path";
import { createKeyFile } from "../auth/keys.ts";
import project from "../deno.json" with { type: "json" };
import { freePort } from "../dev/free_port.ts";
import { startPlant } from "./plant.ts";
import { machineTime } from "./process_cost.ts";
import { bundleForNode, startServer } from "./servers.ts";
import type { Study } from "./study.ts";
import { inDigits, markdownTable, median } from "./table.ts";

const STARTS = 10;

/** A server and the durations of its starts. */
export interface Starts {
  readonly title: string;
  readonly ms: number[];
}

/** Starts Lotline, as `deno task start` does, and the old server in turn. */
export const COLD_START: Study = {
  name: "cold-start",
  async run({ folder, say }) {
    await using server = await startPlant(folder);
    const databaseUrl = await server.copy("cold");
    const keys = join(folder, "keys.json");
    await createKeyFile(keys);
    const [, ...args] = project.tasks.start.command.split(" ");
    const settings = { DATABASE_URL: databaseUrl, AUTH_MODE: "legacy", JWT_KEYS_FILE: keys };
    const main = await bundleForNode(folder);
    const field = [{ title: "Lotline", command: Deno.execPath(), args, env: settings }]
      .concat(
        main === undefined ? [] : [{
          title: "old server's stand-in (Node)",
          command: "node",
          args: [main],
          env: settings,
        }],
      )
      .map((started) => ({ ...started, ms: [] as number[] }));
    const before = await machineTime();
    for (let start = 1; start <= STARTS; start++) {
      say(`Start ${start} of ${STARTS}`);
      for (const { command, args, env, ms } of field) {
        const port = freePort();
        const began = performance.now();
        const PORT = { PORT: String(port) };
        await using _ = await startServer({
          folder,
          port,
          command,
          args,
          env: { ...env, ...PORT },
        });
        ms.push(performance.now() - began);
      }
    }
    const after = await machineTime();
    const starts = field.map(({ title, ms }) => ({ title, ms }));
    return {
      text: `From the start of the process to the first 200 of /api/health, ${STARTS} starts\n\n` +
        startTable(starts),
      figures: { starts },
      // The servers' share can't be separated from that of other programs: this is the upper bound.
      takenByOthers: [
        (after.all - after.idle - after.own - before.all + before.idle + before.own) /
        (after.all - before.all),
      ],
    };
  },
};

/** One line for each server. */
export function startTable(starts: readonly Starts[]): string {
  const rows = starts.map(({ title, ms }) => [
    title,
    inDigits(median(ms), 0),
    inDigits(Math.max(...ms), 0),
  ]);
  return markdownTable(["", "median ms", "greatest ms"], rows);
}
