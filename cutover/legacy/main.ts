/**
 * The stand-in for the old server as a process of its own: `deno task legacy`.
 *
 * It reads its two settings itself: like the old server, it shares nothing with Lotline.
 *
 * @module
 */
import { startLegacy } from "./server.ts";

const databaseUrl = Deno.env.get("DATABASE_URL");
const port = Number(Deno.env.get("LEGACY_PORT") ?? "3001");

if (!databaseUrl) stop("Set DATABASE_URL to the database of the old server");
if (!Number.isInteger(port) || port < 0 || port > 65535) stop("LEGACY_PORT must be a TCP port");

try {
  const server = await startLegacy({ databaseUrl, port });
  console.log(`Stand-in for the old server on ${server.url}, unsafe on purpose: loopback only`);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      await server.close();
      Deno.exit(0);
    });
  }
} catch (error) {
  stop(error instanceof Error ? error.message : String(error));
}

function stop(message: string): never {
  console.error(message);
  Deno.exit(1);
}
