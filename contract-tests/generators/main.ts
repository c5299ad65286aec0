/**
 * `deno task generators [NAME…]`: makes a client with each generator, or with those named, from the
 * document of a running service, compiles it, and runs a small program with it. What it installs and
 * generates is in `.data/generators`.
 *
 * @module
 */
import { answerHelp } from "../../task_help.ts";
import { GENERATORS } from "./list.ts";
import { type Outcome, runGenerator } from "./run_generator.ts";
import { startDemoService } from "./service.ts";

answerHelp({
  task: "generators",
  args: "[NAME…]",
  notes: `All of them unless some are named:\n${
    GENERATORS.map(({ name, language }) => `  ${name.padEnd(32)}${language}`).join("\n")
  }`,
  exit: "0 every client works; 1 one fails; 2 a wrong name",
});

const unknown = Deno.args.filter((name) => !GENERATORS.some((one) => one.name === name));
if (unknown.length > 0) {
  console.error(`No such generator: ${unknown.join(", ")}; \`--help\` lists them`);
  Deno.exit(2);
}
const chosen = GENERATORS.filter(({ name }) => Deno.args.length === 0 || Deno.args.includes(name));
const outcomes: Outcome[] = [];
{
  await using service = await startDemoService();
  for (const generator of chosen) {
    const outcome = await runGenerator(generator, service.url);
    console.log(`${generator.name}: ${outcome.steps.join(", ")}`);
    if (outcome.problem !== undefined) console.log(outcome.problem);
    outcomes.push(outcome);
  }
}
console.log(`\n${tableOf(outcomes)}\n`);
Deno.exit(outcomes.some(({ problem }) => problem !== undefined) ? 1 : 0);

function tableOf(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ generator, problem }) => {
    const { name, language, version, document } = generator;
    return `| ${name} | ${language} | ${version} | ${document} | ${resultOf(generator, problem)} |`;
  });
  const head = "| generator | language | version | document | result |";
  return [head, "| --- | --- | --- | --- | --- |", ...rows].join("\n");
}

function resultOf({ generatedOnly }: Outcome["generator"], problem: string | undefined): string {
  if (problem !== undefined) return `FAILED at ${problem.split(":", 1)[0]}`;
  return generatedOnly === undefined ? "works" : `generated; ${generatedOnly}`;
}
