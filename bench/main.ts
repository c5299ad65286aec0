/**
 * `deno task bench [workload…] [--json] [--seconds N]`: compares Lotline with the old server (a
 * stand-in) and with a bare server. This command starts all of them on this machine.
 *
 * `deno task bench gateway|cold-start|growth|overload|poolers|replica` and `deno task bench memory [--requests N]`:
 * other measurements, one at a time.
 *
 * @module
 */

import { hasTask, taskWords } from "../dev/task_command.ts";
import { CONTENDERS } from "./contenders.ts";
import { goalTable, outcomesOf } from "./goals.ts";
import { measure } from "./measure.ts";
import { readOptions, type RunOptions, runStudy } from "./run_study.ts";
import { STUDIES } from "./studies.ts";
import type { Study } from "./study.ts";
import { tableOf } from "./table.ts";
import { type Workload, workloadNamed, WORKLOADS } from "./workloads.ts";
import { CONNECTIONS } from "./wrk.ts";
import { answerHelp } from "../task_help.ts";

const SECONDS = 5;

answerHelp({
  task: "bench",
  usage: `usage: deno task bench [WORKLOAD…] [--json] [--seconds N]
       deno task bench gateway | cold-start | growth | overload | poolers | replica
       deno task bench memory [--requests N]`,
});
try {
  const [name] = Deno.args;
  if (name !== undefined && hasTask(`bench-${name}`)) await runTask(`bench-${name}`);
  else {
    const { study, options } = readArguments(Deno.args);
    await runStudy(study, options);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}

interface Arguments {
  readonly study: Study;
  readonly options: RunOptions;
}

function readArguments(args: string[]): Arguments {
  const { names, options } = readOptions(args);
  return { study: studyNamed(names), options };
}

function studyNamed(names: readonly string[]): Study {
  const study = STUDIES.find(({ name }) => name === names[0]);
  if (study !== undefined && names.length === 1) return study;
  const workloads = WORKLOADS.map(({ name }) => name);
  const unknown = names.filter((name) => !workloads.includes(name));
  if (unknown.length === 0) {
    return comparison(names.length === 0 ? WORKLOADS : names.map(workloadNamed));
  }
  const alone = STUDIES.map(({ name }) => name);
  throw new Error(
    `There is no workload ${unknown.join(", ")}; there are ${workloads.join(", ")}, ` +
      `and by itself ${alone.join(" or ")}`,
  );
}

/** The comparison of all contenders. */
function comparison(workloads: readonly Workload[]): Study {
  return {
    name: "comparison",
    async run({ seconds = SECONDS, ...options }) {
      const { rounds } = options;
      const runs = await measure({ ...options, contenders: CONTENDERS, workloads, seconds });
      const outcomes = outcomesOf(runs, CONTENDERS);
      return {
        text: `${CONNECTIONS} connections, median of ${rounds} rounds of ${seconds} s · ratio ` +
          `(least–greatest)\n\n${tableOf(runs, workloads, CONTENDERS)}\n` +
          `**Goals** (\`old\` is the first contender of each table)\n\n${goalTable(outcomes)}`,
        figures: { rounds, seconds, connections: CONNECTIONS, runs, goals: outcomes },
        takenByOthers: runs.map(({ takenByOthers }) => takenByOthers),
      };
    },
  };
}

/** Runs a measurement that has its own task, with the other arguments of this command. */
async function runTask(task: string): Promise<void> {
  const [, ...command] = taskWords(task);
  const args = [...command, ...Deno.args.slice(1)];
  const { code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  Deno.exit(code);
}
