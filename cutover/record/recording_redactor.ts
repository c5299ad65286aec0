import { Buffer } from "node:buffer";
import type { ReceivedResponse } from "../parity/exchange.ts";
import type { RecordedRequest } from "../parity/recordings.ts";
import type { RecordingRedactor } from "../parity/record_requests.ts";
import type { ExchangeRedactor } from "./recorded_exchange.ts";

/** The gateway's redactor, for requests and answers as recordings have them. */
export function createRecordingRedactor(redactor: ExchangeRedactor): RecordingRedactor {
  return {
    request(request) {
      const body = plainBodyOf(request);
      if (body === undefined) return undefined;
      const redacted = redactor.request({
        method: request.method,
        target: request.path,
        headers: Object.entries(request.headers),
        body: new TextEncoder().encode(body),
      });
      const { body: _body, encoding, ...rest } = request;
      return {
        ...rest,
        path: redacted.target,
        headers: keptOf(request.headers, redacted.headers),
        ...(body !== "" && { body: new TextDecoder().decode(redacted.body) }),
        ...(encoding !== undefined && encoding !== "base64" && { encoding }),
      };
    },
    received(response) {
      const redacted = redactor.response({
        status: response.status,
        headers: Object.entries(response.headers),
        body: new TextEncoder().encode(response.body),
        ms: 0,
      });
      return {
        ...response,
        headers: keptOf(response.headers, redacted.headers),
        body: new TextDecoder().decode(redacted.body),
      } satisfies ReceivedResponse;
    },
  };
}

/** The headers as they were, but for the values that were replaced. */
function keptOf(
  headers: Readonly<Record<string, string>>,
  redacted: readonly (readonly [string, string])[],
): Record<string, string> {
  return { ...headers, ...Object.fromEntries(redacted) };
}

/** The text of a body, whatever bytes it is sent as; undefined when it is none. */
function plainBodyOf({ body = "", encoding }: RecordedRequest): string | undefined {
  if (encoding !== "base64") return body;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.from(body, "base64"));
  } catch {
    return undefined;
  }
}
