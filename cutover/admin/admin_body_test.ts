import { deepStrictEqual, rejects } from "node:assert/strict";
import { readJson } from "./admin.ts";

const sent = (body: BodyInit | null) => new Request("http://x", { method: "POST", body });

Deno.test("JSON is read in pieces of any size", async () => {
  const pieces = ReadableStream.from(
    [...'{"who": "ana ä"}'].map((c) => new TextEncoder().encode(c)),
  );
  deepStrictEqual(await readJson(sent(pieces)), { who: "ana ä" });
});

Deno.test("a body that isn't JSON, is too large, or never ends is refused", async () => {
  const odd: [body: BodyInit | null, code: string][] = [
    [null, "invalid_json"],
    ["{", "invalid_json"],
    [Uint8Array.of(0x22, 0xff, 0x22), "invalid_json"],
    [`"${"x".repeat(16_383)}"`, "body_too_large"],
    [new ReadableStream(), "body_too_slow"],
    [new ReadableStream({ start: (c) => c.error(new Error("gone")) }), "client_gone"],
  ];
  for (const [body, code] of odd) await rejects(readJson(sent(body), 100), { code });
});
