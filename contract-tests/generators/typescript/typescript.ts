import type { Command } from "../generator.ts";
import { npmPackages } from "../tools.ts";

/** TypeScript of its own: some generators need an older one, which compiles ten times slower. */
export const TYPESCRIPT = npmPackages("typescript-7.0.2", import.meta.url);

/** Compiles the program and the client into `out`, as the `tsconfig.json` beside it says. */
export const COMPILE_TYPESCRIPT: Command = [`${TYPESCRIPT.folder}/node_modules/.bin/tsc`];
