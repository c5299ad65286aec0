import { dirname } from "node:path";
import { ConfigError, readKeysConfig } from "../config.ts";
import { createKeyFile } from "./keys.ts";

// deno task keys create [--if-missing]
const [command, ...options] = Deno.args;
if (command !== "create" || options.some((option) => option !== "--if-missing")) {
  console.error("usage: JWT_KEYS_FILE=path deno task keys create [--if-missing]");
  Deno.exit(2);
}
try {
  const { JWT_KEYS_FILE: path } = readKeysConfig(Deno.env.toObject());
  await create(path, options.includes("--if-missing"));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  Deno.exit(2);
}

async function create(path: string, mayExist: boolean): Promise<void> {
  await Deno.mkdir(dirname(path), { recursive: true });
  try {
    await createKeyFile(path);
    console.log(`made ${path} with one signing key`);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    if (mayExist) return;
    console.error(`${path} exists already and stays as it is`);
    Deno.exitCode = 1;
  }
}
