import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import { eventually } from "../testing/eventually.ts";
import { type RawResponse, startRawUpstream } from "../testing/raw_upstream.ts";
import { delay } from "../timing.ts";
import { createClient } from "./client.ts";

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\n" +
  "Transfer-Encoding: chunked\r\n\r\n";
const TRACE = { type: "trace", state: "done", result: { lot_count: 2, link_count: 1 } };
const LOTS = [{ type: "lot", lot_code: "é😀" }, { type: "lot", lot_code: "B" }];
const LINK = { type: "link", quantity_used_kg: "1.50" };
const ALL = [TRACE, ...LOTS, LINK];
const END = { type: "end", lot_count: 2, link_count: 1 };
const WHOLE = [...ALL, END];

const text = (lines: unknown[]) => lines.map((line) => `${JSON.stringify(line)}\n`).join("");

/** The text's bytes in pieces of this size, each a chunk, without the end of the body. */
function* chunks(text: string, size: number) {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.slice(at, at + size);
    yield `${piece.length.toString(16)}\r\n${String.fromCharCode(...piece)}\r\n`;
  }
}

const whole = (text: string, size = text.length): RawResponse => (socket) => {
  socket.write(HEAD);
  for (const chunk of chunks(text, size)) socket.write(chunk, "latin1");
  socket.write("0\r\n\r\n");
};
const begun = (text: string, then: "cut" | "silent"): RawResponse => (socket) => {
  socket.write(HEAD + [...chunks(text, 10)].join(""), "latin1");
  if (then === "cut") setTimeout(() => socket.destroy(), 50);
};

/** What comes of a response: its lines, and the kind of the error that ends them. */
async function read(response: RawResponse, timeoutMs?: number) {
  await using upstream = await startRawUpstream(response);
  const client = createClient({ baseUrl: upstream.url, timeoutMs, retries: 0 });
  const lines: unknown[] = [];
  try {
    for await (const line of client.deepTraceLines("x")) lines.push(line);
  } catch (error) {
    return [lines, error instanceof Error && "kind" in error ? error.kind : error];
  }
  return [lines, undefined];
}

Deno.test("lines come whole, wherever the pieces that they come in are cut", async () => {
  for (const size of [1, 2, 3, 7, 1_000]) {
    deepStrictEqual(await read(whole(text(WHOLE), size)), [ALL, undefined], String(size));
  }
  deepStrictEqual(await read(whole(text(WHOLE).trimEnd())), [ALL, undefined], "no last line feed");
});

Deno.test("a response that breaks off is an error, even where it seems to be whole", async () => {
  const parts = [TRACE, ...LOTS];
  deepStrictEqual(await read(begun(text(parts), "cut")), [parts, "network"]);
  deepStrictEqual(await read(whole(text(parts))), [parts, "network"]);
  deepStrictEqual(await read(whole("")), [[], "network"]);
  deepStrictEqual(await read(begun(text(parts), "silent"), 1_000), [parts, "timeout"]);
});

Deno.test("a response without its last line, or with other counts than this says, is not whole", async () => {
  const cases: [lines: unknown[], seen: unknown[]][] = [
    [ALL, ALL],
    [[TRACE, ...LOTS, END], [TRACE, ...LOTS]],
    [[TRACE, ...LOTS, LINK, LINK, END], [TRACE, ...LOTS, LINK, LINK]],
    [[TRACE, LOTS[0], LINK, LINK, END], [TRACE, LOTS[0], LINK, LINK]],
    [[...ALL, { ...END, lot_count: 3 }], ALL],
    [[...ALL, { type: "end" }], ALL],
  ];
  for (const [lines, seen] of cases) {
    deepStrictEqual(await read(whole(text(lines))), [seen, "network"], text(lines));
  }
  deepStrictEqual(await read(whole(text([...WHOLE, LINK]))), [ALL, "unreadable"]);
  deepStrictEqual(await read(whole(text([TRACE, TRACE]))), [[TRACE], "unreadable"]);
});

Deno.test("lines that are no trace are told as that", async () => {
  for (const line of ["<h1>", "null", "1", "{}", '{"type":"lots"}']) {
    deepStrictEqual(await read(whole(`${text([TRACE])}${line}\n`)), [[TRACE], "unreadable"], line);
  }
  deepStrictEqual(await read(whole(text(LOTS))), [[], "unreadable"]);
  const queued = { type: "trace", state: "queued", result: null };
  deepStrictEqual(await read(whole(text([queued, { type: "end", lot_count: 0, link_count: 0 }]))), [
    [],
    "not_done",
  ]);
});

Deno.test("a line without end is given up", async () => {
  const endless: RawResponse = (socket) => {
    socket.write(HEAD);
    const piece = "x".repeat(0x100000);
    for (let count = 0; count < 5; count++) socket.write(`100000\r\n${piece}\r\n`, "latin1");
  };
  deepStrictEqual(await read(endless), [[], "unreadable"]);
});

Deno.test("a caller ends the response by leaving the loop or with the signal", async () => {
  await using upstream = await startRawUpstream(begun(text([TRACE, ...LOTS]), "silent"));
  const client = createClient({ baseUrl: upstream.url });
  for await (const { type } of client.deepTraceLines("x")) if (type === "lot") break;
  await eventually("the connection ends", () => Promise.resolve(upstream.open() === 0));

  const reason = new Error("enough");
  const controller = new AbortController();
  const all = async () => {
    for await (const { type } of client.deepTraceLines("x", { signal: controller.signal })) {
      if (type === "lot") setTimeout(() => controller.abort(reason), 20);
    }
  };
  await rejects(all(), reason);
  await eventually("the connection ends", () => Promise.resolve(upstream.open() === 0));
  strictEqual(upstream.requests.length, 2);
});

Deno.test("the bound on time is on each piece, not on the whole", async () => {
  const slowly: RawResponse = async (socket) => {
    socket.write(HEAD);
    for (const chunk of chunks(text(WHOLE), 15)) {
      await delay(200);
      socket.write(chunk, "latin1");
    }
    socket.write("0\r\n\r\n");
  };
  deepStrictEqual(await read(slowly, 2_000), [ALL, undefined]);
});
