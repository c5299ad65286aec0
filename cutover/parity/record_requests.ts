import { Buffer } from "node:buffer";
import type { Redactor } from "../redact/redact.ts";
import { type ReceivedResponse, recordedResponse } from "./exchange.ts";
import { operationOf } from "./recorded_pair.ts";
import {
  exchangeName,
  type RecordedRequest,
  type Recordings,
  type Scenario,
} from "./recordings.ts";
import { type Requests, type SendOptions, sendSafe, type Skipped } from "./send_safe.ts";

/** Replaces personal data and secrets by pseudonyms; undefined: the request's body is no text. */
export type RedactRecorded = (
  request: RecordedRequest,
  received: ReceivedResponse,
) => { readonly request: RecordedRequest; readonly received: ReceivedResponse } | undefined;

/**
 * Sends requests to a server and returns its responses as recordings, without personal data. Unless
 * writes are allowed, it sends only requests that change nothing.
 */
export async function recordRequests(
  options: SendOptions,
  scenarios: readonly Requests[],
  redact: RedactRecorded,
) {
  const from = new Date().toISOString();
  const steps = new Map<string, Scenario["steps"]>();
  /** Requests without a response, a line each; they are in no recording. */
  const unanswered: string[] = [];
  const unreadable: Skipped[] = [];
  const skipped = await sendSafe(scenarios, options, ({ request }, received, [name, step]) => {
    const exchange = exchangeName({ name }, step);
    const before = steps.get(name) ?? [];
    // A step refers to earlier ones by their numbers, so none may be missing before it.
    if (received.status === 0 || before.length !== step) {
      const why = received.status === 0 ? received.body : "a step before it is not recorded";
      unanswered.push(`${exchange}: ${why}`);
      return;
    }
    const redacted = redact(request, received);
    if (redacted === undefined) {
      unreadable.push({ exchange, why: "its body is no text" });
      return;
    }
    const response = recordedResponse(redacted.received);
    steps.set(name, [...before, { request: redacted.request, response }]);
  });
  const recordings: Recordings = {
    recorded: { from, to: new Date().toISOString() },
    live: true,
    scenarios: [...steps].map(([name, steps]) => ({ name, steps })),
  };
  return { recordings, skipped: [...skipped, ...unreadable], unanswered };
}

/** The gateway's redactor, for requests and responses as recordings have them. */
export function recordingRedactor(redactor: Pick<Redactor, "exchange">): RedactRecorded {
  return (requested, received) => {
    const sent = textOf(requested);
    if (sent === undefined) return undefined;
    const { method, path, encoding, gzip } = requested;
    const { request, response } = redactor.exchange(operationOf(method, path), {
      method,
      target: path,
      headers: Object.entries(requested.headers),
      body: new TextEncoder().encode(sent),
    }, {
      status: received.status,
      headers: Object.entries(received.headers),
      body: new TextEncoder().encode(received.body),
      ms: 0,
    });
    const body = new TextDecoder().decode(request.body);
    return {
      request: {
        method: request.method,
        path: request.target,
        headers: Object.fromEntries(request.headers),
        ...(body !== "" && { body }),
        ...(encoding !== undefined && encoding !== "base64" && { encoding }),
        ...(gzip !== undefined && { gzip }),
      },
      received: {
        ...received,
        headers: Object.fromEntries(response.headers),
        body: new TextDecoder().decode(response.body),
      },
    };
  };
}

/** The text of a body, whatever bytes it is sent as; undefined when it is none. */
function textOf({ body = "", encoding }: RecordedRequest): string | undefined {
  if (encoding !== "base64") return body;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(body, "base64"));
  } catch {
    return undefined;
  }
}
