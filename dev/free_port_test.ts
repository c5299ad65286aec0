import { ok, rejects } from "node:assert/strict";
import { freePort, isTaken } from "./free_port.ts";

Deno.test({
  name: "a free port is below those that Linux gives to outgoing connections",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const range = await Deno.readTextFile("/proc/sys/net/ipv4/ip_local_port_range");
    const first = Number(/^\d+/.exec(range)?.[0]);
    for (let tries = 1; tries <= 100; tries++) ok(freePort() < first);
  },
});

Deno.test("nothing listens on a free port, until somebody does", async () => {
  const port = freePort();
  const address = { hostname: "127.0.0.1", port };
  await rejects(Deno.connect(address), Deno.errors.ConnectionRefused);
  using _listener = Deno.listen(address);
  ok(isTaken(port));
});
