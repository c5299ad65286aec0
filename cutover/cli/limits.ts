import { z } from "zod";
import { columns } from "../../terminal.ts";
import {
  insertThresholds,
  readThresholds,
  type Thresholds,
  ThresholdsForm,
} from "../rollout/thresholds.ts";
import { UsageError } from "../../command_line.ts";
import { type Command, NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./command.ts";

export const thresholds: Command = {
  usage: `[NAME=VALUE …] ${NOTE_USAGE}`,
  does: "shows the limits that verdicts use; with values, sets them from now on",
  words: [0, Infinity],
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const now = await readThresholds(sql);
    if (typed.words.length === 0) return { text: thresholdTable(now), json: now };
    const next = changed(now, typed.words);
    await insertThresholds(sql, next, noteIn(typed));
    return { text: thresholdTable(next), json: next };
  },
};

function changed(now: Thresholds, words: readonly string[]): Thresholds {
  const given: Record<string, number> = {};
  for (const word of words) {
    const [, name, value] = /^([a-z_]+)=(\d+(?:\.\d+)?)$/.exec(word) ?? [];
    if (name === undefined || value === undefined || !Object.hasOwn(now, name)) {
      throw new UsageError(
        `${JSON.stringify(word)} is no limit: type NAME=NUMBER, with one of ` +
          Object.keys(now).join(" "),
      );
    }
    given[name] = Number(value);
  }
  const { success, data, error } = ThresholdsForm.safeParse({ ...now, ...given });
  if (success) return data;
  throw new UsageError(z.prettifyError(error));
}

function thresholdTable(thresholds: Thresholds): string {
  return columns(
    ["limit", "value"],
    Object.entries(thresholds).map(([name, value]) => [name, String(value)]),
  );
}
