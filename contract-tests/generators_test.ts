import { strictEqual } from "node:assert/strict";
import { GENERATORS } from "./generators/list.ts";
import { runGenerator } from "./generators/run_generator.ts";
import { startDemoService } from "./generators/service.ts";

/* The quick part of `deno task generators`; the other generators take minutes. */

const service = await startDemoService();
Deno.test.afterAll(async () => await service[Symbol.asyncDispose]());

for (const generator of GENERATORS.filter(({ isQuick }) => isQuick)) {
  const { name, language } = generator;
  Deno.test(`${name} makes a client in ${language} that logs in, stores, traces and reads errors`, async () => {
    strictEqual((await runGenerator(generator, service.url)).problem, undefined);
  });
}
