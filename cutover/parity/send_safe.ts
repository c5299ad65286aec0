import { fillEtags, type ReceivedResponse, send } from "./exchange.ts";
import { exchangeName, type RecordedRequest } from "./recordings.ts";
import { findOperation, isSafeRequest } from "../exchange/match_operation.ts";
import { findPseudonym } from "../redact/pseudonyms.ts";

/** Requests that follow one another, perhaps with their recorded responses. */
export interface Requests<Step = { readonly request: RecordedRequest }> {
  readonly name: string;
  readonly steps: readonly Step[];
}

/** What may be sent to a server with real data. */
export interface SendOptions {
  /** Its base address, such as `http://127.0.0.1:8000`. */
  readonly base: string;
  /** Also sends requests that may change something. */
  readonly allowWrites: boolean;
  /** A login token for requests that had one: recorded tokens are replaced by pseudonyms. */
  readonly token: string | undefined;
}

export interface Skipped {
  /** `scenario #step` */
  readonly exchange: string;
  readonly why: string;
}

/**
 * Sends the requests that may be sent, one after the other, and returns the others. The rest of a
 * scenario is skipped with its first skipped request: a response may depend on it.
 */
export async function sendSafe<Step extends { readonly request: RecordedRequest }>(
  scenarios: readonly Requests<Step>[],
  options: SendOptions,
  visit: (
    step: Step,
    received: ReceivedResponse,
    at: readonly [scenario: string, step: number],
  ) => void,
): Promise<readonly Skipped[]> {
  const skipped: Skipped[] = [];
  for (const scenario of scenarios) {
    const past: ReceivedResponse[] = [];
    let reason: string | undefined;
    for (const [at, step] of scenario.steps.entries()) {
      const request = withToken(step.request, options.token);
      reason = reason === undefined
        ? reasonToSkip(request, options)
        : "it follows a skipped request";
      if (reason !== undefined) {
        skipped.push({ exchange: exchangeName(scenario, at), why: reason });
        continue;
      }
      const received = await send(options.base, fillEtags(request, past));
      past.push(received);
      visit(step, received, [scenario.name, at]);
    }
  }
  return skipped;
}

function reasonToSkip(request: RecordedRequest, options: SendOptions): string | undefined {
  const { method, path } = request;
  if (!options.allowWrites && !isSafeRequest(method, findOperation(method, path))) {
    return "it may change something";
  }
  const pseudonym = findPseudonym([request.path, request.body, ...Object.values(request.headers)]
    .join("\n"));
  return pseudonym && `it holds a pseudonym (${pseudonym})`;
}

function withToken(request: RecordedRequest, token: string | undefined): RecordedRequest {
  if (token === undefined || request.headers.authorization === undefined) return request;
  return { ...request, headers: { ...request.headers, authorization: `Bearer ${token}` } };
}
