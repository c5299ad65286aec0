import { ok } from "node:assert/strict";
import { startApi } from "../testing/api.ts";
import { openRawClient } from "../testing/raw_client.ts";
import { delay } from "../timing.ts";

// Runs alone: it compares the memory of the process.

/*
 * The memory cost of slow clients: a body that arrives byte by byte takes as much as one that
 * arrives whole. Compared within one process; a piece that is a view on a buffer of 64 kB would
 * make it three times as large.
 */

const CLIENTS = 30;
const BYTES = 300;

async function residentKb(pid: number): Promise<number> {
  const command = new Deno.Command("ps", { args: ["-o", "rss=", "-p", String(pid)] });
  return Number(new TextDecoder().decode((await command.output()).stdout));
}

/** The memory of the process while clients hold the same bodies, sent whole and byte by byte. */
async function memoryOf(port: number, pid: number, path: string) {
  const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${BYTES + 1}\r\n\r\n`;
  const whileHeld = async (send: (write: (text: string) => void) => Promise<void>) => {
    const clients = Array.from({ length: CLIENTS }, () => openRawClient(port, head));
    for (const client of clients) client.socket.setNoDelay(true);
    await send((text) => clients.forEach((client) => client.write(text)));
    const kb = await residentKb(pid);
    for (const client of clients) client.socket.destroy();
    return kb;
  };
  const atOnce = await whileHeld(async (write) => {
    write(" ".repeat(BYTES));
    await delay(BYTES);
  });
  const oneByOne = await whileHeld(async (write) => {
    for (let sent = 0; sent < BYTES; sent++) {
      write(" ");
      await delay(5);
    }
  });
  return { atOnce, oneByOne };
}

for (const path of ["/api/lots", "/api/login"]) {
  Deno.test(`the API stores a body of ${path} that arrives byte by byte in little more than its size`, async () => {
    await using api = await startApi();
    const { atOnce, oneByOne } = await memoryOf(
      Number(new URL(api.url).port),
      api.process.pid,
      path,
    );
    ok(oneByOne < 1.5 * atOnce, `${atOnce} kB whole, ${oneByOne} kB byte by byte`);
  });
}
