/**
 * `deno task practice`: a cutover to practise with. `dev --cutover` starts it next to the service; its
 * settings are then `DATABASE_URL`, `SERVICE_URL`, `DRY_RUN_SECRET`, `LOTLINE_DATA`, the state folder,
 * `PRACTICE_BREAK`, a fault to plant, and `METRICS_PORT` of the gateway. With a command it works on the practice that runs.
 *
 * @module
 */

import { z } from "zod";
import {
  type CommandForm,
  type Program,
  readCommand,
  RefusedError,
  runMain,
  textOption,
  type Typed,
  UsageError,
  usageOf,
} from "../../command_line.ts";
import { freePort } from "../../dev/free_port.ts";
import type { ServiceProcess } from "../../dev/service_process.ts";
import { isRunning } from "../../dev/tied_process.ts";
import { answerHelp, pasteable } from "../../task_help.ts";
import { delay } from "../../timing.ts";
import { wholeNumber } from "../cli/command.ts";
import { practiceSteps, readBookSteps } from "./book.ts";
import { sendLoad } from "./load.ts";
import { FAULT_USAGE, parseFault } from "./planted_fault.ts";
import { noteAddresses, plant, readAddresses } from "./practice_files.ts";
import { greeting, startPractice } from "./servers.ts";

const Settings = z.object({
  DATABASE_URL: z.string(),
  SERVICE_URL: z.string(),
  DRY_RUN_SECRET: z.string(),
  LOTLINE_DATA: z.string(),
  PRACTICE_BREAK: z.string().optional(),
  METRICS_PORT: z.string().optional(),
});

interface PracticeCommand extends CommandForm {
  run(typed: Typed): Promise<void>;
}

const load: PracticeCommand = {
  usage: "[--rate N] [--seconds N]",
  does: "sends a plant's traffic to the gateway, 40 requests a second from 200 addresses unless " +
    "given, until Ctrl-C, and prints each change of a route",
  options: { rate: { type: "string" }, seconds: { type: "string" } },
  async run(typed) {
    const addresses = await runningPractice();
    const rate = wholeNumber("--rate", textOption(typed, "rate") ?? "40", [1, 1_000]);
    const typedSeconds = textOption(typed, "seconds");
    const seconds = typedSeconds === undefined
      ? undefined
      : wholeNumber("--seconds", typedSeconds, [1, 86_400]);
    const stop = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => stop.abort());
    }
    const options = {
      perSecond: rate,
      seconds,
      print: (line: string) => console.log(pasteable(line)),
      signal: stop.signal,
    };
    if (await sendLoad(addresses, options) === 0) {
      throw new RefusedError(`${addresses.gatewayUrl} sends no responses`);
    }
  },
};

const breakResponses: PracticeCommand = {
  usage: FAULT_USAGE,
  does: "plants a fault in Lotline's responses to an operation: a difference in the body, 200 ms " +
    "more, or an end of the connection without a response",
  words: [1, 1],
  async run({ words: [text = ""] }) {
    await runningPractice();
    const { operation, kind } = faultIn(text);
    await plant(text);
    console.log(`Lotline's responses to ${operation} have a fault from now on: ${kind}`);
  },
};

const repair: PracticeCommand = {
  usage: "",
  does: "removes the fault",
  async run() {
    await runningPractice();
    await plant(undefined);
    console.log(pasteable(
      "Lotline's responses are right again. A route that went back stays on legacy until " +
        "deno task cutover clear",
    ));
  },
};

const PROGRAM: Program<PracticeCommand> = {
  start: "deno task practice",
  commands: { load, break: breakResponses, repair },
  notes:
    "The practice itself is started by deno task dev --cutover. LOTLINE_DATA is its state folder.",
};

answerHelp({ task: "practice", usage: usageOf(PROGRAM), settings: [Settings] });
if (Deno.args.length > 0) {
  await runMain({ usage: usageOf(PROGRAM) }, async () => {
    const { command, typed } = readCommand(PROGRAM, Deno.args);
    await command.run(typed);
  });
} else if (Deno.env.get("SERVICE_URL") === undefined) {
  console.error(usageOf(PROGRAM));
  Deno.exit(2);
} else {
  await serve();
}

/** Runs the practice until a signal. */
async function serve(): Promise<never> {
  const running = new AsyncDisposableStack();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      await running.disposeAsync();
      Deno.exit(0);
    });
  }
  const settings = Settings.parse(Deno.env.toObject());
  const { LOTLINE_DATA: stateFolder, PRACTICE_BREAK: fault, DATABASE_URL: databaseUrl } = settings;
  if (fault !== undefined && parseFault(fault) === undefined) {
    console.error(`--break takes ${FAULT_USAGE}`);
    Deno.exit(2);
  }
  await plant(fault, stateFolder);
  // New ports and a new token each time, since nothing outlives the run.
  const practice = {
    stateFolder,
    databaseUrl,
    serviceUrl: settings.SERVICE_URL,
    dryRunSecret: settings.DRY_RUN_SECRET,
    metricsPort: settings.METRICS_PORT,
    legacyPort: freePort(),
    gatewayPort: freePort(),
    adminPort: freePort(),
    gatewayToken: crypto.randomUUID().replaceAll("-", ""),
  };
  const services = await startPractice(running, practice);
  const gatewayUrl = `http://127.0.0.1:${practice.gatewayPort}`;
  running.use(await noteAddresses(stateFolder, { gatewayUrl, databaseUrl }));
  console.log(pasteable(greeting(practice, practiceSteps(await readBookSteps()), fault)));
  return await watch(services);
}

/** Waits until a part ends unexpectedly. */
async function watch(services: readonly ServiceProcess[]): Promise<never> {
  for (;;) {
    for (const { name, pid, logTail } of services) {
      if (!isRunning(pid)) {
        console.error(`The ${name} ended by itself. The last lines of its log:\n${logTail()}`);
        Deno.exit(1);
      }
    }
    await delay(250);
  }
}

async function runningPractice() {
  const addresses = await readAddresses();
  if (addresses !== undefined) return addresses;
  throw new RefusedError(
    "No practice runs on this state folder: start deno task dev --cutover, or set LOTLINE_DATA",
  );
}

function faultIn(text: string) {
  const fault = parseFault(text);
  if (fault === undefined) throw new UsageError(`A fault is ${FAULT_USAGE}`);
  return fault;
}
