import { ok, rejects } from "node:assert/strict";
import { freePort, isTaken } from "./free_port.ts";

/** `ip_local_port_range` of Linux, unless somebody has set it. */
const FIRST_OF_OUTGOING = 32_768;

Deno.test("a free port is below those that Linux gives to outgoing connections", () => {
  for (let tries = 1; tries <= 100; tries++) ok(freePort() < FIRST_OF_OUTGOING);
});

Deno.test("nothing listens on a free port, until somebody does", async () => {
  const port = freePort();
  const address = { hostname: "127.0.0.1", port };
  await rejects(Deno.connect(address), Deno.errors.ConnectionRefused);
  using _listener = Deno.listen(address);
  ok(isTaken(port));
});
