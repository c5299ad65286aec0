import { Buffer } from "node:buffer";
import type { ReceivedResponse } from "../parity/exchange.ts";
import type { RecordedRequest } from "../parity/recordings.ts";
import type { RecordingRedactor } from "../parity/record_requests.ts";
import { operationOf } from "../parity/recorded_pair.ts";
import type { Redactor } from "../redact/redact.ts";

/** The gateway's redactor, for requests and responses as recordings have them. */
export function createRecordingRedactor(redactor: Pick<Redactor, "exchange">): RecordingRedactor {
  return {
    exchange(request, received) {
      const body = textOf(request);
      if (body === undefined) return undefined;
      const { method, path } = request;
      const redacted = redactor.exchange(operationOf(method, path), {
        method,
        target: path,
        headers: Object.entries(request.headers),
        body: new TextEncoder().encode(body),
      }, {
        status: received.status,
        headers: Object.entries(received.headers),
        body: new TextEncoder().encode(received.body),
        ms: 0,
      });
      return {
        request: recordedRequest(request, redacted.request),
        received: {
          ...received,
          headers: Object.fromEntries(redacted.response.headers),
          body: new TextDecoder().decode(redacted.response.body),
        } satisfies ReceivedResponse,
      };
    },
  };
}

function recordedRequest(
  { encoding, gzip }: RecordedRequest,
  { method, target, headers, body }: ReturnType<Redactor["exchange"]>["request"],
): RecordedRequest {
  return {
    method,
    path: target,
    headers: Object.fromEntries(headers),
    ...(body.length > 0 && { body: new TextDecoder().decode(body) }),
    ...(encoding !== undefined && encoding !== "base64" && { encoding }),
    ...(gzip !== undefined && { gzip }),
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
