/**
 * `deno task keys`: makes, rotates and prunes the keys that sign login tokens.
 *
 * @module
 */

import {
  type CommandForm,
  parseWhole,
  type Program,
  readCommand,
  RefusedError,
  runMain,
  textOption,
  type Typed,
  UsageError,
  usageOf,
} from "../command_line.ts";
import { readSettings } from "../config.ts";
import { KeysSettings } from "./config.ts";
import { KeyFileError } from "./key_file.ts";
import { createKeyFile, pruneKeys, rotateKeys } from "./keys.ts";

const MAX_MINUTES = 9_999;

interface Command extends CommandForm {
  run(path: string, typed: Typed): Promise<void>;
}

const PROGRAM: Program<Command> = {
  start: "JWT_KEYS_FILE=path deno task keys",
  commands: {
    create: {
      usage: "[--if-missing]",
      does: "makes the file with one signing key",
      options: { "if-missing": { type: "boolean" } },
      async run(path, { options }) {
        try {
          await createKeyFile(path);
          console.log(`made ${path} with one signing key`);
        } catch (error) {
          if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
          if (options["if-missing"] === true) return;
          throw new RefusedError(`${path} exists already and stays as it is`);
        }
      },
    },
    rotate: {
      usage: "[--in MINUTES]",
      does: "adds a key that signs from now, or then, on; the others go on verifying",
      options: { in: { type: "string" } },
      async run(path, typed) {
        const minutes = parseWhole(textOption(typed, "in") ?? "0", [0, MAX_MINUTES]);
        if (minutes === undefined) throw new UsageError();
        const count = await rotateKeys(path, new Date(Date.now() + minutes * 60_000));
        const when = minutes === 0 ? "now on" : `${minutes} minutes from now on`;
        console.log(`a new key signs from ${when}; ${count} keys verify`);
      },
    },
    prune: {
      usage: "[--now]",
      does: "drops keys whose tokens have all expired; --now: all but the signing key",
      options: { now: { type: "boolean" } },
      async run(path, { options }) {
        const { dropped, left } = await pruneKeys(path, { evenNeeded: options.now === true });
        console.log(`dropped ${dropped} keys, ${left} left`);
      },
    },
  },
};

await runMain({
  task: "keys",
  usage: usageOf(PROGRAM),
  settings: [KeysSettings],
  exit: "0 done; 1 refused or failed; 2 wrong usage or settings",
  told: [KeyFileError],
}, async () => {
  const { command, typed } = readCommand(PROGRAM, Deno.args);
  const { JWT_KEYS_FILE: path } = readSettings(KeysSettings, Deno.env.toObject());
  await command.run(path, typed);
});
