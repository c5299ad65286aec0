import { deepStrictEqual } from "node:assert/strict";
import { logAddress } from "./address_log.ts";

for (
  const [address, ...lines] of [
    ["postgres://u@h/d"],
    ["postgres://u@h1,h2/d?target_session_attrs=read-write"],
    [
      "postgres://u@h/d?schema=public&connection_limit=5",
      ["info", "parameters_ignored", { parameters: "schema connection_limit" }],
    ],
    ["postgres://u@h1,h2/d", ["warn", "address_any_host", { hosts: 2 }]],
  ] as const
) {
  Deno.test(`the start with ${address} logs ${lines.length} lines`, () => {
    const logged: unknown[] = [];
    logAddress(address, (...line) => logged.push(line));
    deepStrictEqual(logged, lines);
  });
}
