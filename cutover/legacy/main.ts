/**
 * The stand-in for the old server as a process of its own: `deno task legacy`.
 *
 * Like the old server, it shares no code with Lotline; only its settings and the database's address are
 * read in the same way.
 *
 * @module
 */
import { readSettings } from "../../config.ts";
import { LegacySettings } from "../config.ts";
import { startLegacy } from "./server.ts";
import { answerHelp } from "../../task_help.ts";

answerHelp({ task: "legacy", settings: [LegacySettings] });
try {
  const settings = readSettings(LegacySettings, Deno.env.toObject());
  const server = await startLegacy({
    databaseUrl: settings.DATABASE_URL,
    port: settings.LEGACY_PORT,
    timeZone: settings.TIME_ZONE,
  });
  console.log(`Stand-in for the old server on ${server.url}, unsafe on purpose: loopback only`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      await server[Symbol.asyncDispose]();
      Deno.exit(0);
    });
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  Deno.exit(1);
}
