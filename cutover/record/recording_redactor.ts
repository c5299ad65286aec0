import { Buffer } from "node:buffer";
import type { RecordedRequest } from "../parity/recordings.ts";
import type { RecordingRedactor } from "../parity/record_requests.ts";
import { operationOf } from "../parity/recorded_pair.ts";
import type { Redactor } from "../redact/redact.ts";

/** The gateway's redactor, for requests and responses as recordings have them. */
export function createRecordingRedactor(redactor: Pick<Redactor, "exchange">): RecordingRedactor {
  return {
    exchange(requested, received) {
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
    },
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
