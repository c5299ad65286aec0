import { z } from "zod";
import { columns } from "../../terminal.ts";
import { type Limits, LimitsForm } from "../rollout/thresholds.ts";
import { insertLimits, readLimits } from "../rollout/thresholds_table.ts";
import { UsageError } from "../../command_line.ts";
import type { Command } from "./command.ts";
import { NOTE_OPTIONS, NOTE_USAGE, noteIn } from "./note_options.ts";

/** `deno task cutover limits` */
export const limits: Command = {
  usage: `[NAME=VALUE …] ${NOTE_USAGE}`,
  does: "by which limits routes are judged; with values, what they are from now on",
  words: [0, Infinity],
  options: NOTE_OPTIONS,
  async run({ sql }, typed) {
    const now = await readLimits(sql);
    if (typed.words.length === 0) return { text: limitTable(now), json: now };
    const next = changed(now, typed.words);
    await insertLimits(sql, next, noteIn(typed));
    return { text: limitTable(next), json: next };
  },
};

function changed(now: Limits, words: readonly string[]): Limits {
  const given: Record<string, number> = {};
  for (const word of words) {
    const [, name, value] = /^([a-z_]+)=(\d+(?:\.\d+)?)$/.exec(word) ?? [];
    if (name === undefined || value === undefined || !Object.hasOwn(now, name)) {
      throw new UsageError(
        `${JSON.stringify(word)} is no limit: give NAME=NUMBER, with one of ` +
          Object.keys(now).join(" "),
      );
    }
    given[name] = Number(value);
  }
  const { success, data, error } = LimitsForm.safeParse({ ...now, ...given });
  if (success) return data;
  throw new UsageError(z.prettifyError(error));
}

function limitTable(limits: Limits): string {
  return columns(
    ["limit", "value"],
    Object.entries(limits).map(([name, value]) => [name, String(value)]),
  );
}
