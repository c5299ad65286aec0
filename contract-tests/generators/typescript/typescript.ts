import { npmPackages } from "../tools.ts";

/** TypeScript of its own: some generators need an older one, which compiles ten times slower. */
export const TYPESCRIPT = npmPackages("typescript-7.0.2", import.meta.url);
