import { parse } from "yaml";
import { z } from "zod";

export const TARGET = new URL("../exchange/operations.gen.ts", import.meta.url);

const Methods = z.record(z.string(), z.unknown());
const Contract = z.object({ paths: z.record(z.string(), Methods) });
const WithId = z.object({ operationId: z.string() });

interface OperationPath {
  readonly operation: string;
  readonly method: string;
  readonly path: string;
}

/** The text of `operations.gen.ts`, made from the two contracts. */
export async function generateOperations(): Promise<string> {
  const legacy = await listOperations("contract/legacy.yaml");
  const all = await listOperations("openapi.yaml");
  const lines = (operations: readonly OperationPath[]) =>
    operations.map(({ operation, method, path }) =>
      `  { operation: "${operation}", method: "${method}", path: "${path}" },\n`
    ).join("");
  return "// Made from contract/legacy.yaml and openapi.yaml by\n" +
    "// `deno run -A cutover/testing/generate_operations.ts`; edit those, not this one.\n\n" +
    `/** The operations of the old server. */\nexport const LEGACY = [\n${
      lines(legacy)
    }] as const;\n\n` +
    `/** The operations of Lotline, including those of the old server. */\n` +
    `export const ALL = [\n${lines(all)}] as const;\n`;
}

async function listOperations(file: string): Promise<OperationPath[]> {
  const text = await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
  const { paths } = Contract.parse(parse(text));
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, definition]) => {
      const { success, data } = WithId.safeParse(definition);
      return success ? [{ operation: data.operationId, method: method.toUpperCase(), path }] : [];
    })
  );
}

if (import.meta.main) await Deno.writeTextFile(TARGET, await generateOperations());
