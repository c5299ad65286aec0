import { dirname } from "node:path";
import { createKeyFile } from "./keys.ts";

// deno task keys create [--if-missing]
const [command, ...options] = Deno.args;
const path = Deno.env.get("JWT_KEYS_FILE");
if (command !== "create" || options.some((option) => option !== "--if-missing")) {
  console.error("usage: JWT_KEYS_FILE=path deno task keys create [--if-missing]");
  Deno.exit(2);
}
if (!path) {
  console.error("JWT_KEYS_FILE is missing: give the path of the key file to make");
  Deno.exit(2);
}
try {
  await Deno.mkdir(dirname(path), { recursive: true });
  await createKeyFile(path);
  console.log(`made ${path} with one signing key`);
} catch (error) {
  if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  if (!options.includes("--if-missing")) {
    console.error(`${path} exists already and stays as it is`);
    Deno.exit(1);
  }
}
