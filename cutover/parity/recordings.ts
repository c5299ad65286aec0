import { z } from "zod";

const Time = z.iso.datetime({ precision: 3 });

export const RecordedRequest = z.strictObject({
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string().optional(),
  encoding: z.enum(["utf8", "latin1", "base64", "utf16le"]).optional(),
  gzip: z.boolean().optional(),
});

const RecordedResponse = z.strictObject({
  status: z.int(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  etag: z.literal(true).optional(),
});

const Exchange = z.strictObject({ request: RecordedRequest, response: RecordedResponse });

const Scenario = z.strictObject({ name: z.string(), steps: z.array(Exchange).min(1) });

const Recordings = z.strictObject({
  recorded: z.strictObject({ from: Time, to: Time }),
  live: z.literal(true).optional(),
  scenarios: z.array(Scenario).min(1),
});

/**
 * A request as it is sent, byte for byte. `path` is written to the connection unchanged; `body` becomes
 * bytes by `encoding` (UTF-8 unless given) and is compressed with `gzip`. A header may hold
 * `{{etag n}}`: the ETag in the response to step n of the same scenario.
 */
export type RecordedRequest = z.output<typeof RecordedRequest>;

/**
 * A response: its status, the compared headers (`cutover/compare/compared_headers.ts`), the body as text
 * without stack frames, and whether there was an ETag.
 */
export type RecordedResponse = z.output<typeof RecordedResponse>;

export type Exchange = z.output<typeof Exchange>;

/** Exchanges that follow one another, starting from exactly the seed rows. */
export type Scenario = z.output<typeof Scenario>;

/**
 * A server's recorded exchanges. `recorded` is when they were made (UTC, milliseconds): the server
 * generated a time in a body that lies within it, and must return any other. `live`: recorded with
 * the rows of a running system instead of the seed's, with pseudonyms for personal data.
 */
export type Recordings = z.output<typeof Recordings>;

export const LEGACY_RECORDINGS = new URL("./recordings.json", import.meta.url);

/**
 * Reads recordings.
 * @throws {z.ZodError} when the file has another shape, {Error} when a scenario's name stands twice
 */
export async function loadRecordings(file: URL | string = LEGACY_RECORDINGS): Promise<Recordings> {
  return parseRecordings(JSON.parse(await Deno.readTextFile(file)));
}

/** The content of a file of recordings; throws as {@link loadRecordings} does. */
export function parseRecordings(content: unknown): Recordings {
  const recordings = Recordings.parse(content);
  const names = new Set<string>();
  for (const { name } of recordings.scenarios) {
    if (names.has(name)) throw new Error(`Two scenarios are named "${name}"`);
    names.add(name);
  }
  return recordings;
}

/** Recordings as the text of a file: one exchange a line, so that a change shows in a diff. */
export function formatRecordings({ recorded, live, scenarios }: Recordings): string {
  const lines = scenarios.map(({ name, steps }) => {
    const exchanges = steps.map((step) => `   ${JSON.stringify(step)}`).join(",\n");
    return `  {"name": ${JSON.stringify(name)}, "steps": [\n${exchanges}\n  ]}`;
  });
  const { from, to } = recorded;
  return `{\n "recorded": {"from": "${from}", "to": "${to}"},\n` +
    `${live ? ' "live": true,\n' : ""} "scenarios": [\n${lines.join(",\n")}\n ]\n}\n`;
}

/** The name of a scenario's step, as approvals and reports write it: `login: unknown #0`. */
export function exchangeName({ name }: Pick<Scenario, "name">, step: number): string {
  return `${name} #${step}`;
}
