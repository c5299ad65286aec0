import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { z } from "zod";
import project from "./deno.json" with { type: "json" };
import { taskWords } from "./dev/task_command.ts";
import { helpText, pasteable, wantsHelp } from "./task_help.ts";
import { taskOutput } from "./testing/task_output.ts";

const AT_ONCE = 3;

/** Runs a task's command without `deno task`, which would take as long again. */
async function helpOf(name: string): Promise<{ code: number; output: string }> {
  const words = taskWords(name);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...words.slice(words.indexOf("deno") + 1), "--help"],
    cwd: new URL(".", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  const output = text.decode(stdout) + text.decode(stderr);
  return { code, output: output.replaceAll(/npx -y deno@[\d.]+ task/g, "deno task") };
}

Deno.test("--help of every task is its help, with code 0", async () => {
  const names = Object.keys(project.tasks);
  const next = names.values();
  const checkNext = async () => {
    for (const name of next) {
      const { code, output } = await helpOf(name);
      strictEqual(code, 0, `${name}: ${output}`);
      match(output, /^usage: /m, name);
      match(output, new RegExp(`deno task ${name === "ok" ? "test" : name}\\b`), name);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, checkNext));
  ok(names.length > 20);
});

Deno.test("help is requested by an option before -- or by the word help", () => {
  for (const args of [["--help"], ["-h"], ["help"], ["list", "--help"], ["--json", "-h"]]) {
    ok(wantsHelp(args), args.join(" "));
  }
  for (const args of [[], ["list"], ["list", "help"], ["--", "--help"]]) {
    ok(!wantsHelp(args), args.join(" "));
  }
});

Deno.test("the help has description, usage, settings with their defaults, and exit status", () => {
  const settings = z.object({
    PORT: z.string().default("80").meta({ description: "a port" }),
    PLACE: z.string().meta({ description: "a place" }),
  });
  strictEqual(
    helpText({ task: "migrate", args: "[--x]", notes: "  --x  more", settings: [settings] }),
    [
      project.tasks.migrate.description,
      "",
      "usage: deno task migrate [--x]",
      "  --x  more",
      "",
      "Settings, from the environment:",
      "  PORT   a port (80)",
      "  PLACE  a place",
      "",
      "Exit status: 0 done; 1 failed",
    ].join("\n"),
  );
});

Deno.test("a command is shown as this machine can run it", () => {
  const isFromNpx = /_npx/.test(Deno.execPath());
  strictEqual(
    pasteable("first: deno task migrate"),
    isFromNpx ? `first: npx -y deno@${Deno.version.deno} task migrate` : "first: deno task migrate",
  );
});

Deno.test("with --quiet a task's output is its own alone", async () => {
  const { code, output, error } = await taskOutput(["doctor", "--json"], { DATABASE_URL: "none" });
  deepStrictEqual([code, error, JSON.parse(output).ok], [1, "", false]);
});
