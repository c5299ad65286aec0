import { withoutFrames } from "../contract-tests/comparison.ts";
import type { RecordedRequest, Recordings, Scenario } from "../contract-tests/recordings.ts";
import { sendHarmless, type SendOptions, type Skipped } from "./harmless.ts";
import type { RequestScenario } from "./request_list.ts";

/** Replaces personal data and secrets by pseudonyms. */
export interface RecordingRedactor {
  request(request: RecordedRequest): RecordedRequest;
  /** A body, by its media type. */
  body(body: string, contentType: string | undefined): string;
}

/** What came of recording. */
export interface Recorded {
  readonly recordings: Recordings;
  readonly skipped: readonly Skipped[];
  /** Requests that had no answer, a line each; they are in no recording. */
  readonly unanswered: readonly string[];
}

/**
 * Sends requests to a server and gives its answers as recordings, without personal data. Unless writes
 * are allowed, only what changes nothing there is sent.
 */
export async function recordRequests(
  options: SendOptions,
  scenarios: readonly RequestScenario[],
  redactor: RecordingRedactor,
): Promise<Recorded> {
  const from = new Date().toISOString();
  const steps = new Map<string, Scenario["steps"]>();
  const unanswered: string[] = [];
  const skipped = await sendHarmless(scenarios, options, ({ name, requests }, step, answer) => {
    const { status, headers, body, etag } = answer;
    const request = requests[step];
    if (request === undefined) return;
    const before = steps.get(name) ?? [];
    // A step says which one it builds on by its number, so none may be missing before it.
    if (status === 0 || before.length !== step) {
      unanswered.push(`${name} #${step}: ${status === 0 ? body : "one before it had no answer"}`);
      return;
    }
    const response = {
      status,
      headers,
      body: redactor.body(withoutFrames(body), headers["content-type"]),
      ...(etag !== undefined && { etag: true as const }),
    };
    const recorded = { request: redactor.request(request), response };
    steps.set(name, [...before, recorded]);
  });
  return {
    recordings: {
      recorded: { from, to: new Date().toISOString() },
      live: true,
      scenarios: [...steps].map(([name, steps]) => ({ name, steps })),
    },
    skipped,
    unanswered,
  };
}
