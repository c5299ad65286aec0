/**
 * The benchmark's medians from run to run, in `bench/history.json`.
 *
 * @module
 */

import { z } from "zod";
import { PROJECT_FOLDER } from "../dev/state_folder.ts";
import type { Contender } from "./contenders.ts";
import type { Run } from "./measure.ts";
import { baselineOf, type Figure, FIGURES, median, type Ratio, ratioOf } from "./table.ts";

const FILE = new URL("./history.json", import.meta.url);

/** One contender under one workload. */
export interface Result {
  readonly workload: string;
  readonly contender: string;
  /** Medians over the rounds; a figure that the contender hasn't got is left out. */
  readonly medians: Partial<Record<Figure, number>>;
  /** To the contender that all are compared with. */
  readonly ratios: Partial<Record<Figure, Ratio>>;
}

/** What a run leaves in the history. */
export function resultsOf(runs: readonly Run[], contenders: readonly Contender[]): Result[] {
  const workloads = [...new Set(runs.map(({ workload }) => workload))];
  return workloads.flatMap((workload) => {
    const ofWorkload = runs.filter((run) => run.workload === workload);
    const baseline = baselineOf(ofWorkload, contenders);
    return contenders.flatMap(({ name }) => {
      const own = ofWorkload.filter(({ contender }) => contender === name);
      if (own.length === 0) return [];
      const medians: Partial<Record<Figure, number>> = {};
      const ratios: Partial<Record<Figure, Ratio>> = {};
      for (const { figure } of FIGURES) {
        const middle = median(own.map((run) => run[figure]));
        if (!Number.isNaN(middle)) medians[figure] = rounded(middle);
        const ratio = name === baseline[0]?.contender ? undefined : ratioOf(figure, own, baseline);
        if (ratio !== undefined) {
          const { median, least, most } = ratio;
          ratios[figure] = {
            median: rounded(median),
            least: rounded(least),
            most: rounded(most),
          };
        }
      }
      return [{ workload, contender: name, medians, ratios }];
    });
  });
}

const rounded = (value: number) => Number(value.toPrecision(4));

/** Adds an entry at the end of the history, with the revision that was measured. */
export async function record(entry: Readonly<Record<string, unknown>>): Promise<void> {
  const revision = await git("rev-parse", "--short", "HEAD");
  // The entry of the run before is no change of what is measured.
  const own = ":!bench/history.json";
  const changes = await git("status", "--porcelain", "--untracked-files=no", "--", ".", own);
  const entries = z.array(z.unknown()).parse(JSON.parse(await Deno.readTextFile(FILE)));
  entries.push({ revision: changes === "" ? revision : `${revision}-dirty`, ...entry });
  await Deno.writeTextFile(FILE, JSON.stringify(entries, undefined, 2) + "\n");
}

async function git(...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("git", { args, cwd: PROJECT_FOLDER }).output();
  return new TextDecoder().decode(stdout).trim();
}
