import { ensureKubernetesTools, type KubernetesTools } from "./tools.ts";

/** Declares a test that is ignored on a machine without Go or Python; CI has both. */
export async function testWithKubernetesTools(): Promise<
  (name: string, run: (tools: KubernetesTools) => Promise<void>) => void
> {
  const { tools, missing } = await ensureKubernetesTools().then(
    (tools) => ({ tools, missing: undefined }),
    (thrown: Error) => ({ tools: undefined, missing: thrown.message }),
  );
  if (missing !== undefined) {
    console.log(`${missing}\nThe tests that need it are ignored here; CI runs them.`);
  }
  return (name, run) =>
    Deno.test({
      name,
      ignore: tools === undefined,
      fn: async () => {
        if (tools !== undefined) await run(tools);
      },
    });
}
