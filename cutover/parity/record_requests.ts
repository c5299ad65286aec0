import type { RecordedRequest, Recordings, Scenario } from "./recordings.ts";
import { type ReceivedResponse, recordedResponse } from "./exchange.ts";
import { type SendOptions, sendSafe, type Skipped } from "./send_safe.ts";
import type { RequestScenario } from "./request_list.ts";

/** Replaces personal data and secrets by pseudonyms. */
export interface RecordingRedactor {
  /** Undefined when the request's body is no text, and may hold anything. */
  exchange(
    request: RecordedRequest,
    received: ReceivedResponse,
  ): { readonly request: RecordedRequest; readonly received: ReceivedResponse } | undefined;
}

/** The result of recording. */
interface Recorded {
  readonly recordings: Recordings;
  readonly skipped: readonly Skipped[];
  /** Requests without a response, a line each; they are in no recording. */
  readonly unanswered: readonly string[];
}

/**
 * Sends requests to a server and returns its responses as recordings, without personal data. Unless
 * writes are allowed, it sends only requests that change nothing.
 */
export async function recordRequests(
  options: SendOptions,
  scenarios: readonly RequestScenario[],
  redactor: RecordingRedactor,
): Promise<Recorded> {
  const from = new Date().toISOString();
  const steps = new Map<string, Scenario["steps"]>();
  const unanswered: string[] = [];
  const unreadable: Skipped[] = [];
  const skipped = await sendSafe(scenarios, options, ({ name, requests }, step, received) => {
    const request = requests[step];
    const before = steps.get(name) ?? [];
    // A step refers to earlier ones by their numbers, so none may be missing before it.
    if (request === undefined || received.status === 0 || before.length !== step) {
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
  return {
    recordings: {
      recorded: { from, to: new Date().toISOString() },
      live: true,
      scenarios: [...steps].map(([name, steps]) => ({ name, steps })),
    },
    skipped: [...skipped, ...unreadable],
    unanswered,
  };
}
