import { strictEqual } from "node:assert/strict";
import { eventually } from "../testing/eventually.ts";
import { ClosingConnections } from "./closing_connections.ts";

Deno.test("nothing is served on a closed connection, and other connections work", () => {
  const closing = new ClosingConnections();
  strictEqual(closing.isClosing("::1", 1), false);
  closing.close("::1", 1);
  strictEqual(closing.isClosing("::1", 1), true);
  strictEqual(closing.isClosing("::1", 2), false);
  strictEqual(closing.isClosing("::2", 1), false);
});

Deno.test("of very many connections the last are remembered", () => {
  const closing = new ClosingConnections();
  for (let port = 0; port < 20_000; port++) closing.close("::1", port);
  strictEqual(closing.isClosing("::1", 19_999), true);
  strictEqual(closing.isClosing("::1", 9_000), false);
});

Deno.test("a new connection of the same port is served soon", async () => {
  const closing = new ClosingConnections();
  closing.close("::1", 1);
  await eventually("the port is free again", () => !closing.isClosing("::1", 1), { seconds: 3 });
});
