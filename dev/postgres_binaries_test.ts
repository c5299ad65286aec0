import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { PROJECT_FOLDER } from "./state_folder.ts";

Deno.test("two processes that unpack PostgreSQL at the same time both get working programs", async () => {
  const state = await Deno.makeTempDir({ prefix: "lotline-programs-" });
  try {
    const script = `
      import { postgresBinaries } from ${
      JSON.stringify(import.meta.resolve("./postgres_binaries.ts"))
    };
      const { postgres } = await postgresBinaries(17, () => {});
      const { stdout } = await new Deno.Command(postgres, { args: ["--version"] }).output();
      console.log(new TextDecoder().decode(stdout).trim());`;
    const unpack = () =>
      new Deno.Command(Deno.execPath(), {
        args: ["eval", script],
        cwd: PROJECT_FOLDER,
        env: { LOTLINE_DATA: state },
      }).output();
    const results = await Promise.all([unpack(), unpack()]);
    for (const { code, stdout, stderr } of results) {
      strictEqual(code, 0, new TextDecoder().decode(stderr));
      ok(new TextDecoder().decode(stdout).startsWith("postgres (PostgreSQL) 17."));
    }
    const left = [...Deno.readDirSync(`${state}/programs`)].filter(({ isDirectory }) =>
      isDirectory
    );
    deepStrictEqual(left.filter(({ name }) => name.endsWith(".half")), []);
    strictEqual(left.length, 1);
  } finally {
    await Deno.remove(state, { recursive: true });
  }
});
