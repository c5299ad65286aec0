import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { eventually } from "./testing/eventually.ts";
import { readBytes } from "./read_bytes.ts";

const LIMITS = { max: 10_000, deadlineMs: 5_000 };

interface Source {
  readonly request: Request;
  /** The sizes of the buffers that its bytes were read into. */
  readonly buffers: number[];
  readonly wasGivenUp: () => boolean;
}

/**
 * A body of this many bytes as Deno's server has it: it makes a buffer of 64 kB unless it gets one.
 */
function slowBody(bytes: number, { atOnce = 1, stallsAt = Infinity } = {}): Source {
  const buffers: number[] = [];
  let sent = 0;
  let isGivenUp = false;
  const body = new ReadableStream({
    type: "bytes",
    autoAllocateChunkSize: 65_536,
    async pull(controller) {
      const { byobRequest } = controller;
      const view = byobRequest?.view;
      ok(byobRequest && view);
      buffers.push(view.byteLength);
      if (sent >= stallsAt) return await new Promise(() => {});
      const count = Math.min(atOnce, bytes - sent, view.byteLength);
      new Uint8Array(view.buffer, view.byteOffset, count).fill(120);
      if (count === 0) controller.close();
      byobRequest.respond(count);
      sent += count;
    },
    cancel: () => {
      isGivenUp = true;
    },
  });
  return {
    request: new Request("http://x", { method: "POST", body }),
    buffers,
    wasGivenUp: () => isGivenUp,
  };
}

Deno.test("a body that arrives byte by byte takes the memory of its bytes, and so does each read", async () => {
  const { request, buffers } = slowBody(3_000);
  const { bytes, size } = await readBytes(request, LIMITS);
  deepStrictEqual([size, new TextDecoder().decode(bytes)], [3_000, "x".repeat(3_000)]);
  ok(bytes.buffer.byteLength <= 6_000, `${bytes.buffer.byteLength}`);
  ok(Math.max(...buffers.slice(1)) <= 1_024, `${Math.max(...buffers.slice(1))}`);
});

Deno.test("a body that comes in large pieces is read in large pieces", async () => {
  const { request, buffers } = slowBody(1_000_000, { atOnce: 65_536 });
  strictEqual((await readBytes(request, { ...LIMITS, max: 1_000_000 })).bytes.length, 1_000_000);
  ok(buffers.length < 40, `${buffers.length} reads`);
});

Deno.test("a body that is too large is not stored, and its size is reported", async () => {
  const { request } = slowBody(20_000, { atOnce: 300 });
  let seen = 0;
  const { bytes, size } = await readBytes(request, LIMITS, (chunk) => seen += chunk.length);
  deepStrictEqual([bytes.buffer.byteLength, size, seen], [0, 20_000, 20_000]);
});

Deno.test("a body that stalls is 408 with a closed connection, and reading stops", async () => {
  const { request, wasGivenUp } = slowBody(3_000, { stallsAt: 1_000 });
  await rejects(readBytes(request, { ...LIMITS, deadlineMs: 20 }), {
    status: 408,
    headers: { connection: "close" },
  });
  await eventually("reading stops", () => Promise.resolve(wasGivenUp()));
});

Deno.test("of many stalled bodies only few hold 64 kB, and the others are still read", async () => {
  const stalled = Array.from({ length: 500 }, () => slowBody(10, { stallsAt: 0 }));
  const reads = stalled.map(({ request }) =>
    rejects(readBytes(request, { ...LIMITS, deadlineMs: 500 }), { status: 408 })
  );
  const there = new Request("http://x", { method: "POST", body: "there" });
  deepStrictEqual((await readBytes(there, LIMITS)).size, 5);
  deepStrictEqual((await readBytes(slowBody(5).request, LIMITS)).size, 5);
  const held = stalled.flatMap(({ buffers }) => buffers).reduce((sum, bytes) => sum + bytes);
  ok(held <= 32 * 65_536 + 500 * 1_024, `${held} bytes`);
  await Promise.all(reads);
  const lent = stalled.slice(32);
  await eventually(
    "those are given up that wait in no buffer of 64 kB",
    () => Promise.resolve(lent.every(({ wasGivenUp }) => wasGivenUp())),
  );
});
