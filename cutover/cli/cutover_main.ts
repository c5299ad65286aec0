/**
 * `deno task cutover`: the gateway's routes, for an operator at a terminal. Commands read and write
 * PostgreSQL; running gateways follow within a second. `probe` and `calibrate` also send requests.
 *
 * @module
 */

import { type Program, readCommand, runMain, usageOf } from "../../command_line.ts";
import { pasteable } from "../../task_help.ts";
import { readSettings } from "../../config.ts";
import { CutoverSettings } from "../config.ts";
import { connect } from "../../db/connect.ts";
import { type DirectAddress, directAddress } from "../../db/direct_address.ts";
import { calibrate } from "./calibrate.ts";
import { clear, history, kill, release, rollback, sample, set } from "./changes.ts";
import type { Command } from "./command.ts";
import { drop } from "./drop.ts";
import { plan, stopPlan } from "./plan.ts";
import { probe } from "./probe.ts";
import { status } from "./status.ts";
import { thresholds, verdicts } from "./verdicts.ts";
import { RouteRefusedError } from "../routes/routing.ts";

const PROGRAM: Program<Command> = {
  start: "DATABASE_URL=… deno task cutover",
  commands: {
    status,
    set,
    sample,
    rollback,
    clear,
    kill,
    release,
    history,
    verdicts,
    limits: thresholds,
    plan,
    "plan --stop": stopPlan,
    probe,
    calibrate,
    drop,
  },
  options: { json: { type: "boolean" } },
  notes: "Exit status: 0 done, 1 refused or failed, 2 not used as above or settings missing.",
};

let address: DirectAddress | undefined;
const ending = {
  usage: usageOf(PROGRAM),
  told: [RouteRefusedError],
  setting: () => address?.setting,
};
await runMain(ending, async () => {
  const { command, typed } = readCommand(PROGRAM, Deno.args);
  const json = typed.options.json === true;
  const environment = Deno.env.toObject();
  address = directAddress(readSettings(command.settings ?? CutoverSettings, environment));
  const interrupted = new AbortController();
  if (command.isLong) {
    Deno.addSignalListener("SIGINT", () => {
      // A second Ctrl-C ends the command at once.
      if (interrupted.signal.aborted) Deno.exit(130);
      interrupted.abort();
    });
    // A terminal that closes.
    for (const signal of ["SIGHUP", "SIGTERM"] as const) {
      Deno.addSignalListener(signal, () => interrupted.abort());
    }
  }
  const canAsk = !json && Deno.stdin.isTerminal() && Deno.stdout.isTerminal();
  const sql = connect({ url: address.url, max: 1, name: "lotline-cutover" });
  try {
    const said = await command.run({
      sql,
      environment,
      print: (line) => json ? console.error(line) : console.log(pasteable(line)),
      signal: interrupted.signal,
      ...canAsk && { confirm },
    }, typed);
    console.log(json ? JSON.stringify(said.json) : pasteable(said.text));
  } finally {
    await sql.end({ timeout: 1 });
  }
});
