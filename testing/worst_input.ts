import { deepStrictEqual } from "node:assert/strict";
import { growth, LINEAR, TIMES } from "./growth.ts";
import { sendRaw } from "./raw_http.ts";

const BYTES = 65_536;

const rows = (row: string, length: number, start = "", end = "") =>
  start + row.repeat(Math.max(0, Math.floor((length - start.length - end.length) / row.length))) +
  end;

/** A reader, and its worst input: repetitions of a text between a start and an end. */
export interface Worst {
  readonly name: string;
  readonly run: (text: string) => unknown;
  readonly inputs: readonly (readonly [row: string, start?: string, end?: string])[];
}

/** A test of each: 64 kB of its worst input take about 32 times as long as 2 kB. */
export function testsOfWorst(cases: readonly Worst[]): void {
  for (const { name, run, inputs } of cases) {
    Deno.test(`${name}: 32 times the input takes about 32 times as long, not 1,024 times`, async () => {
      const faults: string[] = [];
      for (const [row, start, end] of inputs) {
        const times = await growth(
          run,
          rows(row, BYTES / TIMES, start, end),
          rows(row, BYTES, start, end),
        );
        if (times > LINEAR) {
          faults.push(`${times.toFixed(0)} times as long for rows of ${JSON.stringify(row)}`);
        }
      }
      deepStrictEqual(faults, []);
    });
  }
}

/** A header of 60 kB whose reading time was once quadratic, and one whose never was. */
export const HOSTILE = `Authorization: Bearer a${" ".repeat(60_000)}b\r\n`;
export const SAFE = `Authorization: Bearer ${"a".repeat(60_002)}\r\n`;

/** How many times longer a request with the hostile header takes; the fastest of a few counts. */
export async function slowdown(
  port: number,
  path: string,
  [hostile, safe] = [HOSTILE, SAFE],
) {
  const took = async (header: string) => {
    const began = performance.now();
    await sendRaw(port, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${header}\r\n`);
    return performance.now() - began;
  };
  let [bad, good] = [Infinity, Infinity];
  for (let round = 0; round < 5; round++) {
    good = Math.min(good, await took(safe));
    bad = Math.min(bad, await took(hostile));
  }
  return bad / good;
}
