/**
 * wrk, the load generator.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { z } from "zod";
import { findProgram } from "./program.ts";

/** Requests in flight at any moment. */
export const CONNECTIONS = 32;

const SCRIPT = fileURLToPath(new URL("./requests.lua", import.meta.url));

/** What wrk measured in one run. */
export interface Load {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Responses with a status of 400 or more. */
  readonly refused: number;
  /** Requests without a response: no connection, a broken one, or more than 10 s. */
  readonly broken: number;
}

const Output = z.object({
  requests: z.number(),
  microseconds: z.number(),
  p50: z.number(),
  p99: z.number(),
  refused: z.number(),
  broken: z.number(),
});

/**
 * The path of wrk, installed if needed and possible.
 *
 * @returns undefined without it; `say` then gets the instructions
 */
export function findWrk(say: (line: string) => void): Promise<string | undefined> {
  return findProgram({ name: "wrk", title: "The load generator wrk", packages: ["wrk"] }, say);
}

/** The parameters of one run of wrk. */
export interface LoadOptions {
  readonly wrk: string;
  /** The server, such as `http://127.0.0.1:3001`. */
  readonly url: string;
  /** A file of `METHOD PATH BODY` lines, see `requests.lua`. */
  readonly requestFile: string;
  /** Makes this run's requests different from those of any other run. */
  readonly label: string;
  /** Whole seconds: wrk accepts nothing else. */
  readonly seconds: number;
  /** {@link CONNECTIONS} unless set. */
  readonly connections?: number;
}

/**
 * Sends the requests of a file in a loop, on each connection one at a time.
 *
 * @throws Error with wrk's message when it fails
 */
export async function runWrk(options: LoadOptions): Promise<Load> {
  const { wrk, url, requestFile, label, seconds } = options;
  const { stdout, stderr, success } = await new Deno.Command(wrk, {
    // One thread keeps up with all the servers here, and leaves the other core to them.
    args: [
      "-t1",
      `-c${options.connections ?? CONNECTIONS}`,
      `-d${seconds}s`,
      ...["--timeout", "10s", "-s", SCRIPT, url, "--", requestFile, label],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(stdout);
  const json = said.split("\n").find((line) => line.startsWith("{"));
  if (!success || json === undefined) {
    throw new Error(`wrk failed: ${new TextDecoder().decode(stderr)}${said}`.trim());
  }
  const { microseconds, p50, p99, ...counts } = Output.parse(JSON.parse(json));
  return { ...counts, seconds: microseconds / 1e6, p50Ms: p50 / 1e3, p99Ms: p99 / 1e3 };
}
