import type { RecordedRequest, Recordings, Scenario } from "./recordings.ts";
import { type ReceivedResponse, recordedResponse } from "./exchange.ts";
import { type Requests, type SendOptions, sendSafe, type Skipped } from "./send_safe.ts";

/** Replaces personal data and secrets by pseudonyms. */
export interface RecordingRedactor {
  /** Undefined when the request's body is no text, and may hold anything. */
  exchange(
    request: RecordedRequest,
    received: ReceivedResponse,
  ): { readonly request: RecordedRequest; readonly received: ReceivedResponse } | undefined;
}

/**
 * Sends requests to a server and returns its responses as recordings, without personal data. Unless
 * writes are allowed, it sends only requests that change nothing.
 */
export async function recordRequests(
  options: SendOptions,
  scenarios: readonly Requests[],
  redactor: RecordingRedactor,
) {
  const from = new Date().toISOString();
  const steps = new Map<string, Scenario["steps"]>();
  /** Requests without a response, a line each; they are in no recording. */
  const unanswered: string[] = [];
  const unreadable: Skipped[] = [];
  const skipped = await sendSafe(scenarios, options, ({ request }, received, [name, step]) => {
    const before = steps.get(name) ?? [];
    // A step refers to earlier ones by their numbers, so none may be missing before it.
    if (received.status === 0 || before.length !== step) {
      const why = received.status === 0 ? received.body : "a step before it is not recorded";
      unanswered.push(`${name} #${step}: ${why}`);
      return;
    }
    const redacted = redactor.exchange(request, received);
    if (redacted === undefined) {
      unreadable.push({ exchange: `${name} #${step}`, why: "its body is no text" });
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
