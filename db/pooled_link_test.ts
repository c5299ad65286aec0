import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { EventEmitter } from "node:events";
import type net from "node:net";
import { eventually } from "../testing/eventually.ts";
import { watchUnits } from "./pooled_link.ts";

/** A message, or several: each letter's content is its letter in lower case. */
const messages = (types: string) =>
  Buffer.concat([...types].map((type) => {
    const content = Buffer.from(`${type.toLowerCase()}\0`);
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeUInt32BE(4 + content.length, 1);
    return Buffer.concat([head, content]);
  }));

const ready = (status: string) => Buffer.from(`Z\0\0\0\x05${status}`);

/** The types of messages. */
function typesOf(bytes: Buffer): string {
  let types = "";
  for (let at = 0; at < bytes.length; at += 1 + bytes.readUInt32BE(at + 1)) {
    types += String.fromCharCode(bytes[at] ?? 0);
  }
  return types;
}

/** A link of statements whose time is up, or not. */
function watch(isUp = false) {
  const sent: string[] = [];
  const received: Buffer[] = [];
  const broken: string[] = [];
  let starts = 0;
  const socket = new EventEmitter() as net.Socket;
  socket.write = ((chunk: Buffer) => sent.push(typesOf(chunk)) > 0) as typeof socket.write;
  const limits = () => isUp ? undefined : { startMs: 200, statementMs: 5 };
  const transactions = { settings: { lock_timeout: "5" }, limits };
  const link = watchUnits(socket, transactions, {
    onStart: () => starts++,
    onBroken: ({ message }) => broken.push(message),
  });
  socket.on("data", (bytes: Buffer) => received.push(bytes));
  return {
    link,
    sent,
    broken,
    starts: () => starts,
    [Symbol.dispose]: () => void socket.emit("close"),
    send: (types: string) => socket.write(messages(types)),
    receive: (...bytes: Buffer[]) => socket.emit("data", Buffer.concat(bytes)),
    /** The types that have arrived since the last call. */
    received: () => typesOf(Buffer.concat(received.splice(0))),
  };
}

const SETTINGS = "PBEH";

Deno.test("a statement outside a transaction has its settings in front of it, in one write", () => {
  using it = watch();
  const { send, sent } = it;
  send("PDBES");
  send("BESPDBES");
  // Its description is awaited first.
  send("PDH");
  send("BES");
  deepStrictEqual(sent, [
    `${SETTINGS}PDBES`,
    `${SETTINGS}BES${SETTINGS}PDBES`,
    `${SETTINGS}PDH`,
    "BES",
  ]);
});

Deno.test("a statement in a transaction has none, nor has a simple query", () => {
  using it = watch();
  const { send, sent, receive, link } = it;
  send("Q");
  receive(messages("C"), ready("T"));
  strictEqual(link.isInTransaction, true);
  send("PDBES");
  receive(messages("E"), ready("E"));
  send("PDBES");
  send("Q");
  receive(messages("E"), ready("E"), messages("C"), ready("I"));
  strictEqual(link.isInTransaction, false);
  send("PDBES");
  deepStrictEqual(sent, ["Q", "PDBES", "PDBES", "Q", `${SETTINGS}PDBES`]);
});

Deno.test("the driver gets no response to the settings, wherever the bytes are cut", () => {
  const response = Buffer.concat([messages("12C1tT2DDC"), ready("I")]);
  const all = Buffer.concat([response, messages("S"), response]);
  for (let size = 1; size <= all.length; size++) {
    using it = watch();
    const { send, receive, received, broken } = it;
    send("PDBESPDBES");
    for (let at = 0; at < all.length; at += size) receive(all.subarray(at, at + size));
    strictEqual(received(), "1tT2DDCZS1tT2DDCZ");
    deepStrictEqual(broken, []);
  }
});

Deno.test("the driver gets notices and parameters among them, and the error of the settings", () => {
  using it = watch();
  const { send, receive, received } = it;
  send("PDBES");
  receive(messages("1SN2AC1tTE"), ready("I"));
  strictEqual(received(), "SNA1tTEZ");
  send("PDBES");
  receive(messages("1E"), ready("I"));
  strictEqual(received(), "EZ");
  send("Q");
  receive(messages("C"), ready("I"));
  strictEqual(received(), "CZ");
});

Deno.test("a transaction that begins or ends in an extended query is noticed", () => {
  using begins = watch();
  begins.send("PDBES");
  begins.receive(messages("12C12C"), ready("T"));
  using ends = watch();
  ends.send("Q");
  ends.receive(messages("C"), ready("T"));
  ends.send("PDBES");
  ends.receive(messages("12C"), ready("I"));
  const message = "a transaction begins or ends in an extended query";
  deepStrictEqual([begins.broken, ends.broken], [[message], [message]]);
});

Deno.test("a statement that the pooler gives no connection ends the session, a slow one does not", async () => {
  using runs = watch();
  using waits = watch();
  for (const { send } of [runs, waits]) send("PDBES");
  runs.receive(messages("12C"));
  await eventually("it is over", () => waits.broken.length > 0);
  deepStrictEqual([waits.starts(), waits.broken], [0, ["no free connection in 200 ms"]]);
  deepStrictEqual([runs.starts(), runs.broken], [1, []]);
});

Deno.test("a statement whose time is up is not sent, and ends the session", () => {
  using it = watch(true);
  it.send("PDBES");
  deepStrictEqual(it.sent, []);
  deepStrictEqual(it.broken, ["the statement's time was up before it was sent"]);
});
